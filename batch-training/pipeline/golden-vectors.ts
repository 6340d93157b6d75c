import type { GoldenVectors } from "../../models/contract/manifest.ts";
import type { TrainingRows } from "./training-rows.ts";

/** Rows kept: the extremes and an even spread, enough to reach most branches and small enough for a manifest. */
const EXTREMES = 8;
const SPREAD = 24;
/** Float32 sums of a few hundred leaves differ between engines in the seventh digit. */
const TOLERANCE = 1e-5;

/** Rows of the test slice with the trainer's own scores: what a loaded model must reproduce before it may serve. */
export function goldenVectors(rows: TrainingRows, scores: ArrayLike<number>): GoldenVectors {
  const count = rows.labels.length;
  const byScore = Array.from({ length: count }, (_, row) => row).toSorted(
    (a, b) => (scores[a] ?? 0) - (scores[b] ?? 0),
  );
  const spread = Array.from({ length: SPREAD }, (_, index) => Math.floor((index * count) / SPREAD));
  const wanted = new Set([...byScore.slice(0, EXTREMES), ...byScore.slice(-EXTREMES), ...spread]);
  // JSON has no infinities, and null stands for a missing value only.
  const writable = (row: number): boolean =>
    rows.columns.every((column) => Math.abs(column[row] ?? 0) !== Number.POSITIVE_INFINITY);
  const chosen = [...wanted].filter((row) => row < count && writable(row)).toSorted((a, b) => a - b);
  return {
    tolerance: TOLERANCE,
    rows: chosen.map((row) => ({
      vector: rows.columns.map((column) => valueOrNull(column[row] ?? Number.NaN)),
      score: [scores[row] ?? 0],
    })),
  };
}

function valueOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
