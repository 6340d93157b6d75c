/**
 * Expressions as plain data. A definition is a tree of these nodes, never a closure, so that it can be hashed, shown,
 * compared between versions and compiled to other languages. Any operation on a missing value is missing, `coalesce`, `or`
 * and `and` excepted where the other side decides; a result that is not finite is missing, so NaN never enters state.
 */
export type Node =
  | { readonly op: "path"; readonly path: string; readonly as: "number" | "text" | "flag" | "time" }
  | { readonly op: "const"; readonly value: number | string | boolean }
  | { readonly op: BinaryOp; readonly args: readonly [Node, Node] }
  | { readonly op: UnaryOp; readonly arg: Node }
  | { readonly op: "and" | "or" | "coalesce" | "concat"; readonly args: readonly Node[] }
  | { readonly op: "pair"; readonly args: readonly [Node, Node] }
  | { readonly op: "in"; readonly arg: Node; readonly values: readonly (string | number)[] }
  | { readonly op: "if"; readonly args: readonly [Node, Node, Node] }
  | { readonly op: "hour" | "weekday"; readonly arg: Node; readonly zone: string }
  | { readonly op: "total"; readonly path: string; readonly item: Node }
  | { readonly op: "length"; readonly path: string }
  | { readonly op: "feature"; readonly name: string }
  | { readonly op: "fact-time" | "as-of" };

export type BinaryOp = "add" | "sub" | "mul" | "div" | "min" | "max" | "eq" | "ne" | "lt" | "lte" | "gt" | "gte";
export type UnaryOp = "abs" | "log1p" | "floor" | "not" | "hash" | "number";

export type Kind = "number" | "text" | "flag";
declare const KIND: unique symbol;
/** An expression whose value is of kind K (or missing). The brand exists for the compiler only. */
export type Expr<K extends Kind = Kind> = Node & { readonly [KIND]?: K };

/** Paths into T, dot separated, whose leaf is a V; optional members are walked, arrays are not. */
export type PathTo<T, V, Depth extends 0[] = []> = Depth["length"] extends 5
  ? never
  : {
      [K in keyof T & string]-?: NonNullable<T[K]> extends V
        ? K
        : NonNullable<T[K]> extends readonly unknown[]
          ? never
          : NonNullable<T[K]> extends object
            ? `${K}.${PathTo<NonNullable<T[K]>, V, [...Depth, 0]>}`
            : never;
    }[keyof T & string];

/** Paths into T that end at an array, and its element. */
export type PathToList<T, Depth extends 0[] = []> = Depth["length"] extends 5
  ? never
  : {
      [K in keyof T & string]-?: NonNullable<T[K]> extends readonly unknown[]
        ? K
        : NonNullable<T[K]> extends object
          ? `${K}.${PathToList<NonNullable<T[K]>, [...Depth, 0]>}`
          : never;
    }[keyof T & string];

type At<T, P extends string> = P extends `${infer Head}.${infer Rest}`
  ? Head extends keyof T
    ? At<NonNullable<T[Head]>, Rest>
    : never
  : P extends keyof T
    ? NonNullable<T[P]>
    : never;
type ElementAt<T, P extends string> = At<T, P> extends readonly (infer E)[] ? E : never;

export interface Fields<T> {
  readonly number: (path: PathTo<T, number>) => Expr<"number">;
  readonly text: (path: PathTo<T, string>) => Expr<"text">;
  readonly flag: (path: PathTo<T, boolean>) => Expr<"flag">;
  /** RFC 3339 text as epoch milliseconds. */
  readonly time: (path: PathTo<T, string>) => Expr<"number">;
  readonly length: (path: PathToList<T>) => Expr<"number">;
  /** Sum of an expression over the elements of a list; 0 of an empty one, missing of a missing one. */
  readonly total: <P extends PathToList<T>>(
    path: P,
    item: (fields: Fields<ElementAt<T, P>>) => Expr<"number">,
  ) => Expr<"number">;
}

