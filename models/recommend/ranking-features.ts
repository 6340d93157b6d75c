import { PRODUCT_RANKING } from "../catalog/feature-catalog.ts";
import { canonicalJson } from "../contract/canonical-json.ts";
import { hex, sha256 } from "../contract/sha256.ts";
import type { Scope } from "../features/evaluate.ts";
import { encodeUtf8 } from "../onnx/utf8.ts";
import { type CandidateSet, COLUMN_COUNT } from "./candidates.ts";
import type { Catalogue } from "./catalogue.ts";
import type { ProductValues } from "./product-values.ts";
import { nothingKnown, PLACES, type Section, sectionOf, SERVICE_WIDTH, writeRequest } from "./ranking-service.ts";
import type { RecommendRequest } from "./recommend-request.ts";
import type { VisitorFeatures } from "./visitor-features.ts";
import type { IndexedHistory } from "./visitor-history.ts";

/** What a ranking feature tells about. */
type About = "candidate" | "item" | "user" | "user and item" | "context";
export interface RankingFeature {
  readonly name: string;
  readonly about: About;
  readonly description: string;
}
const candidate = (name: string, description: string): RankingFeature => ({ name, about: "candidate", description });

/**
 * What the first stage says of a candidate: scores and places of its sources, and how the candidate resembles what the visitor met, as the catalogue is now. These are no
 * facts that anybody could count later: they exist in the request only, and training takes them from the same code or from what was logged.
 */
export const CANDIDATE_FEATURES: readonly RankingFeature[] = [
  candidate("retrieval_score", "Score of the served recommender"),
  candidate("retrieval_rank", "ln(1 + rank) among the candidates by that score"),
  candidate("embeddings_score", "Weighted, scaled part of it from item embeddings"),
  candidate("neighbours_score", "The same from item neighbours"),
  candidate("sessions_score", "The same from similar sessions"),
  candidate("repeat_score", "The same from own earlier actions"),
  candidate("scores_score", "The same from scores that are equal for everyone"),
  candidate("similar_score", "Weight among the neighbours of the product in view and of the newest products met"),
  candidate("together_score", "Weight among the products bought with those of the basket or in view"),
  candidate("content_score", "Share of the categories of the product in view, and whether the brand is the same"),
  candidate("popular_score", "1 / (1 + place / 10) in the list of popular products, 0 outside"),
  candidate("trending_score", "The same in the list of trending products"),
  candidate("new_score", "The same in the list of new products"),
  candidate("category_taste", "Share of the events met with products of the same narrowest category"),
  candidate("brand_taste", "Share of the events met with products of the same brand"),
  candidate("price_taste", "ln of the price over the mean price of the products met"),
];
/** Where the shared service begins. */
const SERVICE_AT = CANDIDATE_FEATURES.length;

const ABOUT: Readonly<Record<Section, About>> = {
  product: "item",
  visitor: "user",
  pair: "user and item",
  offer: "item",
  page: "context",
};

/**
 * What the second stage sees of a candidate, in this order: the first stage's columns, then the shared service `product_ranking_v1`, whose features are
 * computed by the code that serves, replays and explains all features.
 */
export const RANKING_FEATURES: readonly RankingFeature[] = [
  ...CANDIDATE_FEATURES,
  ...PRODUCT_RANKING.names.map((name) => {
    return { name, about: ABOUT[sectionOf(name)], description: PRODUCT_RANKING.describe(name) };
  }),
];
/** To be raised where a candidate's column changes its meaning and not its name. */
const MEANING = 2;
export const RANKING_WIDTH = RANKING_FEATURES.length;
export const POSITION_FEATURE = SERVICE_AT + PRODUCT_RANKING.indexOf("position");

/** What a ranker's manifest is pinned to: the candidates' columns and the hash of the shared service. Vectors logged under another hash are not learned from. */
export const RANKING_SERVICE = {
  name: "recommendation_ranking_v1",
  hash: hex(
    sha256(
      encodeUtf8(
        canonicalJson({
          meaning: MEANING,
          candidate: CANDIDATE_FEATURES.map(({ name }) => name),
          service: PRODUCT_RANKING.hash,
        }),
      ),
    ),
  ),
} as const;

