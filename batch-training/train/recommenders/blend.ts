import type { BlendScale, ServedBlend, ServedPart } from "../../../models/recommend/served-recommender.ts";

/**
 * A blend: the weighted sum of several models' scores, each brought to one scale. Weights are learned on cases that no part
 * was trained on.
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

/** Mean NDCG@k of the weighted sums. */
export function blendQuality(pools: readonly PoolCase[], weights: readonly number[], k: number): number {
  let sum = 0;
  for (const pool of pools) sum += poolNdcg(pool, weights, k);
  return pools.length === 0 ? 0 : sum / pools.length;
}

const discounts = Float64Array.from({ length: 1_024 }, (_, position) => 1 / Math.log2(position + 2));
let sums = new Float64Array(1_024);

function poolNdcg(pool: PoolCase, weights: readonly number[], k: number): number {
  const { items, relevant } = pool;
  addUp(pool, weights);
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

/** Shares of the best part's quality from which parts enter an even start. */
const EVEN_STARTS = [0.97, 0.9];
/** Steps of a weight: one of 0 enters with a share of the largest, any other is scaled. */
const ENTER = [0.1, 0.3, 1];
const SCALED = [0, 0.5, 0.8, 1.25, 2];
const MAX_ROUNDS = 6;
/** Smallest gain of a step, as a share of the quality: less is noise of a few hundred cases. */
const LEAST_GAIN = 1e-3;

/**
 * Learns weights for `parts` models, none below 0, by coordinate ascent on the mean NDCG@k (Metzler and Croft 2007). The surface is jagged, so the
 * ascent starts from even weights of the good parts as well as from the best single one, and the highest end is taken: never below the
 * best single part on these cases.
 */
export function learnWeights(pools: readonly PoolCase[], parts: number, k: number): BlendWeights {
  const alone = Array.from({ length: parts }, (_, part) =>
    blendQuality(
      pools,
      Array.from({ length: parts }, (_, i) => (i === part ? 1 : 0)),
      k,
    ),
  );
  const top = Math.max(...alone);
  const starts = [
    alone.map((_, part) => (part === alone.indexOf(top) ? 1 : 0)),
    ...EVEN_STARTS.map((share) => alone.map((value) => (value >= share * top ? 1 : 0))),
  ];
  return starts.map((start) => ascend(pools, start, k)).reduce((best, end) => (end.value > best.value ? end : best));
}

function ascend(pools: readonly PoolCase[], start: readonly number[], k: number): BlendWeights {
  let weights = start;
  let value = blendQuality(pools, weights, k);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before = value;
    for (const part of start.keys()) {
      const own = weights[part] ?? 0;
      const largest = Math.max(...weights);
      const trials = own === 0 ? ENTER.map((share) => share * largest) : SCALED.map((factor) => own * factor);
      for (const trial of trials) {
        const changed = weights.with(part, trial);
        if (changed.every((weight) => weight === 0)) continue;
        const quality = blendQuality(pools, changed, k);
        if (quality <= value * (1 + LEAST_GAIN)) continue;
        value = quality;
        weights = changed;
      }
    }
    if (value === before) break;
  }
  return { weights, value };
}

/** Leaves the weighted sums of a pool in `sums`. */
function addUp({ items, scores }: PoolCase, weights: ArrayLike<number>): void {
  if (sums.length < items) sums = new Float64Array(items * 2);
  sums.fill(0, 0, items);
  for (let part = 0; part < weights.length; part++) {
    const weight = weights[part] ?? 0;
    if (weight === 0) continue;
    const from = part * items;
    for (let i = 0; i < items; i++) sums[i] = (sums[i] ?? 0) + weight * (scores[from + i] ?? 0);
  }
}

/** The served form of a learned blend: parts of weight 0 are left out. */
export function serveBlend(
  parts: readonly ServedPart[],
  blend: { readonly weights: readonly number[]; readonly scale: BlendScale },
): ServedBlend {
  const items = parts[0]?.items ?? 0;
  return {
    kind: "blend",
    items,
    scale: blend.scale,
    parts: parts.flatMap((part, index) => {
      const weight = blend.weights[index] ?? 0;
      return weight > 0 ? [{ weight, part }] : [];
    }),
  };
}
