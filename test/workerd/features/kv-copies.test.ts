import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { type CopyStore, type DueCopy, writeCopies } from "../../../durable-objects/entity-copies.ts";
import { EntityShardCore } from "../../../durable-objects/entity-shard.core.ts";
import { FEATURE_CATALOG, featureService } from "../../../models/catalog/feature-catalog.ts";
import type { FeatureVector, VectorRequest } from "../../../models/features/feature-store.ts";
import { EntityCopies } from "../../../workers/adapters/entity-copies.ts";
import { type EntityShardClient, EntityShards } from "../../../workers/adapters/entity-shards.ts";
import { EntityCache } from "../../../workers/features/entity-cache.ts";
import { COPY_AGE_MS, COPY_CACHE_SECONDS, type CopyReads } from "../../../workers/features/read-copies.ts";
import type { ShardFeatureStore } from "../../../workers/features/shard-feature-store.ts";
import { aPlacedOrder, at, T0 } from "../../support/events.ts";
import { aStore, aTenant, namespace, stored } from "./a-store.ts";

const KV = (env as unknown as { KV: KVNamespace }).KV;
const SERVICE = "customer_profile_v1";
const HOUR_MS = 3_600_000;
const MINUTE = { deadlineMs: 5_000, maxAgeMs: 60_000 };
const EXACT = { deadlineMs: 5_000, maxAgeMs: 0 };

const profiles = featureService(SERVICE)?.definition.request;
const load = (store: ShardFeatureStore, tenant: string, entity: string, hours: number, value: number) => {
  if (!profiles) throw new Error(`there is no ${SERVICE}`);
  const row = { entity, at: at(-hours * HOUR_MS), values: { lifetime_value: value, churn_probability: 0.5 } };
  return store.load(tenant, FEATURE_CATALOG.factsOfPayload(profiles, row, T0));
};
const ask = (tenant: string, customer: string): VectorRequest => ({
  tenant,
  service: SERVICE,
  entities: { customer },
  payload: null,
  asOf: T0,
});
const shardOf = (tenant: string) => namespace.getByName(`${tenant}/0`);
const keyOf = (tenant: string, customer: string): string => `${tenant}:feature:customer_profile@1:${customer}`;

/** A store of another isolate that reads copies; `reads` tells where answers came from. */
function aReader(overrides: Partial<CopyReads> = {}, now = () => T0) {
  const reads = { copies: 0, calls: 0 };
  const kv = new EntityCopies(KV, COPY_CACHE_SECONDS);
  const copies: CopyReads = {
    read: async (keys) => {
      reads.calls++;
      return await kv.read(keys);
    },
    memory: new EntityCache(),
    onReads: (count) => (reads.copies += count),
    ...overrides,
  };
  return { ...aStore(1, { copies, now }), copyReads: reads };
}

