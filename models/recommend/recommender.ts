import type { NeighbourLists, RecommenderBundle } from "./bundle.ts";
import { CandidateSet, type Column, COLUMN_COUNT, COLUMNS } from "./candidates.ts";
import type { Catalogue } from "./catalogue.ts";
import { diversify, likenessTo, rankedFor, type Scored } from "./diversify.ts";
import { Eligibility, STRICTNESS } from "./eligibility.ts";
import type { RecommendPolicy } from "./policy.ts";
import { RANKING_WIDTH, type Placement, rankingVectors } from "./ranking-features.ts";
import { explainSource, similarAnchors, type SourceContext } from "./reasons.ts";
import {
  RANKED_PLACEMENTS,
  type Recommended,
  type RecommendedProduct,
  type RecommendFlag,
  type RecommendRequest,
  SOURCES,
} from "./recommend-request.ts";
import type { IndexSearch } from "./indexed-part.ts";
import { NOT_PLACED, type Placement as PlacedParts } from "./place-served.ts";
import type { ProductValues } from "./product-values.ts";
import { Retrieval } from "./retrieval.ts";
import { VisitorFeatures } from "./visitor-features.ts";
import { type IndexedHistory, indexHistory } from "./visitor-history.ts";

/** An item of a list as it was stored. */
export interface EarlierItem {
  readonly productId: string;
  readonly score: number;
  readonly source: string;
  readonly reason: string;
}

/** The second stage: rows of ranking vectors in, one score per row out. */
export type Ranker = (vectors: Float32Array, rows: number) => Float32Array;

/** Candidates that sources other than the retrieval may add on top of the policy's number. */
const EXTRA_CANDIDATES = 200;
/** Of each list, and of one shelf: enough to fill a page after filters. */
const FROM_LIST = 100;
/** Products met of late whose neighbours are looked at, with their weights; the product in view counts fully. */
const ANCHOR_WEIGHTS = [1, 0.7, 0.5];

/** Placements whose order is the retrieval's own where it has evidence; the weights order what it knows nothing of. */
const RETRIEVAL_FIRST: readonly Placement[] = ["home", "category"];
interface Weight {
  readonly column: number;
  readonly weight: number;
}

const weigh = (weights: Partial<Record<Column, number>>): Weight[] =>
  Object.entries(weights).map(([column, weight]) => ({ column: COLUMNS[column as Column], weight }));

/** Pages about one kind of product, where another kind is no variety. */
const OF_ONE_KIND: readonly Placement[] = ["product", "category", "content"];
/** How much a source counts where no ranker decides, by placement. */
const WEIGHTS: Readonly<Record<Placement, readonly Weight[]>> = {
  home: weigh({ similar: 0.01, content: 0.004, popular: 0.002, trending: 0.001, fresh: 0.0005 }),
  product: weigh({ similar: 1, together: 0.4, content: 0.3, retrieval: 0.2, popular: 0.002, trending: 0.001 }),
  basket: weigh({ together: 1, similar: 0.3, retrieval: 0.3, content: 0.05, popular: 0.002, trending: 0.001 }),
  category: weigh({ similar: 0.01, popular: 0.005, trending: 0.002, fresh: 0.001 }),
  content: weigh({ content: 1, similar: 0.1, retrieval: 0.05, popular: 0.002, trending: 0.001 }),
  trending: weigh({ trending: 1, retrieval: 0.02, popular: 0.002, fresh: 0.001 }),
};

/**
 * Both stages over one bundle and one catalogue: sources, merge, filters, ranking, diversity. Synchronous; its working arrays are reused, so that one
 * request after the other runs through it. The answer is a function of bundle, catalogue and request.
 */
export class Recommender {
  readonly #bundle: RecommenderBundle;
  readonly #catalogue: Catalogue;
  readonly #ranker: Ranker | null;
  readonly #retrieval: Retrieval;
  readonly #candidates: CandidateSet;
  readonly #vectors: Float32Array;
  readonly #similar: NeighbourLists | null;
  readonly #oneKind: RecommendPolicy;
  readonly #products: ProductValues;
  readonly #visitors: VisitorFeatures;

