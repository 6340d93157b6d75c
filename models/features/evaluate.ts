import type { BinaryOp, Node } from "./expression.ts";
import { PAIR_SEPARATOR } from "./feature-store.ts";
import { hash48 } from "./hash.ts";
import { parseTime } from "./parse-time.ts";
import { localTime } from "./time-zone.ts";

/** null = missing. */
export type Value = number | string | boolean | null;

export interface Scope {
  /** The payload that paths start at. */
  readonly root: unknown;
  /** Epoch milliseconds of the fact; in a request, the as-of time. */
  readonly time: number;
  readonly asOf: number;
  /** Values of other features, in derived features; NaN = missing. */
  readonly feature: ((name: string) => number) | null;
}

export type Evaluate = (scope: Scope) => Value;

/** Turns an expression into a function once, at load; evaluation then allocates nothing. */
export function compileExpression(node: Node): Evaluate {
  switch (node.op) {
    case "path":
      return compilePath(node.path, node.as);
    case "const": {
      const { value } = node;
      return () => value;
    }
    case "fact-time":
      return (scope) => scope.time;
    case "as-of":
      return (scope) => scope.asOf;
    case "feature":
      return ({ feature }) => (feature === null ? null : finite(feature(node.name)));
    case "length": {
      const read = compileSteps(node.path);
      return ({ root }) => {
        const list = read(root);
        return Array.isArray(list) ? list.length : null;
      };
    }
    case "total":
      return compileTotal(node.path, compileExpression(node.item));
    case "hour":
    case "weekday":
      return compileLocal(node.op, compileExpression(node.arg), node.zone);
    case "and":
    case "or":
      return compileLogic(node.op === "or", node.args.map(compileExpression));
    case "coalesce":
      return compileCoalesce(node.args.map(compileExpression));
    case "concat":
      return compileConcat(node.args.map(compileExpression));
    case "pair": {
      const [first, second] = [compileExpression(node.args[0]), compileExpression(node.args[1])];
      return (scope) => {
        const [left, right] = [first(scope), second(scope)];
        return left === null || right === null ? null : `${left}${PAIR_SEPARATOR}${right}`;
      };
    }
    case "in": {
      const arg = compileExpression(node.arg);
      const values = new Set<Value>(node.values);
      return (scope) => {
        const value = arg(scope);
        return value === null ? null : values.has(value);
      };
    }
    case "if": {
      const [condition, then, otherwise] = node.args.map(compileExpression) as [Evaluate, Evaluate, Evaluate];
      return (scope) => {
        const holds = condition(scope);
        return holds === null ? null : holds === true ? then(scope) : otherwise(scope);
      };
    }
    case "abs":
    case "log1p":
    case "floor":
    case "not":
    case "hash":
    case "number":
      return compileUnary(node.op, compileExpression(node.arg));
    case "add":
    case "sub":
    case "mul":
    case "div":
    case "min":
    case "max":
    case "eq":
    case "ne":
    case "lt":
    case "lte":
    case "gt":
    case "gte":
      return compileBinary(node.op, compileExpression(node.args[0]), compileExpression(node.args[1]));
  }
}

