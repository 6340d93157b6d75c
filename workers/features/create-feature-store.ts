import type { EntityShard } from "../../durable-objects/entity-shard.ts";
import { FEATURE_CATALOG, featureService } from "../../models/catalog/feature-catalog.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { EntityShards } from "../adapters/entity-shards.ts";
import type { Replicas } from "./replicas.ts";
import { EntityCache } from "./entity-cache.ts";
import { ShardFeatureStore } from "./shard-feature-store.ts";

export interface FeatureStoreOptions {
  readonly namespace: DurableObjectNamespace<EntityShard>;
  /** Objects per tenant. */
  readonly objects: number;
  readonly metrics: MetricRegistry;
  readonly now: () => number;
  readonly background: (promise: Promise<unknown>) => void;
  /** Hot entities and the number of their parts; see replicas.ts. */
  readonly replicas?: Replicas;
}

/** The feature store of one isolate. Create it once: its memory is the point. */
export function createFeatureStore({
  namespace,
  objects,
  metrics,
  now,
  background,
  replicas = () => 1,
}: FeatureStoreOptions): ShardFeatureStore {
  return new ShardFeatureStore({
    places: new EntityShards(namespace, objects),
    cache: new EntityCache(),
    catalog: FEATURE_CATALOG,
    replicas,
    service: featureService,
    now,
    background,
    onCacheReads: (fromMemory, fromShard) => {
      metrics.count("feature_cache_reads_total", { from: "memory" }, fromMemory);
      metrics.count("feature_cache_reads_total", { from: "shard" }, fromShard);
    },
  });
}