  /**
   * @param placed where the bundle's retrieval lies in the kernels' memory
   * @param products values of products' own features; those of the catalogue where nothing else is given
   */
  constructor(
    bundle: RecommenderBundle,
    catalogue: Catalogue,
    ranker: Ranker | null,
    placed: PlacedParts = NOT_PLACED,
    products: ProductValues = catalogue.values,
  ) {
    this.#products = products;
    this.#visitors = new VisitorFeatures(bundle.policy.maxEvents);
    this.#bundle = bundle;
    this.#catalogue = catalogue;
    this.#ranker = ranker;
    this.#retrieval = new Retrieval(bundle.retrieval, placed);
    this.#candidates = new CandidateSet(bundle.policy.candidates + EXTRA_CANDIDATES);
    this.#vectors = new Float32Array(this.#candidates.capacity * RANKING_WIDTH);
    this.#similar = bundle.similar ?? ownNeighbours(bundle);
    this.#oneKind = { ...bundle.policy, diversity: 0, categoryShare: 1 };
  }

  /** Bytes of the working arrays; the bundle and the catalogue not counted. */
  get bytes(): number {
    return this.#retrieval.bytes + this.#vectors.byteLength + this.#candidates.capacity * 60;
  }

  /** What a vector index is to be asked with before `recommend`; null where there is nothing to ask, as where every vector is here. */
  searchVector(request: RecommendRequest): Float64Array | null {
    return this.#retrieval.searchVector(this.#historyOf(request), request.now / 1_000);
  }

  /** @param search what a vector index answered to `searchVector`; without it only the vectors that are here are searched */
  recommend(asked: RecommendRequest, search: IndexSearch | null = null): Recommended {
    const { policy } = this.#bundle;
    if (this.#catalogue.size === 0) return { items: [], vectors: new Float32Array(0), flags: ["catalogue-empty"] };
    const request = this.#knownPage(asked);
    const history = this.#historyOf(request);
    const eligibility = new Eligibility(this.#catalogue, policy, request, history);
    this.#retrieval.score(history, request.now / 1_000, search);
    const flags: RecommendFlag[] = [];
    for (const strictness of STRICTNESS) {
      eligibility.strictness = strictness;
      const found = this.#attempt(request, history, eligibility);
      if (found.items.length > 0 || request.limit === 0) return { ...found, flags };
      if (flags.length === 0) flags.push("filters-relaxed");
    }
    return { items: [], vectors: new Float32Array(0), flags: ["nothing-eligible"] };
  }

  /** A list that was made earlier, without what may not be shown now; it has no vectors. */
  patch(request: RecommendRequest, earlier: readonly EarlierItem[]): Recommended {
    const history = this.#historyOf(request);
    const eligibility = new Eligibility(this.#catalogue, this.#bundle.policy, request, history);
    const items = earlier.flatMap(({ productId, score, source, reason }): RecommendedProduct[] => {
      const index = this.#catalogue.indexOf(productId);
      const known = SOURCES.find((own) => own === source);
      return index >= 0 && known && eligibility.passes(index, true)
        ? [{ productId, score, source: known, reason }]
        : [];
    });
    return { items: items.slice(0, request.limit), vectors: new Float32Array(0), flags: [] };
  }

  /** The page of a product that nobody told of says no more than the home page: the second stage has learned from products that were known. */
  #knownPage(request: RecommendRequest): RecommendRequest {
    const { placement, productId } = request;
    const known = productId !== null && this.#catalogue.indexOf(productId) >= 0;
    return placement === "product" && !known ? { ...request, placement: "home", productId: null } : request;
  }

  /** The product in view is the newest thing met, whether or not its view has become a fact yet: training knows it so. */
  #historyOf(request: RecommendRequest): IndexedHistory {
    const { productId, recent } = request;
    const met = productId === null ? recent : [...recent.filter((id) => id !== productId), productId];
    return indexHistory(this.#catalogue, this.#bundle.policy, { ...request, recent: met });
  }

  #attempt(
    request: RecommendRequest,
    history: IndexedHistory,
    eligibility: Eligibility,
  ): Pick<Recommended, "items" | "vectors"> {
    const candidates = this.#candidates;
    candidates.clear();
    const anchors = this.#anchors(request, history);
    const again = new Set(history.repeat.items);
    const passes = (item: number): boolean => eligibility.passes(item, again.has(item));
    this.#retrieval.select(this.#bundle.policy.candidates, passes, candidates);
    this.#addNeighbours(request, anchors, passes);
    this.#addContent(anchors, passes);
    this.#addLists(passes, request.limit);
    this.#fill(passes, request.limit);
    this.#retrieval.describe(candidates);
    rankingVectors(
      {
        catalogue: this.#catalogue,
        products: this.#products,
        visitors: this.#visitors,
        history,
        candidates,
        request,
      },
      this.#vectors,
    );
    const blend = this.#blendScores(request.placement);
    const scores = RANKED_PLACEMENTS.includes(request.placement) ? this.#rank(blend.scores) : blend.scores;
    const policy = OF_ONE_KIND.includes(request.placement) ? this.#oneKind : this.#bundle.policy;
    const ranked = this.#ordered(scores, blend.scores, rankedFor(policy, request.limit));
    const picked = diversify(ranked, request.limit, {
      catalogue: this.#catalogue,
      policy,
      isNew: (row) => candidates.score(row, "fresh") > 0,
    });
    return this.#answer(picked, { request, anchors, history, largest: blend.largest });
  }

  /** Products whose neighbours are asked, with weights: the product in view, or the newest ones met. */
  #anchors({ productId, basket }: RecommendRequest, history: IndexedHistory): SourceContext["anchors"] {
    const inView = productId === null ? -1 : this.#catalogue.indexOf(productId);
    const anchors = inView >= 0 ? [{ item: inView, weight: 1 }] : [];
    if (inView < 0) {
      const met = [...new Set(history.taste.items.toReversed())].filter((item) => item >= 0);
      for (const [at, weight] of ANCHOR_WEIGHTS.entries()) {
        const item = met[at];
        if (item !== undefined) anchors.push({ item, weight });
      }
    }
    const basketItems = basket.map((id) => this.#catalogue.indexOf(id)).filter((item) => item >= 0);
    return { similar: anchors, together: basketItems.length > 0 ? basketItems : inView >= 0 ? [inView] : [] };
  }

  #addNeighbours(
    request: RecommendRequest,
    anchors: SourceContext["anchors"],
    passes: (item: number) => boolean,
  ): void {
    for (const { item, weight } of similarAnchors({ anchors, request }))
      this.#addList(this.#similar, { item, weight, column: "similar" }, passes);
    for (const item of anchors.together) {
      this.#addList(this.#bundle.together, { item, weight: 1, column: "together" }, passes);
    }
  }

