/** Figures of the served pipeline over questions of a later time. */
import type { RecommendSource } from "../../../models/recommend/recommend-request.ts";
import { listQuality } from "../../../models/stats/recommendation-metrics.ts";
import { type Asked, answers, type PastLog } from "./ask.ts";
import type { Question } from "./questions.ts";

export const LIST = 10;
/** Sources that say nothing of the visitor or of the page. */
const IMPERSONAL: ReadonlySet<RecommendSource> = new Set(["scores", "popular", "trending", "new", "catalogue"]);

export interface Measured {
  /** Of each question: NDCG@10 over everything met, and over what was bought (NaN where nothing was). */
  readonly ndcg: Float64Array;
  readonly bought: Float64Array;
  readonly hit: Float64Array;
  /** 1 where every item of the list came from a source that says nothing of visitor or page. */
  readonly fallback: Float64Array;
  readonly sources: ReadonlyMap<RecommendSource, number>;
  /** Distinct products shown. */
  readonly shown: number;
}

export function measure(
  asked: Omit<Asked, "limit" | "vectors">,
  questions: readonly Question[],
  log: PastLog,
): Measured {
  const column = (): Float64Array => new Float64Array(questions.length).fill(Number.NaN);
  const measured = { ndcg: column(), bought: column(), hit: column(), fallback: column() };
  const sources = new Map<RecommendSource, number>();
  const shown = new Set<string>();
  let row = 0;
  for (const { question, answer } of answers(
    { ...asked, limit: LIST, vectors: asked.ranker !== null },
    questions,
    log,
  )) {
    const { outcome } = question;
    const list = Array.from(answer.items.keys());
    const idAt = (place: number): string => answer.items[place]?.productId ?? "";
    const all = listQuality(list, (place) => outcome.has(idAt(place)), { relevant: outcome.size, k: LIST });
    measured.ndcg[row] = all.ndcg;
    measured.hit[row] = all.hitRate;
    const bought = [...outcome.values()].filter((action) => action === "purchase").length;
    if (bought > 0) {
      const isBought = (place: number): boolean => outcome.get(idAt(place)) === "purchase";
      measured.bought[row] = listQuality(list, isBought, { relevant: bought, k: LIST }).ndcg;
    }
    measured.fallback[row] = answer.items.every(({ source }) => IMPERSONAL.has(source)) ? 1 : 0;
    for (const { source, productId } of answer.items) {
      sources.set(source, (sources.get(source) ?? 0) + 1);
      shown.add(productId);
    }
    row++;
  }
  return { ...measured, sources, shown: shown.size };
}
