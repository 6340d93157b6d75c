import { FEATURE_CELLS } from "./kernel.ts";

/**
 * Bin edges from a sorted sample (greedy equal-count binning after Ke et al., LightGBM, NIPS 2017). Bin 0 is missing;
 * bin b >= 1 holds the values in (edges[b - 2], edges[b - 1]]. Edges are float32 between observed values, so that
 * `x <= edge` in the exported graph sends every row where training sent it.
 */

/** The largest float32 e with low <= e < high, as near to the middle as float32 allows. */
export function edgeBetween(low: number, high: number): number {
  if (low === -Infinity) return high > -MAX_FLOAT ? -MAX_FLOAT : low;
  const middle = Math.fround(low / 2 + high / 2);
  return middle >= low && middle < high ? middle : low;
}

const MAX_FLOAT = 3.4028234663852886e38;

/**
 * @param sorted ascending float32 values without NaN (may be empty)
 * @returns at most maxBins - 1 ascending edges
 */
export function findEdges(sorted: Float32Array, maxBins: number): Float32Array {
  const { values, counts } = distinctValues(sorted);
  if (values.length <= maxBins) {
    const edges = new Float32Array(Math.max(0, values.length - 1));
    for (let i = 0; i < edges.length; i++) edges[i] = edgeBetween(values[i] ?? 0, values[i + 1] ?? 0);
    return edges;
  }
  return greedyEdges(values, counts, sorted.length, maxBins);
}

function distinctValues(sorted: Float32Array): { values: number[]; counts: number[] } {
  const values: number[] = [];
  const counts: number[] = [];
  for (let i = 0; i < sorted.length;) {
    const value = sorted[i] ?? 0;
    let next = i + 1;
    while (next < sorted.length && sorted[next] === value) next++;
    // -0 and 0 compare equal and sort as neighbours: one value.
    values.push(value);
    counts.push(next - i);
    i = next;
  }
  return { values, counts };
}

/** A value as frequent as an average bin gets its own; the others are packed to equal counts. */
function greedyEdges(values: number[], counts: number[], total: number, maxBins: number): Float32Array {
  const frequent = counts.map((count) => count >= total / maxBins);
  let binsLeft = maxBins;
  let rowsLeft = total;
  for (const [i, count] of counts.entries()) {
    if (!frequent[i]) continue;
    binsLeft--;
    rowsLeft -= count;
  }
  let target = rowsLeft / Math.max(1, binsLeft);
  const edges: number[] = [];
  let inBin = 0;
  for (let i = 0; i < values.length - 1 && edges.length < maxBins - 1; i++) {
    const count = counts[i] ?? 0;
    if (!frequent[i]) rowsLeft -= count;
    inBin += count;
    const full = inBin >= target || (frequent[i + 1] && inBin >= Math.max(1, target / 2));
    if (!frequent[i] && !full) continue;
    edges.push(edgeBetween(values[i] ?? 0, values[i + 1] ?? 0));
    inBin = 0;
    if (!frequent[i]) {
      binsLeft--;
      target = rowsLeft / Math.max(1, binsLeft);
    }
  }
  return Float32Array.from(edges);
}

/** Writes edges for `binColumn`: 255 values, padded with +infinity. */
export function storeEdges(edges: Float32Array, into: Float32Array): void {
  into.fill(Number.POSITIVE_INFINITY, 0, FEATURE_CELLS);
  into.set(edges);
}

/** Every `ceil(rows / size)`-th row would alias with periodic data; a multiplicative walk does not. */
export function sampleColumn(column: Float32Array, rows: number, size: number, into: Float32Array): number {
  let kept = 0;
  if (rows <= size) {
    for (let row = 0; row < rows; row++) {
      const value = column[row] ?? Number.NaN;
      if (!Number.isNaN(value)) into[kept++] = value;
    }
    return kept;
  }
  // Stratified: one row from each of `size` equal stretches, at an offset that a hash of the stretch gives.
  for (let i = 0; i < size; i++) {
    const begin = Math.floor((i * rows) / size);
    const end = Math.floor(((i + 1) * rows) / size);
    const offset = (Math.imul(i + 1, 0x9e3779b1) >>> 8) % (end - begin);
    const value = column[begin + offset] ?? Number.NaN;
    if (!Number.isNaN(value)) into[kept++] = value;
  }
  return kept;
}
