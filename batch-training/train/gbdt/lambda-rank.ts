/**
 * LambdaRank gradients of one group (Burges 2010, "From RankNet to LambdaRank to LambdaMART"), in the form of LightGBM:
 * gains 2^label - 1, discounts 1 / log2(2 + rank), pairs of which at least one row ranks above the truncation.
 */
export interface RankedGroup {
  /** First row of the group. */
  readonly begin: number;
  readonly scores: Float64Array;
  readonly labels: Float32Array;
}

/** Rows by descending score, ties in row order. */
function ranking(scores: Float64Array): Uint32Array {
  const order = Uint32Array.from(scores, (_, i) => i);
  return order.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
}

function gain(label: number): number {
  return 2 ** label - 1;
}

function discount(rank: number): number {
  return 1 / Math.log2(2 + rank);
}

function idealGain(labels: Float32Array, depth: number): number {
  const sorted = Float32Array.from(labels).sort().toReversed();
  let sum = 0;
  for (let rank = 0; rank < Math.min(depth, sorted.length); rank++) sum += gain(sorted[rank] ?? 0) * discount(rank);
  return sum;
}

/** NDCG at a depth; 1 for a group without relevant rows, as LightGBM counts it. */
export function normalisedGain({ scores, labels }: RankedGroup, depth: number): number {
  const ideal = idealGain(labels, depth);
  if (ideal === 0) return 1;
  const order = ranking(scores);
  let sum = 0;
  for (let rank = 0; rank < Math.min(depth, order.length); rank++)
    sum += gain(labels[order[rank] ?? 0] ?? 0) * discount(rank);
  return sum / ideal;
}

/** Writes (gradient, hessian) pairs, row by row. */
export function lambdaRankGroup(group: RankedGroup, truncation: number, weight: number, pairs: Float32Array): void {
  const { scores, labels } = group;
  const n = labels.length;
  const g = new Float64Array(n);
  const h = new Float64Array(n);
  const ideal = idealGain(labels, truncation);
  if (ideal > 0) {
    const order = ranking(scores);
    for (let i = 0; i < Math.min(truncation, n - 1); i++) {
      for (let j = i + 1; j < n; j++) addPair(order[i] ?? 0, order[j] ?? 0, discount(i) - discount(j));
    }
  }
  for (let row = 0; row < n; row++) {
    pairs[row * 2] = weight * (g[row] ?? 0);
    pairs[row * 2 + 1] = weight * (h[row] ?? 0);
  }

  function addPair(a: number, b: number, discountGap: number): void {
    const [labelA, labelB] = [labels[a] ?? 0, labels[b] ?? 0];
    if (labelA === labelB) return;
    const [better, worse] = labelA > labelB ? [a, b] : [b, a];
    const delta = (Math.abs(gain(labelA) - gain(labelB)) * Math.abs(discountGap)) / ideal;
    // Probability that the worse one is ranked above the better one.
    const p = 1 / (1 + Math.exp((scores[better] ?? 0) - (scores[worse] ?? 0)));
    g[better] = (g[better] ?? 0) - p * delta;
    g[worse] = (g[worse] ?? 0) + p * delta;
    const curvature = p * (1 - p) * delta;
    h[better] = (h[better] ?? 0) + curvature;
    h[worse] = (h[worse] ?? 0) + curvature;
  }
}