/** Typed paths into a payload: a path that does not exist, or has another type, does not compile. */
export function fields<T>(): Fields<T> {
  return {
    number: (path) => ({ op: "path", path, as: "number" }),
    text: (path) => ({ op: "path", path, as: "text" }),
    flag: (path) => ({ op: "path", path, as: "flag" }),
    time: (path) => ({ op: "path", path, as: "time" }),
    length: (path) => ({ op: "length", path }),
    total: (path, item) => ({ op: "total", path, item: item(fields()) }),
  };
}

type Num = Expr<"number">;
type NumLike = Num | number;
type Flag = Expr<"flag">;
const num = (value: NumLike): Num => (typeof value === "number" ? constant(value) : value);
const binary =
  <K extends Kind>(op: BinaryOp) =>
  (a: NumLike, b: NumLike): Expr<K> => ({ op, args: [num(a), num(b)] });

export function constant(value: number): Expr<"number">;
export function constant(value: string): Expr<"text">;
export function constant(value: boolean): Expr<"flag">;
export function constant(value: number | string | boolean): Expr {
  return { op: "const", value };
}

export const add = binary<"number">("add");
export const sub = binary<"number">("sub");
export const mul = binary<"number">("mul");
/** Missing where the divisor is 0. */
export const div = binary<"number">("div");
export const min = binary<"number">("min");
export const max = binary<"number">("max");
export const lt = binary<"flag">("lt");
export const lte = binary<"flag">("lte");
export const gt = binary<"flag">("gt");
export const gte = binary<"flag">("gte");

export const equal = <K extends Kind>(a: Expr<K>, b: Expr<K>): Flag => ({ op: "eq", args: [a, b] });
export const differ = <K extends Kind>(a: Expr<K>, b: Expr<K>): Flag => ({ op: "ne", args: [a, b] });
export const both = (...args: Flag[]): Flag => ({ op: "and", args });
export const either = (...args: Flag[]): Flag => ({ op: "or", args });
export const not = (arg: Flag): Flag => ({ op: "not", arg });
export const oneOf = (arg: Expr, values: readonly (string | number)[]): Flag => ({ op: "in", arg, values });
export const when = <K extends Kind>(condition: Flag, then: Expr<K>, otherwise: Expr<K>): Expr<K> => ({
  op: "if",
  args: [condition, then, otherwise],
});
/** The value where the condition holds, missing elsewhere: aggregations skip missing values, so this is how they filter. */
export const where = <K extends Kind>(condition: Flag, then: Expr<K>): Expr<K> => ({
  op: "if",
  args: [condition, then, { op: "coalesce", args: [] }],
});
export const coalesce = <K extends Kind>(...args: Expr<K>[]): Expr<K> => ({ op: "coalesce", args });
export const concat = (...args: Expr<"text">[]): Expr<"text"> => ({ op: "concat", args });
/** The id of a composite entity, in the order of its type; missing where one part is. */
export const pair = (first: Expr<"text">, second: Expr<"text">): Expr<"text"> => ({
  op: "pair",
  args: [first, second],
});
export const abs = (arg: Num): Num => ({ op: "abs", arg });
export const log1p = (arg: Num): Num => ({ op: "log1p", arg });
export const floor = (arg: Num): Num => ({ op: "floor", arg });
/** 48-bit hash of a text: how texts are kept in state, where only equality matters. */
export const hash = (arg: Expr<"text">): Num => ({ op: "hash", arg });
/** 1 or 0. */
export const flagAsNumber = (arg: Flag): Num => ({ op: "number", arg });
/** Hour of the day 0–23 of a time in epoch milliseconds; the zone is `UTC`, `+02:00` or an IANA name. */
export const hour = (arg: Num, zone: string): Num => ({ op: "hour", arg, zone });
/** Day of the week, Monday 0 – Sunday 6. */
export const weekday = (arg: Num, zone: string): Num => ({ op: "weekday", arg, zone });
/** Another feature's value, in a derived feature. */
export const featureValue = (name: string): Num => ({ op: "feature", name });
/** When the fact happened, epoch milliseconds; in a request, the as-of time. */
export const factTime: Num = { op: "fact-time" };
/** The time as of which the vector is finished, epoch milliseconds. */
export const asOf: Num = { op: "as-of" };
