/**
 * A blend: the weighted sum of several models' scores, each brought to one scale. Weights are learned on cases that no part was trained on, by
 * coordinate ascent on the mean of a list metric (Metzler and Croft 2007), never below 0.
 */

/** What is kept of one case to learn from: the items that any part ranks high, and every relevant one. */
export interface PoolCase {
  /** parts x items, rescaled. */
  readonly scores: Float32Array;
  readonly items: number;
  /** 1 where the item is relevant. */
  readonly relevant: Uint8Array;
  /** Relevant items the ideal list is made of. */
  readonly idealCount: number;
}

export interface BlendWeights {
  readonly weights: readonly number[];
  /** Mean metric on the learning cases. */
  readonly value: number;
}

/** Steps a coordinate tries: from 0 it enters with a share of the largest weight, else it is scaled. */
const ENTER = [0.03, 0.1, 0.3, 1];
const SCALED = [0, 0.5, 0.8, 1.25, 2];
/** Rounds over all coordinates; gains below the threshold are noise. */
const MAX_ROUNDS = 6;
const LEAST_GAIN = 2e-5;

/** Mean NDCG@k of the weighted sums. */
export function blendQuality(pools: readonly PoolCase[], weights: readonly number[], k: number): number {
  let sum = 0;
  for (const pool of pools) sum += poolNdcg(pool, weights, k);
  return pools.length === 0 ? 0 : sum / pools.length;
}

const discounts = Float64Array.from({ length: 1_024 }, (_, position) => 1 / Math.log2(position + 2));
let sums = new Float64Array(1_024);

function poolNdcg(pool: PoolCase, weights: readonly number[], k: number): number {
  const { items, scores, relevant } = pool;
  if (sums.length < items) sums = new Float64Array(items * 2);
  sums.fill(0, 0, items);
  for (const [part, weight] of weights.entries()) {
    if (weight === 0) continue;
    const from = part * items;
    for (let i = 0; i < items; i++) sums[i] = (sums[i] ?? 0) + weight * (scores[from + i] ?? 0);
  }
  let gain = 0;
  // The rank of a relevant item is the number of items above it: pools are small and few items are relevant.
  for (let i = 0; i < items; i++) {
    if (relevant[i] !== 1) continue;
    const own = sums[i] ?? 0;
    let above = 0;
    for (let j = 0; j < items && above < k; j++) {
      const other = sums[j] ?? 0;
      if (other > own || (other === own && j < i)) above++;
    }
    if (above < k) gain += discounts[above] ?? 0;
  }
  let ideal = 0;
  for (let position = 0; position < Math.min(k, pool.idealCount); position++) ideal += discounts[position] ?? 0;
  return gain / ideal;
}

/** Learns weights for `parts` models. Starts from the best single one, so the result is never worse than that on the pools. */
export function learnWeights(pools: readonly PoolCase[], parts: number, k: number): BlendWeights {
  let weights: number[] = [];
  let value = -1;
  for (let part = 0; part < parts; part++) {
    const single = Array.from({ length: parts }, (_, i) => (i === part ? 1 : 0));
    const quality = blendQuality(pools, single, k);
    if (quality > value) {
      value = quality;
      weights = single;
    }
  }
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before = value;
    for (let part = 0; part < parts; part++) {
      const own = weights[part] ?? 0;
      const top = Math.max(...weights);
      const trials = own === 0 ? ENTER.map((share) => share * top) : SCALED.map((factor) => own * factor);
      for (const trial of trials) {
        const changed = weights.with(part, trial);
        if (changed.every((weight) => weight === 0)) continue;
        const quality = blendQuality(pools, changed, k);
        if (quality > value + LEAST_GAIN) {
          value = quality;
          weights = changed;
        }
      }
    }
    if (value <= before + LEAST_GAIN) break;
  }
  return { weights, value };
}