describe("copies in KV of groups that declare them", () => {
  it("are written by alarm, once for many changes, and read with status, age and watermark as the shard would answer", async () => {
    const tenant = aTenant();
    const writer = aStore(1).store;
    for (let change = 5; change > 0; change--) await load(writer, tenant, "ann", change, 100 * change);
    await load(writer, tenant, "bob", 2, 7);
    expect(await KV.get(keyOf(tenant, "ann"))).toBeNull();
    await runInDurableObject(shardOf(tenant), async (_, { storage }) => {
      expect(storage.sql.exec("SELECT * FROM pending_copies").toArray()).toHaveLength(2);
      const alarm = (await storage.getAlarm()) ?? 0;
      expect(alarm - Date.now()).toBeLessThanOrEqual(1_000);
    });
    await runDurableObjectAlarm(shardOf(tenant));
    await runInDurableObject(shardOf(tenant), (_, { storage }) => {
      expect(storage.sql.exec("SELECT * FROM pending_copies").toArray()).toEqual([]);
    });

    const { store, reads, copyReads } = aReader();
    const requests = ["ann", "bob"].map((customer) => ask(tenant, customer));
    const copied = await store.vectors(requests, MINUTE);
    expect({ ...reads, ...copyReads }).toEqual({ fromMemory: 0, fromShard: 0, copies: 2, calls: 1 });
    const exact = await aStore(1).store.vectors(requests, EXACT);
    expect(copied).toEqual(exact);
    expect(copied[0]).toMatchObject({ statuses: ["present", "present"], ages: [3_600, 3_600], degraded: [] });
    expect(copied[0]?.watermarks[0]?.version).toBeGreaterThan(0);
  });

  it("are not asked for by readers that allow less age, nor of groups that declare none", async () => {
    const tenant = aTenant();
    const { store: writer } = aStore(1);
    await load(writer, tenant, "ann", 1, 100);
    await writer.apply(tenant, [stored(tenant, aPlacedOrder({ customerId: "ann", placedAt: at(-HOUR_MS) }))]);
    await runDurableObjectAlarm(shardOf(tenant));
    const names = (await KV.list({ prefix: `${tenant}:` })).keys.map(({ name }) => name);
    expect(names).toEqual([keyOf(tenant, "ann")]);
    const { store, copyReads } = aReader();
    await store.vectors([ask(tenant, "ann")], { ...MINUTE, maxAgeMs: COPY_AGE_MS - 1 });
    await store.vectors([{ ...ask(tenant, "bea"), service: "fraud_orders_v1" }], MINUTE);
    expect(copyReads).toEqual({ copies: 0, calls: 0 });
  });

  it("answer from memory until they are too old; an entity without one is asked of its shard", async () => {
    const tenant = aTenant();
    await load(aStore(1).store, tenant, "ann", 1, 100);
    await runDurableObjectAlarm(shardOf(tenant));
    let clock = T0;
    const { store, reads, copyReads } = aReader({}, () => clock);
    await store.vectors([ask(tenant, "ann"), ask(tenant, "nobody")], MINUTE);
    expect({ ...reads, ...copyReads }).toEqual({ fromMemory: 0, fromShard: 1, copies: 1, calls: 1 });
    clock += MINUTE.maxAgeMs - COPY_AGE_MS;
    await store.vectors([ask(tenant, "ann")], MINUTE);
    expect(copyReads).toEqual({ copies: 2, calls: 1 });
    clock += 1;
    await store.vectors([ask(tenant, "ann")], MINUTE);
    expect(copyReads).toEqual({ copies: 3, calls: 2 });
  });

  it("never go back: an older one replaces no newer one, in KV or in memory", async () => {
    const tenant = aTenant();
    const writer = aStore(1).store;
    await load(writer, tenant, "ann", 2, 100);
    await runDurableObjectAlarm(shardOf(tenant));
    const older = (await KV.get(keyOf(tenant, "ann"))) ?? "";
    await load(writer, tenant, "ann", 1, 200);
    await runDurableObjectAlarm(shardOf(tenant));
    const newer = (await KV.get(keyOf(tenant, "ann"))) ?? "";
    expect(newer).not.toBe(older);
    const copy: DueCopy = { entity: 1, group: 1, version: 1, key: keyOf(tenant, "ann"), text: older, ttlSeconds: 60 };
    expect(await writeCopies(KV, [copy])).toEqual([copy]);
    expect(await KV.get(keyOf(tenant, "ann"))).toBe(newer);

    // A location that still has the older one answers after one that has the newer.
    const answers = [newer, older];
    let clock = T0;
    const read = async (keys: readonly string[]) => new Map([[keys[0] ?? "", answers.shift() ?? ""]]);
    const { store } = aReader({ read }, () => clock);
    const values: number[] = [];
    for (let turn = 0; turn < 2; turn++) {
      const [vector] = await store.vectors([ask(tenant, "ann")], MINUTE);
      values.push((vector as FeatureVector).vector[0] ?? Number.NaN);
      clock += MINUTE.maxAgeMs;
    }
    expect(values).toEqual([200, 200]);
  });

  it("stay due where a write fails, or where the entity changed while it was under way", async () => {
    const tenant = aTenant();
    const writer = aStore(1).store;
    await load(writer, tenant, "ann", 3, 100);
    await load(writer, tenant, "bob", 3, 100);
    const refusing: CopyStore = {
      getWithMetadata: async () => new Map(),
      put: async (key) => {
        if (key.endsWith("ann")) throw new Error("429");
        await load(writer, tenant, "bob", 2, 200);
      },
    };
    const due: DueCopy[] = [];
    // The alarm's own steps, with a store that refuses.
    await runInDurableObject(shardOf(tenant), (_, { storage }) => {
      due.push(...new EntityShardCore(storage, FEATURE_CATALOG).dueCopies(tenant));
    });
    const done = await writeCopies(refusing, due);
    expect(done.map(({ key }) => key)).toEqual([keyOf(tenant, "bob")]);
    await runInDurableObject(shardOf(tenant), (_, { storage }) => {
      const core = new EntityShardCore(storage, FEATURE_CATALOG);
      core.copiesWritten(done);
      expect(core.dueCopies(tenant)).toHaveLength(2);
    });
  });

  it("that cannot be read, or are slow, leave the answer to the shards", async () => {
    const tenant = aTenant();
    await load(aStore(1).store, tenant, "ann", 1, 100);
    await runDurableObjectAlarm(shardOf(tenant));
    const broken: CopyReads["read"][] = [
      () => Promise.reject(new Error("KV is down")),
      () => new Promise(() => {}),
      async (keys) => new Map(keys.map((key) => [key, '{"v":9}'])),
      async (keys) => new Map(keys.map((key) => [key, "not json"])),
    ];
    for (const read of broken) {
      const { store, reads } = aReader({ read });
      const [vector] = await store.vectors([ask(tenant, "ann")], { deadlineMs: 2_000, maxAgeMs: 60_000 });
      expect([...(vector as FeatureVector).vector]).toEqual([100, 0.5]);
      expect(reads.fromShard).toBe(1);
    }
  });

  it("answer while no shard does", async () => {
    const tenant = aTenant();
    await load(aStore(1).store, tenant, "ann", 1, 100);
    await runDurableObjectAlarm(shardOf(tenant));
    const places = new EntityShards(namespace, 1);
    const dead = { nameOf: places.nameOf.bind(places), client: (): EntityShardClient => never };
    const copies: CopyReads = {
      read: (keys) => new EntityCopies(KV, 30).read(keys),
      memory: new EntityCache(),
      onReads: () => {},
    };
    const { store } = aStore(1, { copies }, dead);
    const [vector] = await store.vectors([ask(tenant, "ann")], MINUTE);
    expect(vector).toMatchObject({ degraded: [], statuses: ["present", "present"] });
  });
});

const never = new Proxy({} as EntityShardClient, { get: () => () => new Promise(() => {}) });