/** A value as state and vectors hold it: NaN = missing, flags 1 or 0. Texts have no number but their hash. */
export function asNumber(value: Value): number {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  return Number.NaN;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function compileSteps(path: string): (root: unknown) => unknown {
  const steps = path === "" ? [] : path.split(".");
  const [first] = steps;
  if (first === undefined) return (root) => root;
  if (steps.length === 1) return (root) => memberOf(root, first);
  return (root) => {
    let value = root;
    for (const step of steps) value = memberOf(value, step);
    return value;
  };
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

/** The element at a path that no expression types: lists to fan out over, roots of event variants. */
export const readPath = compileSteps;

function compilePath(path: string, as: "number" | "text" | "flag" | "time"): Evaluate {
  const read = compileSteps(path);
  switch (as) {
    case "number":
      return ({ root }) => {
        const value = read(root);
        return typeof value === "number" ? finite(value) : null;
      };
    case "text":
      return ({ root }) => {
        const value = read(root);
        return typeof value === "string" ? value : null;
      };
    case "flag":
      return ({ root }) => {
        const value = read(root);
        return typeof value === "boolean" ? value : null;
      };
    case "time":
      return ({ root }) => {
        const value = read(root);
        return typeof value === "string" ? finite(parseTime(value)) : null;
      };
  }
}

function compileTotal(path: string, item: Evaluate): Evaluate {
  const read = compileSteps(path);
  return (scope) => {
    const list = read(scope.root);
    if (!Array.isArray(list)) return null;
    let sum = 0;
    for (const root of list) {
      const value = item({ ...scope, root });
      if (typeof value === "number") sum += value;
    }
    return finite(sum);
  };
}

function compileLocal(part: "hour" | "weekday", time: Evaluate, zone: string): Evaluate {
  const toLocal = localTime(zone);
  return (scope) => {
    const at = time(scope);
    if (typeof at !== "number") return null;
    const local = toLocal(at);
    // Day 0 of the epoch was a Thursday: Monday-based weekday 3.
    return part === "hour"
      ? Math.floor(modulo(local, 86_400_000) / 3_600_000)
      : modulo(Math.floor(local / 86_400_000) + 3, 7);
  };
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}

/** Three-valued: a deciding side decides, whatever is missing beside it. */
function compileLogic(deciding: boolean, args: Evaluate[]): Evaluate {
  return (scope) => {
    let missing = false;
    for (const arg of args) {
      const value = arg(scope);
      if (value === null) missing = true;
      else if (value === deciding) return deciding;
    }
    return missing ? null : !deciding;
  };
}

function compileCoalesce(args: Evaluate[]): Evaluate {
  return (scope) => {
    for (const arg of args) {
      const value = arg(scope);
      if (value !== null) return value;
    }
    return null;
  };
}

function compileConcat(args: Evaluate[]): Evaluate {
  return (scope) => {
    let text = "";
    for (const arg of args) {
      const value = arg(scope);
      if (value === null) return null;
      // Length-prefixed, so that ("a", "bc") and ("ab", "c") differ.
      const part = String(value);
      text += `${part.length}:${part}`;
    }
    return text;
  };
}

function compileUnary(op: "abs" | "log1p" | "floor" | "not" | "hash" | "number", arg: Evaluate): Evaluate {
  return (scope) => {
    const value = arg(scope);
    if (value === null) return null;
    switch (op) {
      case "not":
        return typeof value === "boolean" ? !value : null;
      case "hash":
        return typeof value === "string" ? hash48(value) : null;
      case "number":
        return finite(asNumber(value));
      case "abs":
        return typeof value === "number" ? Math.abs(value) : null;
      case "floor":
        return typeof value === "number" ? Math.floor(value) : null;
      case "log1p":
        return typeof value === "number" ? finite(Math.log1p(value)) : null;
    }
  };
}

function compileBinary(op: BinaryOp, left: Evaluate, right: Evaluate): Evaluate {
  if (op === "eq" || op === "ne") {
    return (scope) => {
      const a = left(scope);
      const b = right(scope);
      return a === null || b === null ? null : (a === b) === (op === "eq");
    };
  }
  const apply = ARITHMETIC[op];
  return (scope) => {
    const a = left(scope);
    const b = right(scope);
    if (typeof a !== "number" || typeof b !== "number") return null;
    const result = apply(a, b);
    return typeof result === "number" ? finite(result) : result;
  };
}

const ARITHMETIC: Record<Exclude<BinaryOp, "eq" | "ne">, (a: number, b: number) => number | boolean> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  lt: (a, b) => a < b,
  lte: (a, b) => a <= b,
  gt: (a, b) => a > b,
  gte: (a, b) => a >= b,
};
