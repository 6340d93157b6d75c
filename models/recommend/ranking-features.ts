import { canonicalJson } from "../contract/canonical-json.ts";
import { hex, sha256 } from "../contract/sha256.ts";
import { encodeUtf8 } from "../onnx/utf8.ts";
import type { CandidateSet } from "./candidates.ts";
import type { Catalogue } from "./catalogue.ts";
import type { ItemTable } from "./item-table.ts";
import type { IndexedHistory } from "./visitor-history.ts";

/** What a ranking feature tells about. */
type About = "candidate" | "item" | "user" | "user and item" | "context";
const feature = (name: string, about: About, description: string): RankingFeature => ({ name, about, description });
export interface RankingFeature {
  readonly name: string;
  readonly about: About;
  readonly description: string;
}

/**
 * What the second stage sees of a candidate, in this order. Training and serving compute it with `rankingVectors`, and what was served is logged as
 * it was: there is no second implementation to differ from. A changed list, order or meaning changes the hash (raise MEANING for a meaning).
 */
export const RANKING_FEATURES: readonly RankingFeature[] = [
  feature("retrieval_score", "candidate", "Score of the served recommender"),
  feature("retrieval_rank", "candidate", "ln(1 + rank) among the candidates by that score"),
  feature("embeddings_score", "candidate", "Weighted, scaled part of it from item embeddings"),
  feature("neighbours_score", "candidate", "The same from item neighbours"),
  feature("sessions_score", "candidate", "The same from similar sessions"),
  feature("repeat_score", "candidate", "The same from own earlier actions"),
  feature("scores_score", "candidate", "The same from scores that are equal for everyone"),
  feature(
    "similar_score",
    "candidate",
    "Weight among the neighbours of the product in view and of the newest products met",
  ),
  feature("together_score", "candidate", "Weight among the products bought with those of the basket or in view"),
  feature(
    "content_score",
    "candidate",
    "Share of the categories of the product in view, and whether the brand is the same",
  ),
  feature("popular_score", "candidate", "1 / (1 + place / 10) in the list of popular products, 0 outside"),
  feature("trending_score", "candidate", "The same in the list of trending products"),
  feature("new_score", "candidate", "The same in the list of new products"),
  feature("item_popularity", "item", "ln(1 + interactions over the training time)"),
  feature("item_recent", "item", "ln(1 + interactions of late)"),
  feature("item_purchase_share", "item", "Purchases per interaction, smoothed"),
  feature("item_age_days", "item", "Days since publication"),
  feature("item_price", "item", "ln(1 + price in minor units)"),
  feature("user_events", "user", "ln(1 + events known)"),
  feature("user_purchases", "user", "ln(1 + purchases known)"),
  feature("user_hours_since_event", "user", "ln(1 + hours since the newest event)"),
  feature("user_item_events", "user and item", "Events with this product"),
  feature("user_item_purchases", "user and item", "Purchases of this product"),
  feature("user_item_hours", "user and item", "ln(1 + hours since the newest event with this product)"),
  feature("user_category_share", "user and item", "Share of the events with products of the same narrowest category"),
  feature("user_brand_share", "user and item", "Share of the events with products of the same brand"),
  feature("price_ratio", "user and item", "ln of the price over the mean price of the products met"),
  feature("placement", "context", "0 home, 1 product, 2 basket, 3 category, 4 content, 5 trending"),
  feature("basket_size", "context", "Products in the basket"),
  feature("session_events", "context", "Events of the current session"),
  feature("hour_of_day", "context", "Hour, UTC"),
  feature("position", "context", "Place in the list as shown, from 1; constant 1 when ranking"),
];
const MEANING = 1;
export const RANKING_WIDTH = RANKING_FEATURES.length;
export const POSITION_FEATURE = RANKING_WIDTH - 1;

/** The feature service that a ranker's manifest is pinned to. */
export const RANKING_SERVICE = {
  name: "recommendation_ranking_v1",
  hash: hex(sha256(encodeUtf8(canonicalJson({ meaning: MEANING, features: RANKING_FEATURES })))),
} as const;

export const PLACEMENTS = ["home", "product", "basket", "category", "content", "trending"] as const;
export type Placement = (typeof PLACEMENTS)[number];

