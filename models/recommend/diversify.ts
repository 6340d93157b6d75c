import type { Catalogue } from "./catalogue.ts";
import type { RecommendPolicy } from "./policy.ts";

export interface Scored {
  readonly row: number;
  readonly item: number;
  readonly score: number;
}

/** How many of the best candidates `diversify` must be given to pick `limit` of them: all, unless the policy leaves their order alone. */
export function rankedFor({ diversity, categoryShare, newShare }: RecommendPolicy, limit: number): number {
  return diversity > 0 || categoryShare < 1 || newShare > 0 ? Infinity : limit;
}

/**
 * Picks `limit` of candidates that come best first. With `diversity` d > 0 the next pick has the largest (1 - d) × relevance - d × likeness to the
 * nearest pick so far (maximal marginal relevance, Carbonell and Goldstein 1998); relevance is the score brought to [0, 1], likeness the shared part of the
 * categories and the brand. No narrowest category takes more than `categoryShare` of the list while there are others; `newShare` of the places go to
 * candidates for which `isNew` holds, the last ones of each stretch.
 */
export function diversify(
  ranked: readonly Scored[],
  limit: number,
  { catalogue, policy, isNew }: { catalogue: Catalogue; policy: RecommendPolicy; isNew: (row: number) => boolean },
): Scored[] {
  const open = [...ranked];
  const picked: Scored[] = [];
  const perCategory = new Map<number, number>();
  const most = policy.categoryShare >= 1 ? Infinity : Math.max(1, Math.floor(policy.categoryShare * limit));
  const every = policy.newShare > 0 ? Math.max(2, Math.round(1 / policy.newShare)) : Infinity;
  const high = ranked[0]?.score ?? 0;
  const range = high - (ranked.at(-1)?.score ?? 0) || 1;
  const nearest = new Map<number, number>();
  const value = ({ row, score }: Scored): number =>
    (1 - policy.diversity) * (1 - (high - score) / range) - policy.diversity * (nearest.get(row) ?? 0);
  const fits = ({ item }: Scored): boolean => (perCategory.get(catalogue.narrowest(item)) ?? 0) < most;
  while (picked.length < limit && open.length > 0) {
    let at = (picked.length + 1) % every === 0 ? open.findIndex((entry) => isNew(entry.row) && fits(entry)) : -1;
    if (at < 0) at = policy.diversity > 0 ? bestOf(open, fits, value) : open.findIndex(fits);
    // Every category has its share already: the list is filled all the same.
    const [next] = open.splice(Math.max(0, at), 1);
    if (!next) break;
    picked.push(next);
    const category = catalogue.narrowest(next.item);
    if (category >= 0) perCategory.set(category, (perCategory.get(category) ?? 0) + 1);
    if (policy.diversity > 0) {
      for (const { row, item } of open) {
        nearest.set(row, Math.max(nearest.get(row) ?? 0, likeness(catalogue, item, next.item)));
      }
    }
  }
  return picked;
}

function bestOf(open: readonly Scored[], fits: (entry: Scored) => boolean, value: (entry: Scored) => number): number {
  let [best, most] = [-1, Number.NEGATIVE_INFINITY];
  for (const [at, entry] of open.entries()) {
    const own = value(entry);
    if (own > most && fits(entry)) [best, most] = [at, own];
  }
  return best;
}

/** 0 … 1: three quarters for shared categories (Jaccard), one for the same brand. */
export function likeness(catalogue: Catalogue, a: number, b: number): number {
  return likenessTo(catalogue, a, catalogue.categories(a), b);
}

/** The same, where the categories of the first are at hand: a view of them costs more than all the rest. */
export function likenessTo(catalogue: Catalogue, a: number, own: Int32Array, b: number): number {
  let shared = 0;
  for (let at = 0; at < own.length; at++) if (catalogue.isIn(b, own[at] ?? -1)) shared++;
  const all = own.length + catalogue.categoryCount(b) - shared;
  const sameBrand = catalogue.brand(a) >= 0 && catalogue.brand(a) === catalogue.brand(b) ? 0.25 : 0;
  return (all === 0 ? 0 : (0.75 * shared) / all) + sameBrand;
}
