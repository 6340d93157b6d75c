import type { EntityShard } from "../../durable-objects/entity-shard.ts";
import { FEATURE_CATALOG, featureService } from "../../models/catalog/feature-catalog.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { EntityCopies } from "../adapters/entity-copies.ts";
import { EntityShards } from "../adapters/entity-shards.ts";
import type { Replicas } from "./replicas.ts";
import { EntityCache } from "./entity-cache.ts";
import { COPY_CACHE_SECONDS, type CopyReads } from "./read-copies.ts";
import { ShardFeatureStore } from "./shard-feature-store.ts";

/** 8 MB of the isolate's 128, beside its cache of whole entities. */
const MAX_COPIES_BYTES = 8 * 1024 * 1024;

export interface FeatureStoreOptions {
  readonly namespace: DurableObjectNamespace<EntityShard>;
  /** Objects per tenant. */
  readonly objects: number;
  readonly metrics: MetricRegistry;
  readonly now: () => number;
  readonly background: (promise: Promise<unknown>) => void;
  /** Hot entities and the number of their parts; see replicas.ts. */
  readonly replicas?: Replicas;
  /** Where copies for reads that allow age are; absent: nowhere. */
  readonly copies?: KVNamespace | undefined;
}

/** The feature store of one isolate. Create it once: its memory is the point. */
export function createFeatureStore({
  namespace,
  objects,
  metrics,
  now,
  background,
  replicas = () => 1,
  copies,
}: FeatureStoreOptions): ShardFeatureStore {
  return new ShardFeatureStore({
    places: new EntityShards(namespace, objects),
    cache: new EntityCache(),
    catalog: FEATURE_CATALOG,
    replicas,
    service: featureService,
    now,
    background,
    ...(copies && { copies: copyReads(copies, metrics) }),
    onCacheReads: (fromMemory, fromShard) => {
      metrics.count("feature_cache_reads_total", { from: "memory" }, fromMemory);
      metrics.count("feature_cache_reads_total", { from: "shard" }, fromShard);
    },
  });
}

function copyReads(kv: KVNamespace, metrics: MetricRegistry): CopyReads {
  const copies = new EntityCopies(kv, COPY_CACHE_SECONDS);
  return {
    read: (keys) => copies.read(keys),
    memory: new EntityCache(MAX_COPIES_BYTES),
    onReads: (count) => metrics.count("feature_cache_reads_total", { from: "copy" }, count),
  };
}
