import type { Aggregation, Window } from "./definition.ts";
import type { BinaryOp, Node } from "./expression.ts";

const SYMBOLS: Readonly<Record<Exclude<BinaryOp, "min" | "max">, string>> = {
  add: "+",
  sub: "-",
  mul: "*",
  div: "/",
  eq: "=",
  ne: "≠",
  lt: "<",
  lte: "≤",
  gt: ">",
  gte: "≥",
};

/** An expression for a person to read. */
export function describeExpression(node: Node): string {
  switch (node.op) {
    case "path":
      return node.as === "time" ? `time(${node.path})` : node.path;
    case "const":
      return JSON.stringify(node.value);
    case "feature":
      return `feature ${node.name}`;
    case "fact-time":
      return "time of the fact";
    case "as-of":
      return "as-of time";
    case "length":
      return `length(${node.path})`;
    case "total":
      return `total(${describeExpression(node.item)} of ${node.path})`;
    case "hour":
    case "weekday":
      return `${node.op}(${describeExpression(node.arg)}, ${node.zone})`;
    case "in":
      return `${describeExpression(node.arg)} in [${node.values.map((value) => JSON.stringify(value)).join(", ")}]`;
    case "if": {
      const [condition, then, otherwise] = node.args;
      return `if ${describeExpression(condition)} then ${describeExpression(then)} else ${describeExpression(otherwise)}`;
    }
    case "coalesce":
      return node.args.length === 0 ? "missing" : `first(${node.args.map(describeExpression).join(", ")})`;
    case "and":
    case "or":
      return `(${node.args.map(describeExpression).join(` ${node.op} `)})`;
    case "concat":
    case "pair":
    case "min":
    case "max":
      return `${node.op}(${node.args.map(describeExpression).join(", ")})`;
    case "abs":
    case "log1p":
    case "floor":
    case "not":
    case "hash":
    case "number":
      return `${node.op}(${describeExpression(node.arg)})`;
    case "add":
    case "sub":
    case "mul":
    case "div":
    case "eq":
    case "ne":
    case "lt":
    case "lte":
    case "gt":
    case "gte":
      return `(${describeExpression(node.args[0])} ${SYMBOLS[node.op]} ${describeExpression(node.args[1])})`;
  }
}

/** A duration in the largest unit that divides it. */
export function describeDuration(milliseconds: number): string {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1_000],
  ] as const;
  for (const [unit, size] of units) if (milliseconds % size === 0) return `${milliseconds / size} ${unit}`;
  return `${milliseconds} ms`;
}

export function describeWindow({ lengthMs, delayMs }: Window): string {
  const length = lengthMs === null ? "lifetime" : describeDuration(lengthMs);
  return delayMs === 0 ? length : `${length}, ending ${describeDuration(delayMs)} ago`;
}

export function describeAggregation(aggregation: Aggregation): string {
  const column = "column" in aggregation && aggregation.column !== null ? aggregation.column : "";
  if (aggregation.op === "nth-last") return `nth-last(${column}, ${aggregation.n})`;
  if (aggregation.op === "rate") return `rate(${column}, prior ${aggregation.prior}, weight ${aggregation.weight})`;
  if (aggregation.op === "decayed-sum")
    return `decayed-sum(${column}, half-life ${describeDuration(aggregation.halfLifeMs)})`;
  return `${aggregation.op}(${column})`;
}
