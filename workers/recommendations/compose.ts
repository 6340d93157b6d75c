import { waitUntil } from "cloudflare:workers";
import { RECOMMENDER_MODEL } from "../../models/catalog/product-recommendations/model.ts";
import type { Event } from "../../models/contract/events.ts";
import type { Pseudonym } from "../../models/contract/pseudonymise.ts";
import kernels from "../../models/engine/kernels/kernels.wasm";
import type { VectorSearch } from "../../models/engine/vector-search.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { ExposureLog } from "../adapters/exposure-log.ts";
import { inJurisdiction } from "../adapters/jurisdiction.ts";
import type { ModelStore } from "../adapters/model-store.ts";
import { PrecomputedLists } from "../adapters/precomputed-lists.ts";
import { ProductCatalogues } from "../adapters/product-catalogues.ts";
import { VisitorHistories } from "../adapters/visitor-histories.ts";
import type { Config } from "../config.ts";
import type { KeepShopDeps } from "../jobs/keep-shop.ts";
import { Attribution } from "./attribution.ts";
import { Exposures } from "./exposures.ts";
import { openRecommender } from "./load-recommender.ts";
import { PRODUCT_VALUES, PRODUCT_VALUES_PAGE, type ProductRefreshDeps, refreshProducts } from "./product-refresh.ts";
import { RecommendationIds } from "./recommendation-ids.ts";
import { RecommenderProvider, type RecommenderProviderDeps } from "./recommender-provider.ts";
import type { RecommendationRouteDeps } from "./route.ts";
import { RecommendationServer } from "./serve.ts";
import { type ProductSource, Shops } from "./shops.ts";
import { VectorSearcher } from "./vector-searcher.ts";
import { VisitorReader } from "./visitor-reader.ts";

interface SharedParts {
  readonly routing: RecommenderProviderDeps["routing"];
  readonly store: ModelStore;
  readonly pseudonyms: (tenant: string) => Pseudonym;
  readonly metrics: MetricRegistry;
  readonly send: (events: readonly Event[]) => Promise<void>;
  /** Vectors of any feature service, from the shards. */
  readonly features: ProductRefreshDeps["vectors"];
  /** Null: embeddings are searched in the isolate. */
  readonly vectors: VectorSearch | null;
}

const now = (): number => Date.now();
const after = (milliseconds: number): Promise<void> => scheduler.wait(milliseconds);
const pause = (): Promise<void> => after(0);
const background = (promise: Promise<unknown>): void => waitUntil(promise);

/** What recommends in this isolate, and what the consumer keeps for it. */
export function composeRecommendations(
  env: Env,
  config: Config,
  { routing, store, pseudonyms, metrics, send, features, vectors }: SharedParts,
): { readonly routes: Omit<RecommendationRouteDeps, "enqueue">; readonly keep: KeepShopDeps } {
  const products = new ProductCatalogues(inJurisdiction(env.PRODUCTS, config));
  const visitors = new VisitorHistories(inJurisdiction(env.VISITORS, config), config.visitorShardObjects);
  const source: ProductSource = {
    changes: (...page) => products.changes(...page),
    rankings: (tenant) => products.rankings(tenant),
    values: (tenant, after) => products.values(tenant, after, PRODUCT_VALUES_PAGE),
  };
  const refresh: ProductRefreshDeps = {
    vectors: features,
    keep: (tenant, values) => products.keepValues(tenant, values),
    metrics,
  };
  const ids = new RecommendationIds(config.pseudonymKey);
  const log = new ExposureLog(env.LOGS, pause);
  const compares = config.recommendationControlShare > 0;
  const attribution = new Attribution({ store: visitors, ids, compares, send, metrics });
  const provider = new RecommenderProvider({
    model: RECOMMENDER_MODEL,
    routing,
    store,
    open: (manifest, files) => openRecommender(kernels, manifest, files, config.vectorIndex?.headItems ?? null),
    now,
    after,
    background,
    metrics,
  });
  // KV has no jurisdiction: where one is set, lists of persons stay out of it.
  const precomputed = new PrecomputedLists(config.jurisdiction === null ? env.KV : null);
  const server = new RecommendationServer({
    provider,
    shops: new Shops(source, background),
    vectors: new VectorSearcher({ index: vectors, now, background, metrics }),
    visitors: new VisitorReader({ source: visitors, now, background }),
    precomputed,
    ids,
    controlShare: config.recommendationControlShare,
    pseudonyms,
    background,
    random: randomLetters,
    now,
    metrics,
  });
  return {
    routes: {
      server,
      exposures: new Exposures({
        append: (...batch) => log.append(...batch),
        attribute: (...batch) => attribution.lists(...batch),
        send,
        now,
        after,
        pause,
        metrics,
      }),
      ids,
      pseudonyms,
    },
    keep: {
      products: { apply: (...batch) => products.apply(...batch, PRODUCT_VALUES) },
      refreshValues: (...due) => refreshProducts(refresh, ...due),
      visitors,
      attribute: (...batch) => attribution.outcomes(...batch),
      forgetLists: (tenant, customers) => precomputed.forget(tenant, customers),
    },
  };
}

/** 64 random bits in base 36. */
function randomLetters(): string {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return high.toString(36) + low.toString(36);
}
