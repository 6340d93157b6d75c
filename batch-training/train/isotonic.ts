import { edgeBetween } from "./gbdt/binning.ts";

/**
 * Isotonic regression by pooling adjacent violators (Ayer et al. 1955; as calibration Zadrozny and Elkan 2002): the
 * non-decreasing step function of the raw score with the least weighted squared error.
 */
export interface IsotonicFit {
  /**
   * Ascending, float32-exact; step i reaches up to and including `thresholds[i]`, the last step is open. They lie in the
   * middle between observed scores, so that the rounding of a sum does not move a row to another step.
   */
  readonly thresholds: readonly number[];
  /** One more than thresholds; strictly increasing, within [margin, 1 - margin]. */
  readonly values: readonly number[];
}

/** Steps at most: each is a leaf of the served graph. */
const MAX_STEPS = 256;

interface Pool {
  readonly weight: number;
  readonly sum: number;
  /** Least and largest raw score. */
  readonly first: number;
  readonly last: number;
}

/**
 * @param raw scores; @param labels 0/1
 * Values are smoothed like Platt's targets, (positives + 1) / (rows + 2) in the outermost pools, so that no probability is
 * 0 or 1.
 */
export function fitIsotonic(
  raw: ArrayLike<number>,
  labels: ArrayLike<number>,
  weights: ArrayLike<number> | null,
): IsotonicFit {
  const order = Uint32Array.from({ length: raw.length }, (_, i) => i);
  order.sort((a, b) => (raw[a] ?? 0) - (raw[b] ?? 0) || a - b);
  const pools: Pool[] = [];
  for (const row of order) {
    const weight = weights?.[row] ?? 1;
    if (weight === 0) continue;
    const last = Math.fround(raw[row] ?? 0);
    const positives = weight * (labels[row] === 1 ? 1 : 0);
    const tied = pools.at(-1);
    if (tied?.last === last) pools.splice(-1, 1, merge(tied, { weight, sum: positives, first: last, last }));
    else pools.push({ weight, sum: positives, first: last, last });
    mergeViolators(pools);
  }
  mergeViolators(pools);
  while (pools.length > MAX_STEPS) mergeNearest(pools);
  const values = pools.map((pool) => Math.fround(smoothed(pool)));
  const thresholds = pools.slice(0, -1).map((pool, i) => edgeBetween(pool.last, pools[i + 1]?.first ?? pool.last));
  return { thresholds, values: increasing(values) };
}

function merge(a: Pool, b: Pool): Pool {
  return { weight: a.weight + b.weight, sum: a.sum + b.sum, first: a.first, last: b.last };
}

const mean = (pool: Pool): number => pool.sum / pool.weight;

function mergeViolators(pools: Pool[]): void {
  for (;;) {
    const [before, last] = pools.slice(-2);
    if (!before || !last || mean(before) < mean(last)) return;
    pools.splice(-2, 2, merge(before, last));
  }
}

/** The neighbours whose means differ least. */
function mergeNearest(pools: Pool[]): void {
  let nearest = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i + 1 < pools.length; i++) {
    const [a, b] = [pools[i], pools[i + 1]];
    if (!a || !b || mean(b) - mean(a) >= least) continue;
    least = mean(b) - mean(a);
    nearest = i;
  }
  const [a, b] = [pools[nearest], pools[nearest + 1]];
  if (a && b) pools.splice(nearest, 2, merge(a, b));
}

/** Pools of one class only get what a rule of succession gives; the others their mean. */
function smoothed(pool: Pool): number {
  const rate = mean(pool);
  return rate > 0 && rate < 1 ? rate : (pool.sum + 1) / (pool.weight + 2);
}

/** Smoothing the ends may undo the order by a little: a running maximum restores it. */
function increasing(values: readonly number[]): number[] {
  let largest = 0;
  return values.map((value) => (largest = Math.max(largest, value)));
}
