import type { ProductChanges, ProductRankings } from "../../durable-objects/product-catalogue.core.ts";
import type { ProductValuesPage } from "../../durable-objects/product-values.core.ts";
import { Catalogue } from "../../models/recommend/catalogue.ts";
import { EMPTY_ITEMS } from "../../models/recommend/item-table.ts";
import type { LiveProduct } from "../../models/recommend/live-product.ts";
import { PackedLookup } from "../../models/recommend/packed-strings.ts";
import { DEFAULT_POLICY } from "../../models/recommend/policy.ts";
import { Recommender } from "../../models/recommend/recommender.ts";
import type { RecommenderBundle } from "../../models/recommend/bundle.ts";
import { logWarning } from "../http/log.ts";
import type { LoadedRecommender } from "./load-recommender.ts";

/** Products are asked for again after this long, in the background: a withdrawn product is gone everywhere within it. */
export const PRODUCTS_REFRESH_MS = 5_000;
/** Rankings by the live counters. */
const RANKINGS_REFRESH_MS = 30_000;
/** Values of products' ranking features: their windows are of days, and they are read from the shards every ten minutes. */
const VALUES_REFRESH_MS = 30_000;
/** An isolate that nobody asked for so long waits for the products, and says so where they do not come: one may be withdrawn since. */
const STALE_AFTER_MS = 15_000;
/** How long a refresh is waited for: who comes later does not wait for one that hangs. */
const WAIT_MS = 500;
/** A refresh that takes longer is given up, so that the next request may start another. */
const REFRESH_TIMEOUT_MS = 10_000;
/** After a refresh that failed. */
const RETRY_AFTER_MS = 1_000;
/** Pages of one refresh: a whole catalogue of 50,000 products. */
const MAX_PAGES = 10;
/** Changed products kept at most: beyond it a newer model is long due, and another version begins with its own table. */
const MAX_LIVE_PRODUCTS = 100_000;
/** A product in memory, its texts included. */
const LIVE_PRODUCT_BYTES = 400;
/** All shops of an isolate together, their recommenders included: who was asked least recently is forgotten, and read again. */
const BUDGET_BYTES = 80 * 1024 * 1024;
/** What was ingested a little before the training read its products is asked for again. */
const AS_OF_MARGIN_MS = 3_600_000;
/** Tenants whose products an isolate keeps. */
const MAX_TENANTS = 32;

export interface ProductSource {
  changes(tenant: string, after: { readonly cursor: number } | { readonly since: number }): Promise<ProductChanges>;
  rankings(tenant: string): Promise<ProductRankings>;
  /** Values of products' own ranking features that were kept after a cursor; 0: all. */
  values(tenant: string, after: number): Promise<ProductValuesPage>;
}

interface OpenShop {
  readonly loaded: LoadedRecommender | null;
  readonly catalogue: Catalogue;
  readonly recommender: Recommender;
  /** The same products and filters without anything learned: popular, trending and new products, the shelf of the product in view. */
  readonly control: () => Recommender;
}

/** One tenant's products and recommender in the memory of this isolate. */
class Shop {
  readonly #tenant: string;
  readonly #source: ProductSource;
  readonly #live = new Map<string, LiveProduct>();
  #cursor: { cursor: number } | { since: number };
  #rankings: ProductRankings = { popular: [], trending: [] };
  #rankedAt = 0;
  /** Of the values that the open catalogue has: another one begins anew. */
  #valuesCursor = 0;
  #valuedAt = Number.NEGATIVE_INFINITY;
  #open: OpenShop | null = null;
  /** The table's time of the open recommender: 0 without one, so that every product is asked for. */
  #asOf: number;
  refreshedAt = 0;
  /** Changes that found no room: what is kept is not enough to open another version with. */
  #overflowed = false;
  #failedAt = Number.NEGATIVE_INFINITY;
  #refreshingSince: number | null = null;
  #refreshing: Promise<void> | null = null;

  constructor(tenant: string, source: ProductSource, asOf: number) {
    this.#tenant = tenant;
    this.#source = source;
    this.#asOf = asOf;
    this.#cursor = { since: asOf };
  }

