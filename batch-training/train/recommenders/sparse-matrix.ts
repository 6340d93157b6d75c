import type { TrainingLog } from "./training-log.ts";

/** Compressed sparse rows with ascending columns. Buffers are shared, so that worker threads see them without a copy. */
export interface SparseMatrix {
  readonly rows: number;
  readonly columns: number;
  /** `rows + 1` offsets. */
  readonly start: Int32Array;
  readonly column: Int32Array;
  readonly value: Float32Array;
}

export const sharedInts = (length: number): Int32Array => new Int32Array(new SharedArrayBuffer(length * 4));
export const sharedFloats = (length: number): Float32Array => new Float32Array(new SharedArrayBuffer(length * 4));

/** A user's events with one item, taken together. */
export interface PairSummary {
  events: number;
  valueSum: number;
  /** Time of the latest one, NaN if unknown. */
  latest: number;
}

/**
 * Users x items, one entry per pair that occurs.
 * @param weight the entry; 1 unless given.
 */
export function interactionMatrix(log: TrainingLog, weight: (pair: PairSummary) => number = () => 1): SparseMatrix {
  const start = sharedInts(log.users + 1);
  const columns: number[] = [];
  const values: number[] = [];
  for (let user = 0; user < log.users; user++) {
    const pairs = new Map<number, PairSummary>();
    for (let event = log.start[user] ?? 0; event < (log.start[user + 1] ?? 0); event++) {
      const item = log.item[event] ?? 0;
      const pair = pairs.get(item) ?? { events: 0, valueSum: 0, latest: Number.NaN };
      pair.events++;
      pair.valueSum += log.value[event] ?? 1;
      pair.latest = log.time[event] ?? Number.NaN;
      pairs.set(item, pair);
    }
    for (const [item, pair] of [...pairs].sort((a, b) => a[0] - b[0])) {
      columns.push(item);
      values.push(weight(pair));
    }
    start[user + 1] = columns.length;
  }
  const column = sharedInts(columns.length);
  column.set(columns);
  const value = sharedFloats(values.length);
  value.set(values);
  return { rows: log.users, columns: log.items, start, column, value };
}

export function transpose(matrix: SparseMatrix): SparseMatrix {
  const start = sharedInts(matrix.columns + 1);
  for (const column of matrix.column) start[column + 1] = (start[column + 1] ?? 0) + 1;
  for (let c = 0; c < matrix.columns; c++) start[c + 1] = (start[c + 1] ?? 0) + (start[c] ?? 0);
  const next = start.slice();
  const column = sharedInts(matrix.column.length);
  const value = sharedFloats(matrix.column.length);
  for (let row = 0; row < matrix.rows; row++) {
    for (let at = matrix.start[row] ?? 0; at < (matrix.start[row + 1] ?? 0); at++) {
      const c = matrix.column[at] ?? 0;
      const to = next[c] ?? 0;
      next[c] = to + 1;
      column[to] = row;
      value[to] = matrix.value[at] ?? 0;
    }
  }
  return { rows: matrix.columns, columns: matrix.rows, start, column, value };
}
