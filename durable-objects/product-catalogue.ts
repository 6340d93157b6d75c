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
import { type KeptValues, ProductValuesCore, type ProductValuesPage } from "./product-values.core.ts";

/** Products of one page: some hundred bytes each, and an answer of a few megabytes at most. */
export const CHANGES_PER_PAGE = 5_000;
/** Rankings read every count of a month: made at most this often. */
const RANKINGS_MAX_AGE_MS = 15_000;

/** Values that the caller reads where they are older than this, milliseconds. */
export interface WantedValues {
  readonly service: string;
  readonly maxAgeMs: number;
}

/** The live products of one tenant. Thin: state is in the core. */
export class ProductCatalogue extends DurableObject {
  readonly #core: ProductCatalogueCore;
  readonly #values: ProductValuesCore;
  #rankings: { readonly at: number; readonly value: ProductRankings } | null = null;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as Cloudflare.Env);
    applyMigrations(state.storage, PRODUCT_CATALOGUE_MIGRATIONS);
    this.#core = new ProductCatalogueCore(state.storage);
    this.#values = new ProductValuesCore(state.storage);
  }

  /** Returns the products whose values of a service are due to be read. */
  apply(changes: readonly ProductChange[], counted: readonly CountedFact[], wanted?: WantedValues): string[] {
    const now = Date.now();
    this.#core.apply(changes, counted, now);
    if (wanted === undefined || counted.length === 0) return [];
    return this.#values.due([...new Set(counted.map(({ productId }) => productId))], wanted, now);
  }

  keepValues(values: KeptValues): void {
    this.#values.keepValues(values);
  }

  /** @param after a cursor of an earlier page, or 0 */
  values(after: number, of: { readonly service: string; readonly width: number }): ProductValuesPage {
    return this.#values.values(after, { ...of, limit: CHANGES_PER_PAGE });
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
