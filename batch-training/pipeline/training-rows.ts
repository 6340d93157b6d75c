import type { TrainingRows as BuiltRows } from "../features/build-training-rows.ts";

/** What training needs of point-in-time rows: names, columns, labels, times ascending, and the customer of each row. */
export type TrainingRows = Pick<BuiltRows, "featureNames" | "columns" | "labels" | "asOf" | "subjects">;

/** Rows [from, to) without copying. */
export function sliceRows(rows: TrainingRows, from: number, to: number): TrainingRows {
  return {
    featureNames: rows.featureNames,
    columns: rows.columns.map((column) => column.subarray(from, to)),
    labels: rows.labels.subarray(from, to),
    asOf: rows.asOf.subarray(from, to),
    subjects: rows.subjects.slice(from, to),
  };
}

export interface TimeSplit {
  readonly train: TrainingRows;
  /** Stops training early and fits calibration and policy. */
  readonly validation: TrainingRows;
  /** Later than everything the model has seen in any way: what gates and reported metrics are about. */
  readonly test: TrainingRows;
}

/**
 * Splits in time: every validation row is later than every training row, and every test row later than those. Fraud comes in
 * bursts, so the boundaries are where the known frauds reach their shares: a slice without frauds can neither stop training nor
 * judge a model. Where there are none, the rows are counted.
 */
export function splitByTime(rows: TrainingRows, trainShare = 0.55, validationShare = 0.2): TimeSplit {
  const count = rows.labels.length;
  const first = boundary(rows.asOf, positionOfShare(rows.labels, trainShare));
  const second = boundary(rows.asOf, positionOfShare(rows.labels, trainShare + validationShare));
  return {
    train: sliceRows(rows, 0, first),
    validation: sliceRows(rows, first, second),
    test: sliceRows(rows, second, count),
  };
}

/** The row after which `share` of the positives, or of the rows where there are no positives, have passed. */
function positionOfShare(labels: ArrayLike<number>, share: number): number {
  let positives = 0;
  for (let row = 0; row < labels.length; row++) positives += labels[row] ?? 0;
  if (positives === 0) return Math.floor(labels.length * share);
  // Rounded, so that 55 % of a hundred is 55 and not the next one above 55.000000000000007.
  const needed = Math.round(positives * share);
  let passed = 0;
  for (let row = 0; row < labels.length; row++) {
    passed += labels[row] ?? 0;
    if (passed >= needed) return row + 1;
  }
  return labels.length;
}

/** Moves a boundary forward so that rows of the same time stay on one side. */
function boundary(asOf: Float64Array, index: number): number {
  let at = index;
  while (at > 0 && at < asOf.length && asOf[at] === asOf[at - 1]) at++;
  return at;
}

/** Row-major copy of the columns, as a session takes it. */
export function rowMajor(rows: TrainingRows, count = rows.labels.length): Float32Array {
  const width = rows.columns.length;
  const batch = new Float32Array(count * width);
  for (const [feature, column] of rows.columns.entries()) {
    for (let row = 0; row < count; row++) batch[row * width + feature] = column[row] ?? Number.NaN;
  }
  return batch;
}
