import type { Profile } from "./profile.ts";
import type { ServedEmbeddings } from "./served-recommender.ts";

/**
 * The vector of a user from a profile: (gram + sum w q qᵀ + ridge I) p = sum w q, as in training. Cholesky in float64; `dimensions`² / 2
 * multiply-adds for each item of the profile and `dimensions`³ / 6 for the solution.
 * @returns zeros for an empty profile
 */
export function solveFoldIn(embeddings: ServedEmbeddings, profile: Profile): Float64Array {
  const d = embeddings.dimensions;
  const matrix = Float64Array.from(embeddings.gram);
  const right = new Float64Array(d);
  const { level, offset, power } = embeddings.ridge;
  const q = new Float64Array(d);
  let mass = 0;
  for (const [place, item] of profile.items.entries()) {
    const w = profile.weights[place] ?? 0;
    mass += w;
    readVector(embeddings, item, q);
    for (let r = 0; r < d; r++) {
      const scaled = w * (q[r] ?? 0);
      right[r] = (right[r] ?? 0) + scaled;
      for (let c = 0; c <= r; c++) matrix[r * d + c] = (matrix[r * d + c] ?? 0) + scaled * (q[c] ?? 0);
    }
  }
  if (mass === 0) return right;
  const ridge = level * (mass + offset) ** power;
  for (let r = 0; r < d; r++) matrix[r * d + r] = (matrix[r * d + r] ?? 0) + ridge;
  solveInPlace(matrix, d, right);
  return right;
}

/** An item's vector as numbers, whatever it is stored as. @param into `dimensions` places */
export function readVector({ vectors, scales, dimensions }: ServedEmbeddings, item: number, into: Float64Array): void {
  const scale = scales === undefined ? 1 : (scales[item] ?? 0);
  for (let at = 0; at < dimensions; at++) into[at] = scale * (vectors[item * dimensions + at] ?? 0);
}

/** Cholesky of the lower triangle and both substitutions, in place. The ridge keeps every pivot above 0. */
function solveInPlace(a: Float64Array, n: number, b: Float64Array): void {
  for (let column = 0; column < n; column++) {
    let pivot = a[column * n + column] ?? 0;
    for (let k = 0; k < column; k++) {
      const entry = a[column * n + k] ?? 0;
      pivot -= entry * entry;
    }
    pivot = Math.sqrt(Math.max(pivot, Number.MIN_VALUE));
    a[column * n + column] = pivot;
    let row = column + 1;
    for (; row + ROWS <= n; row += ROWS) fourRows(a, n, { row, column, pivot });
    for (; row < n; row++) {
      let sum = a[row * n + column] ?? 0;
      for (let k = 0; k < column; k++) sum -= (a[row * n + k] ?? 0) * (a[column * n + k] ?? 0);
      a[row * n + column] = sum / pivot;
    }
  }
  for (let i = 0; i < n; i++) {
    let sum = b[i] ?? 0;
    for (let k = 0; k < i; k++) sum -= (a[i * n + k] ?? 0) * (b[k] ?? 0);
    b[i] = sum / (a[i * n + i] ?? 1);
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = b[i] ?? 0;
    for (let k = i + 1; k < n; k++) sum -= (a[k * n + i] ?? 0) * (b[k] ?? 0);
    b[i] = sum / (a[i * n + i] ?? 1);
  }
}

const ROWS = 4;

/** Entries of one column, four rows side by side: each is a chain of subtractions, and one chain would wait for itself. */
function fourRows(
  a: Float64Array,
  n: number,
  { row, column, pivot }: { readonly row: number; readonly column: number; readonly pivot: number },
): void {
  const [first, own] = [row * n, column * n];
  const [second, third, fourth] = [first + n, first + 2 * n, first + 3 * n];
  let s0 = a[first + column] ?? 0;
  let s1 = a[second + column] ?? 0;
  let s2 = a[third + column] ?? 0;
  let s3 = a[fourth + column] ?? 0;
  for (let k = 0; k < column; k++) {
    const factor = a[own + k] ?? 0;
    s0 -= (a[first + k] ?? 0) * factor;
    s1 -= (a[second + k] ?? 0) * factor;
    s2 -= (a[third + k] ?? 0) * factor;
    s3 -= (a[fourth + k] ?? 0) * factor;
  }
  a[first + column] = s0 / pivot;
  a[second + column] = s1 / pivot;
  a[third + column] = s2 / pivot;
  a[fourth + column] = s3 / pivot;
}
