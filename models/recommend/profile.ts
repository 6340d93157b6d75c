import type { ProfileRule } from "./served-recommender.ts";

/** Distinct items of a history, newest first, with their weights. */
export interface Profile {
  readonly items: Int32Array;
  readonly weights: Float32Array;
}

/** Items a profile holds at most: the newest. Older ones weigh little under any decay, and a crawler's history is no taste. */
export const MAX_PROFILE_ITEMS = 2_000;

/**
 * Turns a history into weighted items: the newest event of an item counts, with
 * `stepDecay ^ (distinct items after it) * 2 ^ (-age / halfLife)`. An unknown time has age 0.
 *
 * @param items catalogue indices, oldest first; negative ones (outside the catalogue) are skipped.
 * @param at seconds, what ages are measured from; events after it have age 0.
 */
export function profileOf(items: Int32Array, times: Float64Array, at: number, rule: ProfileRule): Profile {
  const seen = new Set<number>();
  const weights: number[] = [];
  let step = 1;
  for (let event = items.length - 1; event >= 0 && weights.length < MAX_PROFILE_ITEMS; event--) {
    const item = items[event] ?? -1;
    if (item < 0 || seen.has(item)) continue;
    seen.add(item);
    const age = Math.max(0, at - (times[event] ?? at));
    const byTime = Number.isNaN(age) || rule.halfLifeSeconds === Infinity ? 1 : 2 ** (-age / rule.halfLifeSeconds);
    weights.push(step * byTime);
    step *= rule.stepDecay;
  }
  return { items: Int32Array.from(seen), weights: Float32Array.from(weights) };
}