  #addList(
    lists: NeighbourLists | null,
    from: { readonly item: number; readonly weight: number; readonly column: Column },
    passes: (item: number) => boolean,
  ): void {
    if (lists === null || from.item >= this.#catalogue.modelled) return;
    const [start, end] = [lists.start[from.item] ?? 0, lists.start[from.item + 1] ?? 0];
    let largest = 0;
    for (let at = start; at < end; at++) largest = Math.max(largest, lists.weight[at] ?? 0);
    for (let at = start; at < Math.min(end, start + FROM_LIST); at++) {
      const target = lists.item[at] ?? 0;
      const weight = lists.weight[at] ?? 0;
      if (weight <= 0 || !passes(target)) continue;
      const row = this.#candidates.add(target);
      if (row >= 0) this.#candidates.raiseScore(row, from.column, (from.weight * weight) / largest);
    }
  }

  /** Products of the same shelf, most alike first: also where nobody has met the product in view yet. */
  #addContent(anchors: SourceContext["anchors"], passes: (item: number) => boolean): void {
    const anchor = anchors.similar[0];
    if (!anchor) return;
    const shelf = this.#catalogue.shelf(this.#catalogue.narrowest(anchor.item));
    let added = 0;
    for (const item of shelf) {
      if (added >= FROM_LIST) break;
      if (item === anchor.item || !passes(item)) continue;
      if (this.#candidates.add(item) >= 0) added++;
    }
    const own = this.#catalogue.categories(anchor.item);
    for (let row = 0; row < this.#candidates.size; row++) {
      const score = likenessTo(this.#catalogue, anchor.item, own, this.#candidates.items[row] ?? 0);
      if (score > 0) this.#candidates.setScore(row, "content", score);
    }
  }

  #addLists(passes: (item: number) => boolean, limit: number): void {
    const { popular, trending, fresh } = this.#bundle;
    const { live } = this.#catalogue;
    const added = Array.from({ length: this.#catalogue.added }, (_, at) => this.#catalogue.size - 1 - at);
    this.#addListed(popular.length > 0 ? popular : live.popular, "popular", passes, limit);
    this.#addListed(live.trending.length > 0 ? live.trending : trending, "trending", passes, limit);
    this.#addListed([...added, ...fresh], "fresh", passes, Math.min(limit, 20));
  }

  #addListed(
    list: Int32Array | readonly number[],
    column: Column,
    passes: (item: number) => boolean,
    most: number,
  ): void {
    let added = 0;
    for (let place = 0; place < list.length && added < most; place++) {
      const item = list[place] ?? 0;
      const known = this.#candidates.rowOf(item);
      if (known < 0 && !passes(item)) continue;
      const row = known >= 0 ? known : this.#candidates.add(item);
      if (row < 0) return;
      if (known < 0) added++;
      this.#candidates.setScore(row, column, 1 / (1 + place / 10));
    }
  }

  /** A list is filled while the catalogue has anything that passes, most popular first. */
  #fill(passes: (item: number) => boolean, limit: number): void {
    for (let item = 0; item < this.#catalogue.size && this.#candidates.size < limit; item++) {
      if (passes(item)) this.#candidates.add(item);
    }
  }

  #rank(otherwise: Float64Array): Float32Array | Float64Array {
    const { size } = this.#candidates;
    if (this.#ranker === null || size === 0) return otherwise;
    return this.#ranker(this.#vectors.subarray(0, size * RANKING_WIDTH), size);
  }

  /** The weighted sum of what the sources say, the retrieval brought to at most 1. */
  #blendScores(placement: Placement): { scores: Float64Array; largest: number } {
    const { size, scores: columns } = this.#candidates;
    const retrieved = (row: number): number => columns[row * COLUMN_COUNT + COLUMNS.retrieval] ?? 0;
    let largest = 0;
    for (let row = 0; row < size; row++) largest = Math.max(largest, retrieved(row));
    const weights = WEIGHTS[placement];
    const first = RETRIEVAL_FIRST.includes(placement);
    const scores = new Float64Array(size);
    for (let row = 0; row < size; row++) {
      const share = largest > 0 ? retrieved(row) / largest : 0;
      let sum = first && share > 0 ? 1 + share : 0;
      if (sum === 0) {
        for (const { column, weight } of weights) {
          sum += weight * (column === COLUMNS.retrieval ? share : (columns[row * COLUMN_COUNT + column] ?? 0));
        }
      }
      scores[row] = sum;
    }
    return { scores, largest };
  }

  /** Candidates by score; equal ones by the weighted sum of the sources, then the more popular item. */
  #ordered(scores: Float32Array | Float64Array, blend: Float64Array, most: number): Scored[] {
    const { size, items } = this.#candidates;
    const ranked = Array.from({ length: size }, (_, row): Scored => {
      return { row, item: items[row] ?? 0, score: finite(scores[row]) };
    });
    return best(
      ranked,
      most,
      (a, b) => b.score - a.score || finite(blend[b.row]) - finite(blend[a.row]) || a.item - b.item,
    );
  }

  #answer(
    picked: readonly Scored[],
    context: Omit<SourceContext, "candidates" | "catalogue" | "retrieval" | "lists">,
  ): Pick<Recommended, "items" | "vectors"> {
    const vectors = new Float32Array(picked.length * RANKING_WIDTH);
    const sources: SourceContext = {
      ...context,
      candidates: this.#candidates,
      catalogue: this.#catalogue,
      retrieval: this.#bundle.retrieval,
      lists: { similar: this.#similar, together: this.#bundle.together },
    };
    const items = picked.map(({ row, item, score }, position): RecommendedProduct => {
      vectors.set(this.#vectors.subarray(row * RANKING_WIDTH, (row + 1) * RANKING_WIDTH), position * RANKING_WIDTH);
      return { productId: this.#catalogue.idOf(item), score, ...explainSource(sources, row) };
    });
    return { items, vectors };
  }
}

/** The first `most` of the order. Most entries are compared with the last of them only. */
function best<T>(entries: readonly T[], most: number, compare: (a: T, b: T) => number): T[] {
  if (most >= entries.length) return entries.toSorted(compare);
  const found = entries.slice(0, most).sort(compare);
  for (let at = most; at < entries.length; at++) {
    const entry = entries[at] as T;
    let place = found.length;
    while (place > 0 && compare(entry, found[place - 1] as T) < 0) place--;
    if (place === found.length) continue;
    found.copyWithin(place + 1, place);
    found[place] = entry;
  }
  return found;
}

function finite(score: number | undefined): number {
  return score !== undefined && Number.isFinite(score) ? score : 0;
}

/** The first neighbour part of the retrieval, where the bundle has no lists of its own. */
function ownNeighbours({ retrieval }: RecommenderBundle): NeighbourLists | null {
  const parts = retrieval.kind === "blend" ? retrieval.parts.map(({ part }) => part) : [retrieval];
  const found = parts.find((part) => part.kind === "neighbours");
  return found?.kind === "neighbours" ? { start: found.start, item: found.neighbour, weight: found.weight } : null;
}
