import { env } from "cloudflare:workers";
import type { EntityShard } from "../../../durable-objects/entity-shard.ts";
import { FEATURE_CATALOG, featureService } from "../../../models/catalog/feature-catalog.ts";
import type { StoredEvent } from "../../../models/contract/events.ts";
import type { OrderFeatureRequest } from "../../../models/features/feature-store.ts";
import { type EntityShardPlaces, EntityShards } from "../../../workers/adapters/entity-shards.ts";
import { EntityCache } from "../../../workers/features/entity-cache.ts";
import { ShardFeatureStore, type FeatureStoreDeps } from "../../../workers/features/shard-feature-store.ts";
import { anOrder, T0 } from "../../support/events.ts";

export const namespace = (env as unknown as { ENTITY_SHARDS: DurableObjectNamespace<EntityShard> }).ENTITY_SHARDS;
export const DEADLINE_MS = 5_000;

let tenants = 0;
/** A tenant of its own: nothing that another test stored is in it. Test files share no storage. */
export const aTenant = (): string => `t${++tenants}`;

/** A store as one isolate has it: its own memory over shared shards. */
export function aStore(
  objects = 3,
  overrides: Partial<FeatureStoreDeps> = {},
  places: EntityShardPlaces = new EntityShards(namespace, objects),
) {
  const reads = { fromMemory: 0, fromShard: 0 };
  const store = new ShardFeatureStore({
    places,
    cache: new EntityCache(),
    catalog: FEATURE_CATALOG,
    service: featureService,
    now: () => T0,
    background: () => {},
    replicas: () => 1,
    onCacheReads: (fromMemory, fromShard) => {
      reads.fromMemory += fromMemory;
      reads.fromShard += fromShard;
    },
    ...overrides,
  });
  return { store, reads };
}

export const stored = (tenant: string, event: object, ingestedAt = T0): StoredEvent =>
  ({ ...event, tenant, ingestedAt }) as StoredEvent;

export const request = (tenant: string, order = anOrder()): OrderFeatureRequest => ({
  tenant,
  service: "fraud_orders_v1",
  order,
  asOf: Date.parse(order.placedAt),
});
