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

/** Splits in time: every validation row is later than every training row, and every test row later than those. */
export function splitByTime(rows: TrainingRows, trainShare = 0.5, validationShare = 0.2): TimeSplit {
  const count = rows.labels.length;
  const first = boundary(rows.asOf, Math.floor(count * trainShare));
  const second = boundary(rows.asOf, Math.floor(count * (trainShare + validationShare)));
  return {
    train: sliceRows(rows, 0, first),
    validation: sliceRows(rows, first, second),
    test: sliceRows(rows, second, count),
  };
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
