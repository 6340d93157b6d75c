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
 * The k best items by score, best first; among equals the lower index, which is the more popular item. NaN ranks last.
 * Where candidates are given, a tie counts against the relevant item, so that a model without an opinion earns nothing.
 */
export function topItems(scores: Float32Array, question: Case, options: RankOptions): Int32Array {
  if (question.candidates !== null) return topCandidates(scores, question, options.k);
  const excluded = excludedItems(question, options.exclude);
  const best = new Int32Array(options.k);
  const values = new Float64Array(options.k);
  let count = 0;
  for (let item = 0; item < scores.length; item++) {
    const score = scores[item] ?? Number.NaN;
    if (count === options.k && !(score > (values[count - 1] ?? 0))) continue;
    if (Number.isNaN(score) || excluded.has(item)) continue;
    let place = count < options.k ? count++ : count - 1;
    while (place > 0 && (values[place - 1] ?? 0) < score) {
      values[place] = values[place - 1] ?? 0;
      best[place] = best[place - 1] ?? 0;
      place--;
    }
    values[place] = score;
    best[place] = item;
  }
  return best.subarray(0, count);
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
