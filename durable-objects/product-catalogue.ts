import { DurableObject } from "cloudflare:workers";
import type { ProductChange } from "../models/recommend/live-product.ts";
import { applyMigrations } from "./migrations.ts";
import {
  type CountedFact,
  PRODUCT_CATALOGUE_MIGRATIONS,
  ProductCatalogueCore,
  type ProductChanges,
  type ProductRankings,
} from "./product-catalogue.core.ts";

/** Products of one page: some hundred bytes each, and an answer of a few megabytes at most. */
export const CHANGES_PER_PAGE = 5_000;
/** Rankings read every count of a month: made at most this often. */
const RANKINGS_MAX_AGE_MS = 15_000;

/** The live products of one tenant. Thin: state is in the core. */
export class ProductCatalogue extends DurableObject {
  readonly #core: ProductCatalogueCore;
  #rankings: { readonly at: number; readonly value: ProductRankings } | null = null;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as Cloudflare.Env);
    applyMigrations(state.storage, PRODUCT_CATALOGUE_MIGRATIONS);
    this.#core = new ProductCatalogueCore(state.storage);
  }

  apply(changes: readonly ProductChange[], counted: readonly CountedFact[]): void {
    this.#core.apply(changes, counted, Date.now());
  }

  /** @param after a cursor of an earlier page, or the ingestion time to start from, epoch milliseconds */
  changes(after: { readonly cursor: number } | { readonly since: number }): ProductChanges {
    return this.#core.changes("cursor" in after ? after.cursor : this.#core.since(after.since), CHANGES_PER_PAGE);
  }

  rankings(): ProductRankings {
    const now = Date.now();
    const kept = this.#rankings;
    // Nothing counted yet costs nothing to look at again.
    if (kept !== null && kept.value.popular.length > 0 && now - kept.at <= RANKINGS_MAX_AGE_MS) return kept.value;
    this.#rankings = { at: now, value: this.#core.rankings(now) };
    return this.#rankings.value;
  }
}
