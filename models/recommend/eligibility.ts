import type { Catalogue } from "./catalogue.ts";
import type { RecommendPolicy, VisitorAction } from "./policy.ts";
import type { RecommendRequest } from "./recommend-request.ts";
import type { IndexedHistory } from "./visitor-history.ts";

/**
 * Which filters hold. Where nothing passes all of them they are given up in this order; what is withdrawn, excluded or dismissed never passes.
 */
export const STRICTNESS = ["all", "seen", "context", "stock", "own"] as const;
export type Strictness = (typeof STRICTNESS)[number];

/** Decides about one item of the catalogue for one request. */
export class Eligibility {
  readonly #catalogue: Catalogue;
  /** Excluded by the request, or dismissed by the visitor. */
  readonly #blocked: ReadonlySet<number>;
  /** In view or in the basket. */
  readonly #own: ReadonlySet<number>;
  readonly #seen: ReadonlySet<number>;
  readonly #categories: ReadonlySet<number> | null;
  readonly #from: number;
  readonly #to: number;
  #level = 0;

  constructor(catalogue: Catalogue, policy: RecommendPolicy, request: RecommendRequest, history: IndexedHistory) {
    this.#catalogue = catalogue;
    const indices = (ids: readonly string[]): number[] => ids.map((id) => catalogue.indexOf(id));
    this.#blocked = new Set([...indices(request.exclude), ...history.dismissed]);
    this.#own = new Set(indices(request.productId === null ? request.basket : [request.productId, ...request.basket]));
    this.#seen = new Set([
      ...(policy.bought === "drop" ? itemsOf(history, "purchase") : []),
      ...(policy.viewed === "drop" ? itemsOf(history, "view") : []),
    ]);
    const { categories } = request;
    this.#categories =
      categories.length === 0 ? null : new Set(categories.map((name) => catalogue.categoryNamed(name)));
    this.#from = request.priceFrom ?? Number.NEGATIVE_INFINITY;
    this.#to = request.priceTo ?? Number.POSITIVE_INFINITY;
  }

  set strictness(strictness: Strictness) {
    this.#level = STRICTNESS.indexOf(strictness);
  }

  /** @param again whether the visitor's own repeats speak for the item */
  passes(item: number, again = false): boolean {
    if (!this.#catalogue.isActive(item) || this.#blocked.has(item)) return false;
    if (this.#level < 4 && this.#own.has(item)) return false;
    if (this.#level < 3 && !this.#catalogue.isInStock(item)) return false;
    if (this.#level < 2 && !this.#inContext(item)) return false;
    return this.#level >= 1 || again || !this.#seen.has(item);
  }

  #inContext(item: number): boolean {
    const bounded = this.#from !== Number.NEGATIVE_INFINITY || this.#to !== Number.POSITIVE_INFINITY;
    if (bounded) {
      const price = this.#catalogue.price(item);
      if (!(price >= this.#from && price <= this.#to)) return false;
    }
    const wanted = this.#categories;
    return wanted === null || this.#catalogue.categories(item).some((category) => wanted.has(category));
  }
}

function itemsOf(history: IndexedHistory, action: VisitorAction): number[] {
  const found: number[] = [];
  for (const [at, item] of history.items.entries()) if (item >= 0 && history.actions[at] === action) found.push(item);
  return found;
}
