/**
 * Quality of one ranked list against the set of items that turned out to be relevant (binary relevance), and of many
 * lists against the catalogue. Pure; a list is item indices, best first; `k` cuts it.
 *
 * Per list, with h_i = 1 where the item at rank i (from 1) is relevant, R the relevant items, n = min(k, length):
 *
 * | name | definition | source |
 * |---|---|---|
 * | hit rate | 1 if any h_i | Deshpande and Karypis 2004 |
 * | recall | sum h_i / |R| | Manning, Raghavan, Schütze 2008, ch. 8 |
 * | precision | sum h_i / k (a short list is not rewarded) | same |
 * | NDCG | sum h_i / log2(i + 1) over its value for the ideal list, which has min(k, |R|) relevant items | Järvelin and Kekäläinen 2002 |
 * | average precision | sum h_i * precision@i / min(k, |R|); MAP is its mean | Manning et al., cut at k as in Kaggle's MAP@k |
 * | reciprocal rank | 1 / rank of the first relevant item, 0 if none; MRR is its mean | Voorhees 1999 |
 *
 * Over lists: coverage (Ge et al. 2010), novelty as mean self-information (Zhou et al. 2010), intra-list diversity as mean
 * pairwise dissimilarity (Ziegler et al. 2005), popularity lift (Abdollahpouri et al. 2019, GAP), Gini of exposure
 * (Adomavicius and Kwon 2012).
 */

export interface ListQuality {
  readonly hitRate: number;
  readonly recall: number;
  readonly precision: number;
  readonly ndcg: number;
  readonly averagePrecision: number;
  readonly reciprocalRank: number;
}

/** Gain of rank `rank` (from 1). */
const discount = (rank: number): number => 1 / Math.log2(rank + 1);

/** The DCG of a list whose first `count` items are all relevant. */
export function idealGain(count: number): number {
  let sum = 0;
  for (let rank = 1; rank <= count; rank++) sum += discount(rank);
  return sum;
}

/**
 * @param ranked item indices, best first, without repeats; may be shorter than `k`.
 * @param isRelevant tells whether an item is relevant.
 * @param relevant number of relevant items, at least 1 (a list without any has no recall: leave it out of the mean).
 * @throws RangeError if `relevant` or `k` is below 1.
 */
export function listQuality(
  ranked: ArrayLike<number>,
  isRelevant: (item: number) => boolean,
  { relevant, k }: { readonly relevant: number; readonly k: number },
): ListQuality {
  if (!(relevant >= 1)) throw new RangeError("a list without relevant items has no recall: leave it out of the mean");
  if (!(k >= 1)) throw new RangeError("k must be at least 1");
  const length = Math.min(k, ranked.length);
  let hits = 0;
  let gain = 0;
  let precisionSum = 0;
  let first = 0;
  for (let position = 0; position < length; position++) {
    if (!isRelevant(ranked[position] ?? -1)) continue;
    hits++;
    gain += discount(position + 1);
    precisionSum += hits / (position + 1);
    if (first === 0) first = position + 1;
  }
  const attainable = Math.min(k, relevant);
  return {
    hitRate: hits > 0 ? 1 : 0,
    recall: hits / relevant,
    precision: hits / k,
    ndcg: gain / idealGain(attainable),
    averagePrecision: precisionSum / attainable,
    reciprocalRank: first === 0 ? 0 : 1 / first,
  };
}

/** Share of the catalogue that occurs in at least one list. 0 for an empty catalogue. */
export function catalogueCoverage(lists: Iterable<ArrayLike<number>>, catalogue: number): number {
  const seen = new Set<number>();
  for (const list of lists) for (let i = 0; i < list.length; i++) seen.add(list[i] ?? -1);
  return catalogue === 0 ? 0 : seen.size / catalogue;
}

/**
 * Mean self-information of the listed items in bits: -log2 of the share of users who know the item. An item nobody
 * knows counts as known by one user, so that the figure stays finite.
 */
export function novelty(list: ArrayLike<number>, knownBy: ArrayLike<number>, users: number): number {
  if (list.length === 0) return 0;
  let sum = 0;
  for (let i = 0; i < list.length; i++) sum -= Math.log2(Math.max(1, knownBy[list[i] ?? -1] ?? 0) / Math.max(1, users));
  return sum / list.length;
}

/** Mean of 1 - similarity over all pairs of the list; 0 for fewer than two items. `similarity` is symmetric, in [0, 1]. */
export function intraListDiversity(
  list: ArrayLike<number>,
  similarity: (left: number, right: number) => number,
): number {
  const n = list.length;
  if (n < 2) return 0;
  let sum = 0;
  for (let i = 1; i < n; i++) for (let j = 0; j < i; j++) sum += 1 - similarity(list[i] ?? -1, list[j] ?? -1);
  return sum / ((n * (n - 1)) / 2);
}

/** Mean popularity (`knownBy / users`) of the listed items. */
export function meanPopularity(list: ArrayLike<number>, knownBy: ArrayLike<number>, users: number): number {
  if (list.length === 0) return 0;
  let sum = 0;
  for (let i = 0; i < list.length; i++) sum += (knownBy[list[i] ?? -1] ?? 0) / Math.max(1, users);
  return sum / list.length;
}

/**
 * Popularity lift: mean popularity of what is recommended over mean popularity of what users have, minus 1. 0 is faithful
 * to the users' own taste, positive favours the popular.
 */
export function popularityLift(recommended: number, profile: number): number {
  return profile === 0 ? 0 : recommended / profile - 1;
}

/** Gini coefficient of how often each item of the catalogue is shown: 0 all alike, towards 1 a few get everything. */
export function exposureGini(exposures: Float64Array): number {
  const n = exposures.length;
  const sorted = exposures.toSorted();
  let total = 0;
  let weighted = 0;
  for (let i = 0; i < n; i++) {
    total += sorted[i] ?? 0;
    weighted += (i + 1) * (sorted[i] ?? 0);
  }
  return total === 0 ? 0 : (2 * weighted) / (n * total) - (n + 1) / n;
}
