/**
 * What every trainer takes: named columns, labels, and optionally weights, groups and a later slice to validate on.
 * Values are read as float32, because that is what the published graph reads; NaN is missing, infinities are values.
 */

/** Category codes are whole numbers 0..2^24 (exact in float32); the vocabulary that made them belongs to the caller. */
export type FeatureKind = "numeric" | "categorical";

export interface FeatureSpec {
  readonly name: string;
  readonly kind: FeatureKind;
}

export type Column = Float32Array | Float64Array;

/** Rows as columns: `columns[f]` belongs to `features[f]`; every array has one entry per row. */
export interface LabelledRows {
  readonly columns: readonly Column[];
  /** Binary: 0 or 1. Regression: any finite number. Softmax: class 0..K-1. Ranking: grade 0..31. */
  readonly labels: Column;
  /** Finite, not negative, not all zero. Null: all one. */
  readonly weights: Column | null;
  /** Ranking only: rows per group, in row order; they sum to the number of rows. */
  readonly groups: Int32Array | null;
}

export interface TrainingSet {
  readonly features: readonly FeatureSpec[];
  readonly train: LabelledRows;
  /** Later in time than `train`; drives early stopping and calibration, never the trees. */
  readonly validation: LabelledRows | null;
}

/** A refusal of the input, in words for the person who supplied it. */
export class TrainingError extends Error {
  override readonly name = "TrainingError";
  readonly code: TrainingErrorCode;

  constructor(code: TrainingErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export type TrainingErrorCode = "invalid_data" | "invalid_parameters" | "too_large" | "cancelled";

/** Rows and columns are bounded by what one 32-bit memory can hold in bins; the memory plan states the exact need. */
export const MAX_ROWS = 1 << 24;
export const MAX_FEATURES = 4096;

/** @throws TrainingError `invalid_data`, naming the column or row. */
export function checkTrainingSet(set: TrainingSet): void {
  if (set.features.length === 0) throw new TrainingError("invalid_data", "the training set has no feature columns");
  if (set.features.length > MAX_FEATURES) {
    throw new TrainingError("too_large", `${set.features.length} features; at most ${MAX_FEATURES} are trained on`);
  }
  const names = new Set<string>();
  for (const feature of set.features) {
    if (names.has(feature.name)) {
      throw new TrainingError("invalid_data", `two features are named ${JSON.stringify(feature.name)}`);
    }
    names.add(feature.name);
  }
  checkRows("training rows", set.features, set.train);
  if (set.validation) checkRows("validation rows", set.features, set.validation);
}

function checkRows(what: string, features: readonly FeatureSpec[], rows: LabelledRows): void {
  const n = rows.labels.length;
  if (n === 0) throw new TrainingError("invalid_data", `there are no ${what}`);
  if (n > MAX_ROWS) throw new TrainingError("too_large", `${n} ${what}; at most ${MAX_ROWS} fit one training run`);
  if (rows.columns.length !== features.length) {
    throw new TrainingError(
      "invalid_data",
      `${rows.columns.length} columns for ${features.length} features in the ${what}`,
    );
  }
  for (const [index, feature] of features.entries()) {
    const column = rows.columns[index];
    if (column?.length !== n) {
      throw new TrainingError(
        "invalid_data",
        `column ${JSON.stringify(feature.name)} has ${column?.length ?? 0} values for ${n} ${what}`,
      );
    }
    if (feature.kind === "categorical") checkCategories(what, feature.name, column);
  }
  for (let row = 0; row < n; row++) {
    if (!Number.isFinite(rows.labels[row])) {
      throw new TrainingError(
        "invalid_data",
        `label of row ${row} of the ${what} is ${rows.labels[row]}; labels are finite`,
      );
    }
  }
  if (rows.weights) checkWeights(what, rows.weights, n);
  if (rows.groups) checkGroups(what, rows.groups, n);
}

/** Largest category code: whole numbers up to here are exact in float32. */
const MAX_CATEGORY = 1 << 24;

function checkCategories(what: string, name: string, column: Column): void {
  for (let row = 0; row < column.length; row++) {
    const value = column[row] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    if (!Number.isInteger(value) || value < 0 || value > MAX_CATEGORY) {
      throw new TrainingError(
        "invalid_data",
        `categorical column ${JSON.stringify(name)} holds ${value} in row ${row} of the ${what}; codes are whole numbers 0..${MAX_CATEGORY}, NaN for missing`,
      );
    }
  }
}

function checkWeights(what: string, weights: Column, n: number): void {
  if (weights.length !== n) throw new TrainingError("invalid_data", `${weights.length} weights for ${n} ${what}`);
  let some = false;
  for (let row = 0; row < n; row++) {
    const weight = weights[row] ?? Number.NaN;
    if (!Number.isFinite(weight) || weight < 0) {
      throw new TrainingError(
        "invalid_data",
        `weight of row ${row} of the ${what} is ${weight}; weights are finite and not negative`,
      );
    }
    some ||= weight > 0;
  }
  if (!some) throw new TrainingError("invalid_data", `every weight of the ${what} is zero`);
}

function checkGroups(what: string, groups: Int32Array, n: number): void {
  let sum = 0;
  for (const size of groups) {
    if (size <= 0) throw new TrainingError("invalid_data", `a group of the ${what} has ${size} rows`);
    sum += size;
  }
  if (sum !== n) throw new TrainingError("invalid_data", `the groups of the ${what} hold ${sum} rows, the data ${n}`);
}
