import type { Aggregation } from "./definition.ts";
import { HASH_RANGE } from "./hash.ts";
import { countDistinct, decay, type Parts, type Summary } from "./summary.ts";

const NONE: Parts = {
  sum: false,
  squares: false,
  extremes: false,
  ends: false,
  distinct: false,
  recent: 0,
  halfLifeMs: 0,
};

/** The parts of a summary that an aggregation finishes from. */
export function partsNeeded(aggregation: Aggregation): Parts {
  switch (aggregation.op) {
    case "count":
    case "seen":
      return NONE;
    case "sum":
    case "mean":
    case "rate":
      return { ...NONE, sum: true };
    case "variance":
    case "deviation":
      return { ...NONE, sum: true, squares: true };
    case "min":
    case "max":
      return { ...NONE, extremes: true };
    case "first":
    case "last":
    case "since-first":
    case "since-last":
      return { ...NONE, ends: true };
    case "distinct":
      return { ...NONE, distinct: true };
    case "nth-last":
      return { ...NONE, recent: aggregation.n };
    case "decayed-sum":
      return { ...NONE, halfLifeMs: aggregation.halfLifeMs };
  }
}

/** Whether tiles of a column with these parts can answer. */
export function covers(kept: Parts, needed: Parts): boolean {
  return (
    (kept.sum || !needed.sum) &&
    (kept.squares || !needed.squares) &&
    (kept.extremes || !needed.extremes) &&
    (kept.ends || !needed.ends) &&
    (kept.distinct || !needed.distinct) &&
    kept.recent >= needed.recent &&
    (needed.halfLifeMs === 0 || kept.halfLifeMs === needed.halfLifeMs)
  );
}

/** The value of an aggregation over the facts of a summary; NaN where there is none. `asOf` in epoch milliseconds. */
export function finish(aggregation: Aggregation, summary: Summary, asOf: number): number {
  const { count } = summary;
  switch (aggregation.op) {
    case "count":
      return count;
    case "seen":
      return count > 0 ? 1 : 0;
    case "sum":
      return summary.sum;
    case "rate": {
      const weight = count + aggregation.weight;
      return weight > 0 ? (summary.sum + aggregation.prior * aggregation.weight) / weight : Number.NaN;
    }
    case "mean":
      return count > 0 ? summary.sum / count : Number.NaN;
    case "variance":
      return count > 1 ? Math.max(0, summary.m2) / (count - 1) : Number.NaN;
    case "deviation":
      return count > 1 ? Math.sqrt(Math.max(0, summary.m2) / (count - 1)) : Number.NaN;
    case "min":
      return count > 0 ? summary.min : Number.NaN;
    case "max":
      return count > 0 ? summary.max : Number.NaN;
    case "first":
      return summary.first;
    case "last":
      return summary.last;
    case "distinct":
      return countDistinct(summary.distinct, HASH_RANGE);
    case "nth-last":
      return summary.recent[(aggregation.n - 1) * 3 + 2] ?? Number.NaN;
    case "since-last":
      return count > 0 ? (asOf - summary.lastTime) / 1000 : Number.NaN;
    case "since-first":
      return count > 0 ? (asOf - summary.firstTime) / 1000 : Number.NaN;
    case "decayed-sum":
      return count > 0 ? summary.decayed * decay(asOf - summary.decayedAt, aggregation.halfLifeMs) : 0;
  }
}
