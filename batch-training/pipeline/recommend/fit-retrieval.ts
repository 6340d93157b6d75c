/** The first stage: parts fitted on a part of the log, blended with weights learned on later questions. */
import { openIds, type RecommenderBundle } from "../../../models/recommend/bundle.ts";
import { rescale } from "../../../models/recommend/blend-scale.ts";
import { Catalogue } from "../../../models/recommend/catalogue.ts";
import { historyFor } from "../../../models/recommend/retrieval.ts";
import { openScorer } from "../../../models/recommend/scorer.ts";
import type { BlendScale, ServedPart } from "../../../models/recommend/served-recommender.ts";
import { indexHistory } from "../../../models/recommend/visitor-history.ts";
import { learnWeights, type PoolCase } from "../../train/recommenders/blend.ts";
import { topK } from "../../train/recommenders/two-stage/top-k.ts";
import type { Question } from "./questions.ts";

/** Items of each part that a pool is made of. */
const POOL_ITEMS = 40;
const K = 10;

export interface LearnedBlend {
  readonly weights: readonly number[];
  readonly scale: BlendScale;
  /** Mean NDCG@10 over the questions learned from, without filters. */
  readonly value: number;
}

/** @param bundle of the same time as the parts: its catalogue numbers the items */
export function learnBlend(
  parts: readonly ServedPart[],
  bundle: Pick<RecommenderBundle, "table" | "policy">,
  questions: readonly Question[],
  scales: readonly BlendScale[],
): LearnedBlend {
  const catalogue = new Catalogue(bundle.table, openIds(bundle));
  const opened = parts.map((part) => ({ kind: part.kind, scorer: openScorer(part) }));
  let best: LearnedBlend | null = null;
  for (const scale of scales) {
    const pools = questions.flatMap((question) => {
      const { facts, now, productId, outcome } = question;
      const history = indexHistory(catalogue, bundle.policy, { facts, recent: [], now });
      const inView = productId === null ? -1 : catalogue.indexOf(productId);
      const relevant = new Set(Array.from(outcome.keys(), (id) => catalogue.indexOf(id)));
      const scores = opened.map(({ kind, scorer }) => {
        const own = new Float32Array(bundle.table.items);
        scorer.score(historyFor(kind, history), now / 1_000, own);
        return own;
      });
      return poolOf(scores, { relevant, inView, scale });
    });
    const learned = { ...learnWeights(pools, parts.length, K), scale };
    if (best === null || learned.value > best.value) best = learned;
  }
  if (best === null) throw new Error("a blend needs at least one scale");
  return best;
}

function poolOf(
  scores: readonly Float32Array[],
  { relevant, inView, scale }: { relevant: ReadonlySet<number>; inView: number; scale: BlendScale },
): PoolCase[] {
  const chosen = new Set<number>();
  for (const own of scores) for (const item of topK(own, POOL_ITEMS, (item) => item === inView)) chosen.add(item);
  for (const item of relevant) if (item >= 0 && item < (scores[0]?.length ?? 0)) chosen.add(item);
  const items = Int32Array.from(chosen).sort();
  const pool = new Float32Array(scores.length * items.length);
  for (const [part, own] of scores.entries()) {
    rescale(own, scale);
    for (const [place, item] of items.entries()) pool[part * items.length + place] = own[item] ?? 0;
  }
  return [
    {
      scores: pool,
      items: items.length,
      relevant: Uint8Array.from(items, (item) => (relevant.has(item) ? 1 : 0)),
      idealCount: relevant.size,
    },
  ];
}
