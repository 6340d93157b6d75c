import { sharedFloats, sharedInts, type SparseMatrix, transpose } from "./sparse-matrix.ts";

/** Adds row `row` of XᵀX to `into`, which is dense over the columns of X. */
export function addGramRow(byItem: SparseMatrix, matrix: SparseMatrix, row: number, into: Float32Array): void {
  for (let at = byItem.start[row] ?? 0; at < (byItem.start[row + 1] ?? 0); at++) {
    const user = byItem.column[at] ?? 0;
    const weight = byItem.value[at] ?? 0;
    const to = matrix.start[user + 1] ?? 0;
    for (let other = matrix.start[user] ?? 0; other < to; other++) {
      const column = matrix.column[other] ?? 0;
      into[column] = (into[column] ?? 0) + weight * (matrix.value[other] ?? 0);
    }
  }
}

/** XᵀX of the columns, dense, n x n. */
export function denseGram(matrix: SparseMatrix): Float32Array {
  const n = matrix.columns;
  const byItem = transpose(matrix);
  const gram = new Float32Array(n * n);
  for (let row = 0; row < n; row++) addGramRow(byItem, matrix, row, gram.subarray(row * n, (row + 1) * n));
  return gram;
}

/** XᵀX with only the entries that are not 0, rows sorted. */
export function sparseGram(matrix: SparseMatrix): SparseMatrix {
  const n = matrix.columns;
  const byItem = transpose(matrix);
  const start = sharedInts(n + 1);
  const columns: number[] = [];
  const values: number[] = [];
  const row = new Float32Array(n);
  for (let item = 0; item < n; item++) {
    row.fill(0);
    addGramRow(byItem, matrix, item, row);
    for (let column = 0; column < n; column++) {
      const value = row[column] ?? 0;
      if (value === 0) continue;
      columns.push(column);
      values.push(value);
    }
    start[item + 1] = columns.length;
  }
  const column = sharedInts(columns.length);
  column.set(columns);
  const value = sharedFloats(values.length);
  value.set(values);
  return { rows: n, columns: n, start, column, value };
}

/** D_u^-userPower X D_i^-itemPower, with D the number of entries of each user and item. */
export function normalised(matrix: SparseMatrix, userPower: number, itemPower: number): SparseMatrix {
  const counts = columnCounts(matrix);
  const value = sharedFloats(matrix.value.length);
  for (let user = 0; user < matrix.rows; user++) {
    const from = matrix.start[user] ?? 0;
    const to = matrix.start[user + 1] ?? 0;
    const byUser = Math.max(1, to - from) ** -userPower;
    for (let at = from; at < to; at++) {
      const byItem = Math.max(1, counts[matrix.column[at] ?? 0] ?? 1) ** -itemPower;
      value[at] = (matrix.value[at] ?? 0) * byUser * byItem;
    }
  }
  return { ...matrix, value };
}

export function columnCounts(matrix: SparseMatrix): Float64Array {
  const counts = new Float64Array(matrix.columns);
  for (const column of matrix.column) counts[column] = (counts[column] ?? 0) + 1;
  return counts;
}
