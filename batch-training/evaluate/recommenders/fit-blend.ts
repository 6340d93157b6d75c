import { BLEND_SCALES, rescale } from "../../../models/recommend/blend-scale.ts";
import type { BlendScale } from "../../../models/recommend/served-recommender.ts";
import { type BlendWeights, learnWeights, type PoolCase } from "../../train/recommenders/blend.ts";
import type { FittedRecommender } from "../../train/recommenders/recommender.ts";
import type { Case } from "./cases.ts";
import { excludedItems, type RankOptions, topItems } from "./top-items.ts";

/** Items of a pool from each part: a blend's best k are almost always among its parts' best 60. */
const POOL_ITEMS = 60;

export interface LearnedBlend extends BlendWeights {
  readonly scale: BlendScale;
}

export interface BlendFold {
  readonly parts: readonly FittedRecommender[];
  readonly cases: readonly Case[];
  /** Size of the fold's catalogue. */
  readonly items: number;
}

/** Learns a blend on the validation cases of all folds: weights for each scale, the best scale kept. */
export function fitBlend(folds: readonly BlendFold[], options: RankOptions): LearnedBlend {
  let best: LearnedBlend | null = null;
  for (const scale of BLEND_SCALES) {
    const pools = folds.flatMap(({ parts, cases, items }) =>
      cases.map((question) => poolOf(parts, question, { ...options, items, scale })),
    );
    const learned = { ...learnWeights(pools, folds[0]?.parts.length ?? 0, options.k), scale };
    if (best === null || learned.value > best.value) best = learned;
  }
  if (best === null) throw new Error("a blend needs at least one scale");
  return best;
}

function poolOf(
  parts: readonly FittedRecommender[],
  question: Case,
  options: RankOptions & { readonly items: number; readonly scale: BlendScale },
): PoolCase {
  const chosen = new Set<number>(question.candidates ?? question.relevant);
  const scores = parts.map((part) => {
    const own = new Float32Array(options.items);
    part.score(question.history, question.at, own);
    if (question.candidates === null) {
      const wide = { ...options, k: POOL_ITEMS };
      for (const item of topItems(own, question, wide)) chosen.add(item);
    }
    rescale(own, options.scale);
    return own;
  });
  const excluded = excludedItems(question, options.exclude);
  const items = Int32Array.from([...chosen].filter((item) => item >= 0 && !excluded.has(item))).sort();
  const pool = new Float32Array(parts.length * items.length);
  for (const [part, own] of scores.entries()) {
    for (const [place, item] of items.entries()) pool[part * items.length + place] = own[item] ?? 0;
  }
  return {
    scores: pool,
    items: items.length,
    relevant: Uint8Array.from(items, (item) => (question.relevant.has(item) ? 1 : 0)),
    idealCount: question.idealCount,
  };
}

/** Adds up the parts of a blend for one case. */
export function blendScores(
  partScores: readonly Float32Array[],
  blend: Pick<LearnedBlend, "weights" | "scale">,
  out: Float32Array,
): void {
  out.fill(0);
  for (const [part, scores] of partScores.entries()) {
    const weight = blend.weights[part] ?? 0;
    if (weight === 0) continue;
    const scaled = scores.slice();
    rescale(scaled, blend.scale);
    for (let item = 0; item < out.length; item++) out[item] = (out[item] ?? 0) + weight * (scaled[item] ?? 0);
  }
}
