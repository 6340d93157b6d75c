import { columnNamed, type Frame, type FrameColumn } from "../sources/read-frame.ts";
import { TableError } from "../sources/table.ts";
import type { FeatureSpec, TrainingSet } from "../train/training-set.ts";

/** A table made ready for training: which column is the label, which are features, which rows belong to which group. */
export interface TabularColumns {
  readonly target: string;
  /** Value of the target that counts as 1; null: the target is 0/1 or false/true. */
  readonly positive: string | null;
  readonly drop: readonly string[];
}

export interface Groups {
  readonly label: string;
  readonly names: readonly string[];
  readonly of: Uint32Array;
}

export function featureColumns(frame: Frame, columns: TabularColumns): FrameColumn[] {
  for (const name of [columns.target, ...columns.drop]) columnNamed(frame, name);
  const left = frame.columns.filter(({ name }) => name !== columns.target && !columns.drop.includes(name));
  if (left.length === 0) throw new TableError(frame.file, {}, "no column is left to learn from");
  return left;
}

export function trainingSetOf(frame: Frame, columns: TabularColumns): TrainingSet {
  const features = featureColumns(frame, columns);
  return {
    features: features.map(({ name, kind }): FeatureSpec => ({ name, kind })),
    train: {
      columns: features.map(({ values }) => values),
      labels: labelsOf(frame, columns),
      weights: null,
      groups: null,
    },
    validation: null,
  };
}

/** @throws TableError that lists the values there are, when none is the positive one */
export function labelsOf(frame: Frame, { target, positive }: TabularColumns): Float32Array {
  const column = columnNamed(frame, target);
  const missing = column.values.findIndex((value) => Number.isNaN(value));
  if (missing >= 0) throw new TableError(frame.file, { column: target }, `row ${missing + 1} has no label`);
  const code = positiveCode(frame, column, positive);
  return Float32Array.from(column.values, (value) => (value === code ? 1 : 0));
}

function positiveCode(frame: Frame, column: FrameColumn, positive: string | null): number {
  const distinct = [...new Set(column.values.subarray(0, 100_000))].sort((a, b) => a - b).slice(0, 20);
  const shown = distinct.map((value) => (column.kind === "categorical" ? column.vocabulary[value] : String(value)));
  const wanted = positive ?? (column.kind === "numeric" ? "1" : "true");
  const code = column.kind === "categorical" ? column.vocabulary.indexOf(wanted) : Number(wanted);
  if (column.values.includes(code) && (positive !== null || distinct.length === 2)) return code;
  const hint = positive === null ? "; name the positive one with --positive" : "";
  throw new TableError(
    frame.file,
    { column: column.name },
    `no label is "${wanted}": the values are ${shown.join(", ")}${hint}`,
  );
}

/**
 * Groups of rows by `COLUMN` (one per value), `COLUMN>=NUMBER` (also > < <=) or `COLUMN=VALUE,VALUE` (two groups: the
 * condition holds or not). Rows without a value are a group of their own.
 */
export function groupsOf(frame: Frame, expression: string): Groups {
  if (frame.columns.some(({ name }) => name === expression)) return groupsByValue(frame, expression);
  const match = /^(.+?)(>=|<=|>|<|=)(.+)$/.exec(expression);
  if (!match) return groupsByValue(frame, expression);
  const [, name = "", operator = "", operand = ""] = match;
  const column = columnNamed(frame, name);
  const holds =
    operator === "=" ? memberOf(column, operand.split(",")) : compare(frame, column, operator, Number(operand));
  return {
    label: expression,
    names: ["yes", "no"],
    of: Uint32Array.from(column.values, (value) => (holds(value) ? 0 : 1)),
  };
}

/** Groups by value are few, or they are no groups. */
const MAX_GROUPS = 50;

function groupsByValue(frame: Frame, name: string): Groups {
  const column = columnNamed(frame, name);
  const codes = new Map<number, number>();
  const names: string[] = [];
  const of = Uint32Array.from(column.values, (value) => {
    const known = codes.get(value);
    if (known !== undefined) return known;
    codes.set(value, names.length);
    names.push(
      Number.isNaN(value)
        ? "missing"
        : column.kind === "categorical"
          ? (column.vocabulary[value] ?? "")
          : String(value),
    );
    return names.length - 1;
  });
  if (names.length > MAX_GROUPS) {
    const message = `${names.length} different values; at most ${MAX_GROUPS} groups are compared: use e.g. --group "${name}>=25"`;
    throw new TableError(frame.file, { column: name }, message);
  }
  return { label: name, names, of };
}

function memberOf(column: FrameColumn, values: readonly string[]): (value: number) => boolean {
  const codes = new Set(
    values.map((text) => (column.kind === "categorical" ? column.vocabulary.indexOf(text) : Number(text))),
  );
  return (value) => codes.has(value);
}

function compare(frame: Frame, column: FrameColumn, operator: string, bound: number): (value: number) => boolean {
  if (column.kind !== "numeric" || Number.isNaN(bound)) {
    throw new TableError(frame.file, { column: column.name }, "groups by order need a column of numbers and a number");
  }
  switch (operator) {
    case ">=":
      return (value) => value >= bound;
    case "<=":
      return (value) => value <= bound;
    case ">":
      return (value) => value > bound;
    default:
      return (value) => value < bound;
  }
}