export interface RankingInput {
  readonly catalogue: Catalogue;
  readonly table: ItemTable;
  readonly history: IndexedHistory;
  readonly candidates: CandidateSet;
  readonly placement: Placement;
  readonly basketSize: number;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** Row-major vectors of the candidates, written to `out` from its start: `candidates.size × RANKING_WIDTH`. NaN is missing. */
export function rankingVectors(input: RankingInput, out: Float32Array): void {
  const user = userFacts(input);
  const { candidates } = input;
  for (let row = 0; row < candidates.size; row++) {
    const vector = out.subarray(row * RANKING_WIDTH, (row + 1) * RANKING_WIDTH);
    const item = candidates.items[row] ?? 0;
    let at = candidates.copyScores(row, vector);
    at = itemFeatures(input, item, vector, at);
    vector[at++] = user.events;
    vector[at++] = user.purchases;
    vector[at++] = user.hoursSinceEvent;
    at = pairFeatures(input, { item, user }, vector, at);
    vector[at++] = PLACEMENTS.indexOf(input.placement);
    vector[at++] = input.basketSize;
    vector[at++] = input.history.session.items.length;
    vector[at++] = Math.floor((input.now / 3_600_000) % 24);
    vector[at] = 1;
  }
}

interface UserFacts {
  readonly events: number;
  readonly purchases: number;
  readonly hoursSinceEvent: number;
  readonly total: number;
  /** Of each product met: events, purchases, time of the newest in seconds. */
  readonly items: ReadonlyMap<number, { events: number; purchases: number; newest: number }>;
  readonly categories: ReadonlyMap<number, number>;
  readonly brands: ReadonlyMap<number, number>;
  /** NaN where no price is known. */
  readonly meanPrice: number;
}

const hours = (seconds: number): number => Math.log1p(Math.max(0, seconds) / 3_600);

function userFacts({ history, catalogue, now }: RankingInput): UserFacts {
  const items = new Map<number, { events: number; purchases: number; newest: number }>();
  const [categories, brands] = [new Map<number, number>(), new Map<number, number>()];
  let [purchases, priced, total] = [0, 0, 0];
  for (const [at, item] of history.items.entries()) {
    const bought = history.actions[at] === "purchase" ? 1 : 0;
    purchases += bought;
    if (item < 0) continue;
    const known = items.get(item);
    const time = history.times[at] ?? 0;
    if (known) {
      known.events++;
      known.purchases += bought;
      known.newest = Math.max(known.newest, time);
    } else items.set(item, { events: 1, purchases: bought, newest: time });
    add(categories, catalogue.narrowest(item));
    add(brands, catalogue.brand(item));
    const price = catalogue.price(item);
    if (price > 0) {
      total += price;
      priced++;
    }
  }
  const newest = history.times.at(-1);
  return {
    events: Math.log1p(history.items.length),
    purchases: Math.log1p(purchases),
    hoursSinceEvent: newest === undefined ? Number.NaN : hours(now / 1_000 - newest),
    total: history.items.length,
    items,
    categories,
    brands,
    meanPrice: priced === 0 ? Number.NaN : total / priced,
  };
}

function add(counts: Map<number, number>, key: number): void {
  if (key >= 0) counts.set(key, (counts.get(key) ?? 0) + 1);
}

function itemFeatures(
  { table, catalogue, now }: RankingInput,
  item: number,
  vector: Float32Array,
  from: number,
): number {
  let at = from;
  const modelled = item < table.items;
  vector[at++] = modelled ? Math.log1p(table.popularity[item] ?? 0) : 0;
  vector[at++] = modelled ? Math.log1p(table.recent[item] ?? 0) : 0;
  vector[at++] = modelled ? (table.purchaseShare[item] ?? Number.NaN) : Number.NaN;
  vector[at++] = Math.max(0, now / 1_000 - catalogue.publishedAt(item)) / 86_400;
  vector[at++] = Math.log1p(catalogue.price(item));
  return at;
}

function pairFeatures(
  { catalogue, now }: RankingInput,
  { item, user }: { readonly item: number; readonly user: UserFacts },
  vector: Float32Array,
  from: number,
): number {
  let at = from;
  const own = user.items.get(item);
  vector[at++] = own?.events ?? 0;
  vector[at++] = own?.purchases ?? 0;
  vector[at++] = own ? hours(now / 1_000 - own.newest) : Number.NaN;
  const share = (counts: ReadonlyMap<number, number>, key: number): number =>
    key < 0 || user.total === 0 ? 0 : (counts.get(key) ?? 0) / user.total;
  vector[at++] = share(user.categories, catalogue.narrowest(item));
  vector[at++] = share(user.brands, catalogue.brand(item));
  const price = catalogue.price(item);
  vector[at++] = price > 0 ? Math.log(price / user.meanPrice) : Number.NaN;
  return at;
}
