import { PRODUCT_RANKING } from "../../models/catalog/feature-catalog.ts";
import type { KeptValues } from "../../durable-objects/product-values.core.ts";
import type { FeatureVector, VectorRequest } from "../../models/features/feature-store.ts";
import { PLACES, PRODUCT_VALUES_MS, PRODUCT_WIDTH } from "../../models/recommend/ranking-service.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { logWarning } from "../http/log.ts";

/** Reading a hundred products takes some milliseconds; what takes longer than this is tried again with the next batch of events. */
const DEADLINE_MS = 2_000;

/** Values that the catalogue's object is asked about. */
export const PRODUCT_VALUES = { service: PRODUCT_RANKING.hash, maxAgeMs: PRODUCT_VALUES_MS } as const;
export const PRODUCT_VALUES_PAGE = { service: PRODUCT_RANKING.hash, width: PRODUCT_WIDTH } as const;

export interface ProductRefreshDeps {
  readonly vectors: (
    requests: readonly VectorRequest[],
    options: { readonly deadlineMs: number; readonly maxAgeMs: number },
  ) => Promise<FeatureVector[]>;
  readonly keep: (tenant: string, values: KeptValues) => Promise<void>;
  readonly metrics: MetricRegistry;
}

/** Reads products' own ranking features from the shards and hands them to the catalogue's object, from which every isolate takes them. Never throws. */
export async function refreshProducts(
  { vectors, keep, metrics }: ProductRefreshDeps,
  tenant: string,
  products: readonly string[],
  now: number,
): Promise<void> {
  try {
    const requests = products.map((product): VectorRequest => {
      return { tenant, service: PRODUCT_RANKING.name, entities: { product }, payload: null, asOf: now };
    });
    const read = await vectors(requests, { deadlineMs: DEADLINE_MS, maxAgeMs: 0 });
    const known = products.filter((_, index) => read[index]?.degraded.length === 0);
    const numbers = new Float32Array(known.length * PRODUCT_WIDTH);
    let at = 0;
    for (const { vector, degraded } of read) {
      if (degraded.length > 0) continue;
      numbers.set(vector.subarray(PLACES.product.start, PLACES.product.end), at);
      at += PRODUCT_WIDTH;
    }
    metrics.count("product_values_refreshed_total", { outcome: "kept" }, known.length);
    metrics.count("product_values_refreshed_total", { outcome: "unread" }, products.length - known.length);
    if (known.length > 0) await keep(tenant, { service: PRODUCT_RANKING.hash, at: now, products: known, numbers });
  } catch (error) {
    // The products stay due: the next batch tries again.
    metrics.count("product_values_refreshed_total", { outcome: "failed" }, products.length);
    logWarning("values of products were not refreshed", { tenant, products: products.length, reason: String(error) });
  }
}
