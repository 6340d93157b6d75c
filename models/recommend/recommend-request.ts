import type { Placement } from "./ranking-features.ts";
import type { VisitorFact } from "./visitor-history.ts";

/**
 * Placements whose order the second stage decides: those that its training asks about. On the others it would rank by what it learned elsewhere, and
 * a basket's page would show what is popular; there the sources decide.
 */
export const RANKED_PLACEMENTS: readonly Placement[] = ["home", "product"];

/** One question to the recommender. Ids may be unknown to it: that is the normal case. */
export interface RecommendRequest {
  readonly placement: Placement;
  /** What is known of the visitor, oldest first; empty without consent. */
  readonly facts: readonly VisitorFact[];
  /**
   * Whose shared features rank: a customer, or the session of somebody who has not said who they are, with the facts of that one alone, oldest first; null
   * for nobody and without consent.
   */
  readonly visitor: { readonly kind: "customer" | "session"; readonly facts: readonly VisitorFact[] } | null;
  readonly productId: string | null;
  readonly basket: readonly string[];
  /** Met in this session, newest last; may repeat facts. */
  readonly recent: readonly string[];
  /** Never shown, whatever else is relaxed. */
  readonly exclude: readonly string[];
  /** Names; empty: any. */
  readonly categories: readonly string[];
  /** Minor units; null: open. A product of unknown price passes no band. */
  readonly priceFrom: number | null;
  readonly priceTo: number | null;
  readonly limit: number;
  /** Epoch milliseconds. */
  readonly now: number;
}

export const ANYONE: Omit<RecommendRequest, "now" | "limit"> = {
  placement: "home",
  facts: [],
  visitor: null,
  productId: null,
  basket: [],
  recent: [],
  exclude: [],
  categories: [],
  priceFrom: null,
  priceTo: null,
};

/** What found an item. */
export const SOURCES = [
  "embeddings",
  "neighbours",
  "sessions",
  "repeat",
  "scores",
  "similar",
  "together",
  "content",
  "popular",
  "trending",
  "new",
  "catalogue",
] as const;
export type RecommendSource = (typeof SOURCES)[number];

/** What an answer lacks. `filters-relaxed`: no product passed all filters. */
export type RecommendFlag = "filters-relaxed" | "nothing-eligible" | "catalogue-empty";

export interface RecommendedProduct {
  readonly productId: string;
  readonly score: number;
  readonly source: RecommendSource;
  readonly reason: string;
}

export interface Recommended {
  readonly items: readonly RecommendedProduct[];
  /** What the ranking saw of each item: `items.length × RANKING_WIDTH`, the position constant. */
  readonly vectors: Float32Array;
  readonly flags: readonly RecommendFlag[];
}
