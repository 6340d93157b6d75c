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
  const few = distinctValues(sorted, maxBins);
  if (few === null) return edgesOfMany(sorted, maxBins);
  const edges = new Float32Array(Math.max(0, few.length - 1));
  for (let i = 0; i < edges.length; i++) edges[i] = edgeBetween(few[i] ?? 0, few[i + 1] ?? 0);
  return edges;
}

/** Null where there are more than `limit`. -0 and 0 sort as neighbours and compare equal: one value. */
function distinctValues(sorted: Float32Array, limit: number): number[] | null {
  const values: number[] = [];
  for (let i = 0; i < sorted.length; i = runEnd(sorted, i)) {
    if (values.length === limit) return null;
    values.push(sorted[i] ?? 0);
  }
  return values;
}

/** Place after the run of equal values that begins at `i`. */
function runEnd(sorted: Float32Array, i: number): number {
  const value = sorted[i];
  let end = i + 1;
  while (end < sorted.length && sorted[end] === value) end++;
  return end;
}

/** Share of the bins that each end of the values gets beside the bin of equal count that it has. */
const TAIL_SHARE = 0.09;
/** Fewer bins than this leave nothing to give away. */
const MIN_BINS_FOR_TAILS = 64;

/**
 * Bins of equal count are widest where values are rarest, and what is rare and matters (a fraud, a failure) is often just there: the
 * dearest 0.2 % of orders would share one bin of 0.4 %. So the outermost bins are cut again, at ranks that shrink geometrically to one row.
 */
function edgesOfMany(sorted: Float32Array, maxBins: number): Float32Array {
  const tail = maxBins < MIN_BINS_FOR_TAILS ? 0 : Math.floor(maxBins * TAIL_SHARE);
  const body = maxBins - 2 * tail;
  const edges = new Set(greedyEdges(sorted, body));
  const shrink = (sorted.length / body) ** (1 / Math.max(1, tail));
  for (let step = 0; step < tail; step++) {
    const rank = Math.max(1, Math.round(shrink ** step));
    for (const at of [rank, sorted.length - rank]) {
      const [low, high] = [sorted[at - 1] ?? 0, sorted[at] ?? 0];
      if (at > 0 && at < sorted.length && low < high) edges.add(edgeBetween(low, high));
    }
  }
  return Float32Array.from(edges).sort();
}

/** A value as frequent as an average bin gets its own; the others are packed to equal counts. */
function greedyEdges(sorted: Float32Array, maxBins: number): Float32Array {
  const frequentCount = sorted.length / maxBins;
  let binsLeft = maxBins;
  let rowsLeft = sorted.length;
  for (let i = 0, end = 0; i < sorted.length; i = end) {
    end = runEnd(sorted, i);
    if (end - i < frequentCount) continue;
    binsLeft--;
    rowsLeft -= end - i;
  }
  let target = rowsLeft / Math.max(1, binsLeft);
  const edges: number[] = [];
  let inBin = 0;
  let end = runEnd(sorted, 0);
  for (let i = 0; end < sorted.length && edges.length < maxBins - 1;) {
    const count = end - i;
    const nextEnd = runEnd(sorted, end);
    const frequent = count >= frequentCount;
    if (!frequent) rowsLeft -= count;
    inBin += count;
    const nextFrequent = nextEnd - end >= frequentCount;
    if (frequent || inBin >= target || (nextFrequent && inBin >= Math.max(1, target / 2))) {
      edges.push(edgeBetween(sorted[i] ?? 0, sorted[end] ?? 0));
      inBin = 0;
      if (!frequent) {
        binsLeft--;
        target = rowsLeft / Math.max(1, binsLeft);
      }
    }
    i = end;
    end = nextEnd;
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

/**
 * Categories that get a bin, the most frequent first (ties by code): bin b holds the b-th. Those seen once, and past
 * `maxBins` the rare ones, share bin 0 with missing and with what training never saw.
 */
export function findCategories(column: Float32Array, maxBins: number): Float32Array {
  const counts = new Map<number, number>();
  for (const value of column) {
    if (!Number.isNaN(value)) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const ranked = [...counts].filter(([, count]) => count > 1).sort(([a, m], [b, n]) => n - m || a - b);
  return Float32Array.from(ranked.slice(0, maxBins), ([category]) => category);
}

export function binCategories(column: Float32Array, categories: Float32Array, out: Uint8Array): void {
  const binOf = new Map<number, number>();
  for (const [i, category] of categories.entries()) binOf.set(category, i + 1);
  for (let row = 0; row < column.length; row++) out[row] = binOf.get(column[row] ?? Number.NaN) ?? 0;
}
