import { topK } from "../../train/recommenders/two-stage/top-k.ts";
import type { Case } from "./cases.ts";

/** What is never shown: nothing, the item in view (the last of the history), or all of the history. */
export type Exclusion = "nothing" | "last" | "history";

export interface RankOptions {
  readonly k: number;
  readonly exclude: Exclusion;
}

export function excludedItems(question: Case, exclude: Exclusion): ReadonlySet<number> {
  if (exclude === "nothing") return NOTHING;
  const { items } = question.history;
  return new Set(exclude === "history" ? items : items.subarray(-1));
}

const NOTHING: ReadonlySet<number> = new Set();

/**
 * The k best items by score, best first, as `topK` has them. Where candidates are given, a tie counts against the relevant item, so that a model without an opinion earns nothing.
 */
export function topItems(scores: Float32Array, question: Case, options: RankOptions): Int32Array {
  if (question.candidates !== null) return topCandidates(scores, question, options.k);
  const excluded = excludedItems(question, options.exclude);
  return topK(scores, options.k, (item) => excluded.has(item));
}

function topCandidates(scores: Float32Array, question: Case, k: number): Int32Array {
  const score = (item: number): number => {
    const value = scores[item] ?? Number.NaN;
    return Number.isNaN(value) ? -Infinity : value;
  };
  const isRelevant = (item: number): number => (question.relevant.has(item) ? 1 : 0);
  return (question.candidates ?? new Int32Array(0))
    .toSorted((a, b) => score(b) - score(a) || isRelevant(a) - isRelevant(b) || a - b)
    .subarray(0, k);
}
