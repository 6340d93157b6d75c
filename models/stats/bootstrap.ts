import type { Random } from "./random.ts";

/**
 * Percentile bootstrap (Efron 1979; Efron and Tibshirani 1993, ch. 13). A replicate gives every row the number of times
 * it was drawn; statistics take those counts as weights, so several models are always compared on the same draws.
 */
export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  /** Replicates: 500 is enough for 95 % percentiles. */
  readonly replicates: number;
  /** Mass inside the interval, e.g. 0.95. */
  readonly level: number;
  readonly random: Random;
  /**
   * Rows drawn together, as ids 0..units-1 per row: cards or customers, whose rows are not independent. Null: every row
   * by itself.
   */
  readonly units?: { readonly of: Uint32Array; readonly count: number } | null;
}

/**
 * @param statistic takes row weights (null: the sample itself) and returns a list of numbers, NaN where undefined
 * @returns one interval per number; replicates in which it is NaN (a class was not drawn) are left out
 */
export function bootstrap(
  rows: number,
  options: BootstrapOptions,
  statistic: (weights: Uint16Array | null) => readonly number[],
): Interval[] {
  const values = statistic(null);
  const draws: number[][] = values.map(() => []);
  const weights = new Uint16Array(rows);
  for (let replicate = 0; replicate < options.replicates; replicate++) {
    drawWeights(weights, options);
    for (const [i, value] of statistic(weights).entries()) if (!Number.isNaN(value)) draws[i]?.push(value);
  }
  const tail = (1 - options.level) / 2;
  return values.map((value, i) => {
    const sorted = Float64Array.from(draws[i] ?? []).sort();
    return { value, low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) };
  });
}

function drawWeights(weights: Uint16Array, { random, units }: BootstrapOptions): void {
  if (!units) {
    weights.fill(0);
    for (let i = 0; i < weights.length; i++) {
      const row = Math.floor(random() * weights.length);
      weights[row] = (weights[row] ?? 0) + 1;
    }
    return;
  }
  const counts = new Uint16Array(units.count);
  for (let i = 0; i < units.count; i++) {
    const unit = Math.floor(random() * units.count);
    counts[unit] = (counts[unit] ?? 0) + 1;
  }
  for (let row = 0; row < weights.length; row++) weights[row] = counts[units.of[row] ?? 0] ?? 0;
}

/** Linear interpolation between order statistics (type 7 of Hyndman and Fan 1996, as numpy). NaN for no values. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0) return Number.NaN;
  const place = (sorted.length - 1) * q;
  const below = Math.floor(place);
  const low = sorted[below] ?? Number.NaN;
  const high = sorted[Math.min(sorted.length - 1, below + 1)] ?? Number.NaN;
  return low + (high - low) * (place - below);
}
