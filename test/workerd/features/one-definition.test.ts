import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { ReplayState } from "../../../batch-training/features/replay-state.ts";
import type { EntityShard } from "../../../durable-objects/entity-shard.ts";
import { FEATURE_CATALOG, FRAUD_FEATURES, featureService } from "../../../models/catalog/feature-catalog.ts";
import type { StoredEvent } from "../../../models/contract/events.ts";
import { EntityShards } from "../../../workers/adapters/entity-shards.ts";
import { EntityCache } from "../../../workers/features/entity-cache.ts";
import { ShardFeatureStore } from "../../../workers/features/shard-feature-store.ts";
import { anOrder, aPaidOrder, aPlacedOrder, at, T0 } from "../../support/events.ts";
import { SeededRandom } from "../../support/seeded-random.ts";

const namespace = (env as unknown as { ENTITY_SHARDS: DurableObjectNamespace<EntityShard> }).ENTITY_SHARDS;
const HOUR_MS = 3_600_000;
const DEADLINE_MS = 10_000;

function aStore(): ShardFeatureStore {
  return new ShardFeatureStore({
    places: new EntityShards(namespace, 3),
    cache: new EntityCache(),
    catalog: FEATURE_CATALOG,
    service: featureService,
    replicas: () => 1,
    now: () => T0,
    background: () => {},
    onCacheReads: () => {},
  });
}

/** Three hundred orders of twelve customers over forty days, some paid, some reported twice, in no order. */
function aPast(random: SeededRandom, tenant: string): StoredEvent[] {
  return Array.from({ length: 300 }, (_, index) => {
    const placedAt = at(-random.below(40 * 24) * HOUR_MS);
    const customer = random.below(12);
    const amount = 500 + random.below(50_000);
    const order = {
      orderId: `o${random.below(270)}`,
      customerId: `cus-${customer}`,
      deviceId: `dev-${random.below(6)}`,
      placedAt,
      total: { amount, currency: "EUR" },
    };
    const event = (random.next() < 0.5 ? aPlacedOrder : aPaidOrder)(order, { id: `e${index}`, recordedtime: placedAt });
    return { ...event, tenant, ingestedAt: Date.parse(placedAt) };
  });
}

describe("law: one definition", () => {
  it("shards, isolate memory and the offline builder finish the same vector from the same facts", async () => {
    const tenant = "one-definition";
    const random = new SeededRandom(11);
    const past = aPast(random, tenant);
    const offline = new ReplayState(FEATURE_CATALOG);
    for (const event of past) offline.apply(event);
    const store = aStore();
    for (let start = 0; start < past.length; start += 50) await store.apply(tenant, past.slice(start, start + 50));

    for (let probe = 0; probe < 40; probe++) {
      const order = anOrder({
        orderId: `probe-${probe}`,
        customerId: `cus-${random.below(14)}`,
        deviceId: `dev-${random.below(7)}`,
        placedAt: at(-random.below(10 * 24) * HOUR_MS),
      });
      const request = { tenant, service: FRAUD_FEATURES.name, order, asOf: Date.parse(order.placedAt) };
      const expected = [...offline.vector(FRAUD_FEATURES, order, request.asOf).vector];
      // Another isolate, which knows nothing: everything comes from the shards.
      const [fromShards] = await aStore().read([request], DEADLINE_MS);
      expect([...(fromShards?.vector ?? [])], `probe ${probe} from shards`).toEqual(expected);
      await store.read([request], DEADLINE_MS);
      expect([...(store.peek(request)?.vector ?? [])], `probe ${probe} from memory`).toEqual(expected);
    }
  });
});