export const PLACEMENTS = ["home", "product", "basket", "category", "content", "trending"] as const;
export type Placement = (typeof PLACEMENTS)[number];

export interface RankingInput {
  readonly catalogue: Catalogue;
  readonly products: ProductValues;
  readonly visitors: VisitorFeatures;
  readonly history: IndexedHistory;
  readonly candidates: CandidateSet;
  readonly request: Pick<RecommendRequest, "placement" | "basket" | "visitor" | "now">;
}

/** Row-major vectors of the candidates, written to `out` from its start: `candidates.size × RANKING_WIDTH`. NaN is missing. */
export function rankingVectors(input: RankingInput, out: Float32Array): void {
  const { candidates, catalogue, products, request, visitors } = input;
  const { now } = request;
  const taste = tasteOf(input);
  const service = new Float32Array(SERVICE_WIDTH);
  service.set(NOTHING_KNOWN);
  const met = visitors.write(request, service);
  const page = { placement: PLACEMENTS.indexOf(request.placement), basketSize: request.basket.length, position: 1 };
  writeRequest("page", { root: page, time: now, asOf: now, feature: null }, service, 0);
  const offer = { price: Number.NaN, publishedAt: Number.NaN };
  const scope: Scope = { root: offer, time: now, asOf: now, feature: null };
  for (let row = 0; row < candidates.size; row++) {
    const at = row * RANKING_WIDTH;
    const item = candidates.items[row] ?? 0;
    candidates.copyScores(row, out, at);
    tasteFor(taste, catalogue, item, out, at + COLUMN_COUNT);
    out.set(service, at + SERVICE_AT);
    products.write(item, now, out, at + SERVICE_AT + PLACES.product.start);
    offer.price = catalogue.price(item);
    offer.publishedAt = catalogue.publishedAt(item) * 1_000;
    writeRequest("offer", scope, out, at + SERVICE_AT);
  }
  for (const [id, pair] of met) {
    const row = candidates.rowOf(catalogue.indexOf(id));
    if (row >= 0) pair.write(now, out, row * RANKING_WIDTH + SERVICE_AT + PLACES.pair.start);
  }
}

const NOTHING_KNOWN = new Float32Array(SERVICE_WIDTH);
for (const section of ["product", "visitor", "pair"] as const)
  NOTHING_KNOWN.set(nothingKnown(section), PLACES[section].start);

/** The products met, by what they have in common. */
interface Taste {
  readonly total: number;
  readonly categories: ReadonlyMap<number, number>;
  readonly brands: ReadonlyMap<number, number>;
  /** NaN where no price is known. */
  readonly meanPrice: number;
}

function tasteOf({ history, catalogue }: RankingInput): Taste {
  const [categories, brands] = [new Map<number, number>(), new Map<number, number>()];
  let [priced, total] = [0, 0];
  for (const item of history.items) {
    if (item < 0) continue;
    add(categories, catalogue.narrowest(item));
    add(brands, catalogue.brand(item));
    const price = catalogue.price(item);
    if (price > 0) {
      total += price;
      priced++;
    }
  }
  return { total: history.items.length, categories, brands, meanPrice: priced === 0 ? Number.NaN : total / priced };
}

function add(counts: Map<number, number>, key: number): void {
  if (key >= 0) counts.set(key, (counts.get(key) ?? 0) + 1);
}

function tasteFor(taste: Taste, catalogue: Catalogue, item: number, out: Float32Array, at: number): void {
  const share = (counts: ReadonlyMap<number, number>, key: number): number =>
    key < 0 || taste.total === 0 ? 0 : (counts.get(key) ?? 0) / taste.total;
  out[at] = share(taste.categories, catalogue.narrowest(item));
  out[at + 1] = share(taste.brands, catalogue.brand(item));
  const price = catalogue.price(item);
  out[at + 2] = price > 0 ? Math.log(price / taste.meanPrice) : Number.NaN;
}