  /** Whether what is kept suffices for a recommender whose table is of that time. */
  covers(loaded: LoadedRecommender | null, asOf: number): boolean {
    return this.#asOf <= asOf && (!this.#overflowed || this.#open?.loaded === loaded);
  }

  /** Resident bytes, the recommender's included. */
  get bytes(): number {
    const opened = this.#open === null ? 0 : this.#open.catalogue.bytes + (this.#open.loaded?.bytes ?? 0);
    return opened + this.#live.size * LIVE_PRODUCT_BYTES;
  }

  open(loaded: LoadedRecommender | null): OpenShop {
    if (this.#open !== null && this.#open.loaded === loaded) return this.#open;
    const bundle = loaded?.bundle ?? NOTHING_TRAINED;
    const catalogue = new Catalogue(bundle.table, loaded?.ids ?? new PackedLookup(EMPTY_ITEMS.ids));
    catalogue.apply([...this.#live.values()]);
    catalogue.rank(this.#rankings);
    // They are not kept beside it: a hundred thousand products would be some megabytes more.
    this.#valuesCursor = 0;
    this.#valuedAt = Number.NEGATIVE_INFINITY;
    let control: Recommender | null = null;
    this.#open = {
      loaded,
      catalogue,
      recommender: new Recommender(bundle, catalogue, loaded?.ranker ?? null, loaded?.placed),
      control: () => (control ??= new Recommender(nothingLearned(bundle), catalogue, null)),
    };
    return this.#open;
  }

  /** A refresh that has begun just now. */
  isYoung(now: number): boolean {
    return this.#refreshingSince !== null && now - this.#refreshingSince < WAIT_MS;
  }

  /** Starts a refresh where one is due; resolves when it is done. */
  refresh(now: number): Promise<void> | null {
    if (now - this.refreshedAt <= PRODUCTS_REFRESH_MS) return null;
    if (this.#refreshing === null && now - this.#failedAt < RETRY_AFTER_MS) return null;
    const stuck = this.#refreshingSince !== null && now - this.#refreshingSince > REFRESH_TIMEOUT_MS;
    if (this.#refreshing !== null && !stuck) return this.#refreshing;
    this.#refreshingSince = now;
    this.#refreshing = this.#pull(now)
      .catch((error: unknown) => {
        this.#failedAt = now;
        logWarning("products cannot be read", { reason: String(error) });
      })
      .finally(() => {
        this.#refreshing = null;
        this.#refreshingSince = null;
      });
    return this.#refreshing;
  }

  async #pull(now: number): Promise<void> {
    const rank = now - this.#rankedAt > RANKINGS_REFRESH_MS;
    const [complete, rankings] = await Promise.all([
      this.#pullChanges(),
      rank ? this.#source.rankings(this.#tenant) : this.#rankings,
    ]);
    if (rank) {
      this.#rankings = rankings;
      this.#rankedAt = now;
    }
    this.#open?.catalogue.rank(this.#rankings);
    if (complete) this.refreshedAt = now;
  }

  /** Whether everything was read; else the next request goes on. */
  async #pullChanges(): Promise<boolean> {
    for (let page = 0; page < MAX_PAGES; page++) {
      const changes = await this.#source.changes(this.#tenant, this.#cursor);
      for (const product of changes.products) this.#keep(product);
      this.#open?.catalogue.apply(changes.products);
      this.#cursor = { cursor: changes.cursor };
      if (!changes.more) return true;
    }
    return false;
  }

  /** Starts to read values of products where that is due. Apart from the products: an answer never waits for them, and is not stale without. */
  refreshValues(now: number): Promise<void> | null {
    if (this.#open === null || now - this.#valuedAt <= VALUES_REFRESH_MS) return null;
    this.#valuedAt = now;
    return this.#pullValues(this.#open).catch((error: unknown) =>
      logWarning("values of products cannot be read", { reason: String(error) }),
    );
  }

  async #pullValues(opened: OpenShop): Promise<void> {
    for (let page = 0; page < MAX_PAGES; page++) {
      const values = await this.#source.values(this.#tenant, this.#valuesCursor);
      // Another version was opened meanwhile, which begins with the first page.
      if (this.#open !== opened) return;
      // What was read before the model's table was made is older than the table.
      opened.catalogue.setValues(values, opened.loaded?.bundle.asOf ?? 0);
      this.#valuesCursor = values.cursor;
      if (!values.more) return;
    }
    this.#valuedAt = Number.NEGATIVE_INFINITY;
  }

  #keep(product: LiveProduct): void {
    if (this.#live.has(product.id) || this.#live.size < MAX_LIVE_PRODUCTS) this.#live.set(product.id, product);
    else this.#overflowed = true;
  }
}

/** What answers before anything was trained: the live products, by popularity. */
const NOTHING_TRAINED: RecommenderBundle = {
  asOf: 0,
  table: EMPTY_ITEMS,
  retrieval: { kind: "scores", items: 0, scores: new Float32Array(0) },
  similar: null,
  together: { start: new Int32Array(1), item: new Int32Array(0), weight: new Float32Array(0) },
  popular: new Int32Array(0),
  trending: new Int32Array(0),
  fresh: new Int32Array(0),
  policy: DEFAULT_POLICY,
  ranker: null,
};

/** The bundle as it lists and filters, without what it learned of visitors: histories count for filters only. */
function nothingLearned(bundle: RecommenderBundle): RecommenderBundle {
  const { items } = bundle.table;
  return {
    ...bundle,
    retrieval: { kind: "scores", items, scores: new Float32Array(items) },
    similar: null,
    together: NOTHING_TRAINED.together,
    policy: { ...bundle.policy, tasteActions: [], repeatActions: [] },
    ranker: null,
  };
}

/** The shops of this isolate. Products come from their object, are kept as columns, and are refreshed in the background. */
export class Shops {
  readonly #source: ProductSource;
  readonly #background: (promise: Promise<unknown>) => void;
  readonly #shops = new Map<string, Shop>();

  constructor(source: ProductSource, background: (promise: Promise<unknown>) => void) {
    this.#source = source;
    this.#background = background;
  }

  /**
   * The shop with its recommender. `wait` is there when this isolate has not seen the products of late: whoever answers should wait for it, within
   * a deadline. `stale`: what the answer shows was not looked at for longer.
   */
  of(
    tenant: string,
    loaded: LoadedRecommender | null,
    now: number,
  ): { readonly shop: OpenShop; readonly wait: Promise<void> | null; readonly stale: () => boolean } {
    const shop = this.#shopOf(tenant, loaded);
    const refreshing = shop.refresh(now);
    if (refreshing !== null) this.#background(refreshing);
    const stale = (): boolean => now - shop.refreshedAt > STALE_AFTER_MS;
    const opened = shop.open(loaded);
    const valuing = shop.refreshValues(now);
    if (valuing !== null) this.#background(valuing);
    if (this.#shops.size > 1) this.#makeRoom(shop);
    return { shop: opened, wait: stale() && shop.isYoung(now) ? refreshing : null, stale };
  }

  #shopOf(tenant: string, loaded: LoadedRecommender | null): Shop {
    const asOf = loaded === null ? 0 : Math.max(0, loaded.bundle.asOf - AS_OF_MARGIN_MS);
    const known = this.#shops.get(tenant);
    // A model that was rolled back, or lost: older products are needed than this memory holds.
    const shop = known?.covers(loaded, asOf) === true ? known : new Shop(tenant, this.#source, asOf);
    // In the order of use.
    this.#shops.delete(tenant);
    this.#shops.set(tenant, shop);
    return shop;
  }

  #makeRoom(own: Shop): void {
    let bytes = 0;
    for (const shop of this.#shops.values()) bytes += shop.bytes;
    for (const [tenant, shop] of this.#shops) {
      if (shop === own || (bytes <= BUDGET_BYTES && this.#shops.size <= MAX_TENANTS)) return;
      this.#shops.delete(tenant);
      bytes -= shop.bytes;
    }
  }
}
