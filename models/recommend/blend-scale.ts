import type { BlendScale } from "./served-recommender.ts";

export const BLEND_SCALES: readonly BlendScale[] = ["deviation", "maximum", "rank"];

/** Rank constant of reciprocal rank fusion (Cormack, Clarke, Büttcher 2009). */
const RANK_OFFSET = 60;
/** Ranks from here on count alike: 1 / (60 + 1000) is a tenth of a percent away from nothing. */
const RANKED_ITEMS = 1_000;

/**
 * Brings the scores of one model for one case to the common scale, in place. A model without an opinion gives zeros.
 * @param spread the deviation of all scores, where those that are here are not all
 */
export function rescale(scores: Float32Array, scale: BlendScale, spread: number | null = null): void {
  if (scale === "rank") toReciprocalRanks(scores);
  else {
    const unit = scale === "maximum" ? largest(scores) : (spread ?? deviation(scores, scores.length));
    const factor = unit > 0 && Number.isFinite(unit) ? 1 / unit : 0;
    for (let i = 0; i < scores.length; i++) scores[i] = (scores[i] ?? 0) * factor;
  }
}

function largest(scores: Float32Array): number {
  let max = 0;
  for (const score of scores) max = Math.max(max, Math.abs(score));
  return max;
}

/** @param items of which those whose scores are not here have 0 */
export function deviation(scores: Float32Array, items: number): number {
  let sum = 0;
  let squares = 0;
  for (const score of scores) {
    sum += score;
    squares += score * score;
  }
  const mean = sum / items;
  return Math.sqrt(Math.max(0, squares / items - mean * mean));
}

function toReciprocalRanks(scores: Float32Array): void {
  const order: number[] = [];
  for (let i = 0; i < scores.length; i++) if ((scores[i] ?? 0) > 0) order.push(i);
  order.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  scores.fill(0);
  for (const [rank, item] of order.slice(0, RANKED_ITEMS).entries()) scores[item] = RANK_OFFSET / (RANK_OFFSET + rank);
}
