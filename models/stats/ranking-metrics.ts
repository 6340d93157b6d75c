/**
 * Metrics of a binary ranking, from scores and 0/1 labels with optional weights. Pure; inputs are not changed.
 * All agree with scikit-learn 1.7's functions of the same name (tests hold values).
 */

/** Row indices by descending score; NaN scores are refused. */
export function rankDescending(scores: ArrayLike<number>): Uint32Array {
  const order = new Uint32Array(scores.length);
  for (let i = 0; i < order.length; i++) {
    if (Number.isNaN(scores[i])) throw new RangeError(`score ${i} is NaN`);
    order[i] = i;
  }
  return order.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
}

export interface RankingMetrics {
  readonly rocAuc: number;
  readonly averagePrecision: number;
}

/**
 * ROC AUC: the probability that a random positive scores above a random negative, ties counting half (Hanley and McNeil
 * 1982). Average precision: sum of precision times the step in recall over distinct thresholds, not interpolated
 * (Manning et al. 2008, ch. 8; `average_precision_score`). NaN where one class is absent.
 */
export function rankingMetrics(
  labels: ArrayLike<number>,
  scores: ArrayLike<number>,
  weights: ArrayLike<number> | null = null,
  order: Uint32Array = rankDescending(scores),
): RankingMetrics {
  let positives = 0;
  let negatives = 0;
  let pairs = 0;
  let precisionSum = 0;
  for (let i = 0; i < order.length;) {
    const score = scores[order[i] ?? 0];
    let tiedPositives = 0;
    let tiedNegatives = 0;
    for (; i < order.length && scores[order[i] ?? 0] === score; i++) {
      const row = order[i] ?? 0;
      const weight = weights?.[row] ?? 1;
      if (labels[row] === 1) tiedPositives += weight;
      else tiedNegatives += weight;
    }
    pairs += tiedNegatives * (positives + tiedPositives / 2);
    positives += tiedPositives;
    negatives += tiedNegatives;
    if (tiedPositives > 0) precisionSum += tiedPositives * (positives / (positives + negatives));
  }
  return { rocAuc: pairs / (positives * negatives), averagePrecision: precisionSum / positives };
}

export function rocAuc(
  labels: ArrayLike<number>,
  scores: ArrayLike<number>,
  weights: ArrayLike<number> | null = null,
): number {
  return rankingMetrics(labels, scores, weights).rocAuc;
}

export function averagePrecision(
  labels: ArrayLike<number>,
  scores: ArrayLike<number>,
  weights: ArrayLike<number> | null = null,
): number {
  return rankingMetrics(labels, scores, weights).averagePrecision;
}

/** Share of positives among the k highest scores, and share of all positives found there; ties in row order. */
export function precisionRecallAt(
  labels: ArrayLike<number>,
  scores: ArrayLike<number>,
  k: number,
): { readonly precision: number; readonly recall: number } {
  const order = rankDescending(scores);
  const depth = Math.min(k, order.length);
  let found = 0;
  let positives = 0;
  for (let i = 0; i < order.length; i++) {
    if (labels[order[i] ?? 0] !== 1) continue;
    positives++;
    if (i < depth) found++;
  }
  return { precision: found / depth, recall: found / positives };
}
