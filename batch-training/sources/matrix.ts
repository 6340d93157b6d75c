/** A table of numbers as the engines take it. NaN is a missing value. */
export interface Matrix {
  /** `rows × width`, row-major. */
  readonly values: Float32Array;
  readonly rows: number;
  readonly width: number;
  /** Column names, where the file states them. */
  readonly columns: readonly string[] | null;
}

/** A file that is not the table it should be. The message says where and what to do. */
export class MatrixError extends Error {
  override readonly name = "MatrixError";
}

/** Largest table taken, values: 1 GiB as float32. */
export const MAX_MATRIX_VALUES = 2 ** 28;
