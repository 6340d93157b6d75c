import type { FraudPolicy } from "../../../models/contract/manifest.ts";

/** A declined order is a lost sale: decline only where at least this share was fraud. */
const DECLINE_PRECISION = 0.8;
/** Thresholds are taken from at least this many rows above them, so that one lucky row does not set them. */
const MIN_ROWS_ABOVE = 20;
/** What people can look at: this many times the share of fraud is sent to review at most. */
const REVIEW_CAPACITY = 3;
const MAX_REVIEW_SHARE = 0.1;

/**
 * Thresholds from scores and outcomes of a slice the model was not trained on. Decline: the lowest score above which the share of
 * fraud is at least 80 %. Review: the highest-scored rows up to three times the share of fraud, at most a tenth of all.
 */
export function fitPolicy(scores: ArrayLike<number>, labels: ArrayLike<number>): FraudPolicy {
  const order = Array.from({ length: scores.length }, (_, row) => row).toSorted(
    (a, b) => (scores[b] ?? 0) - (scores[a] ?? 0),
  );
  const at = (position: number): number => Math.min(1, Math.max(0, scores[order[position] ?? 0] ?? 1));
  let frauds = 0;
  // Where the slice is too small to show it, the precision itself is the threshold: scores are calibrated probabilities.
  let declineAt = DECLINE_PRECISION;
  for (const [position, row] of order.entries()) {
    frauds += labels[row] === 1 ? 1 : 0;
    const above = position + 1;
    const tied = position + 1 < order.length && scores[order[position + 1] ?? 0] === scores[row];
    if (!tied && above >= MIN_ROWS_ABOVE && frauds / above >= DECLINE_PRECISION) declineAt = at(position);
  }
  const share = order.length === 0 ? 0 : frauds / order.length;
  const reviewed = Math.floor(order.length * Math.min(MAX_REVIEW_SHARE, share * REVIEW_CAPACITY));
  const reviewAt = reviewed > 0 ? at(reviewed - 1) : 1;
  return { reviewAt: Math.min(reviewAt, declineAt), declineAt };
}
