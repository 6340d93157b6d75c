import { describe, expect, it } from "vitest";
import { FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import type { FeatureVector } from "../../../models/features/feature-store.ts";
import {
  type EntityShardClient,
  type EntityShardPlaces,
  EntityShards,
} from "../../../workers/adapters/entity-shards.ts";
import type { ShardFeatureStore } from "../../../workers/features/shard-feature-store.ts";
import { anOrder, aPaidOrder, aPlacedOrder, at } from "../../support/events.ts";
import { aStore, aTenant, DEADLINE_MS, namespace, request, stored } from "./a-store.ts";

const HOUR_MS = 3_600_000;

const valueOf = ({ vector }: FeatureVector, name: string): number => vector[FRAUD_FEATURES.indexOf(name)] ?? Number.NaN;

const earlier = (hours: number, orderId: string, cents = 1_000) =>
  aPlacedOrder({ orderId, placedAt: at(-hours * HOUR_MS), total: { amount: cents, currency: "EUR" } });

describe("applying events", () => {
  it("counts an event once, however often it is delivered", async () => {
    const tenant = aTenant();
    const { store } = aStore();
    const events = [stored(tenant, earlier(2, "a")), stored(tenant, earlier(1, "b")), stored(tenant, earlier(2, "a"))];
    expect(await store.apply(tenant, events)).toEqual(["applied", "applied", "duplicate"]);
    expect(await store.apply(tenant, events)).toEqual(["duplicate", "duplicate", "duplicate"]);
    const [vector] = await store.read([request(tenant)], DEADLINE_MS);
    expect(valueOf(vector as FeatureVector, "customer_orders_1d")).toBe(3);
  });

  it("refuses the same (source, id) with other content, whichever entities it names", async () => {
    const tenant = aTenant();
    const { store } = aStore();
    await store.apply(tenant, [stored(tenant, earlier(2, "a"))]);
    const other = aPlacedOrder({ orderId: "a", customerId: "cus-other", placedAt: at(-2 * HOUR_MS) });
    expect(await store.apply(tenant, [stored(tenant, other)])).toEqual(["conflict"]);
    const [vector] = await store.read([request(tenant, anOrder({ customerId: "cus-other" }))], DEADLINE_MS);
    expect(valueOf(vector as FeatureVector, "customer_orders_1d")).toBe(1);
  });

  it("counts an order once, whether attempt, placing and payment arrive, in any order", async () => {
    const placed = earlier(1, "a");
    const paid = aPaidOrder({ orderId: "a", placedAt: at(-HOUR_MS), total: { amount: 1_000, currency: "EUR" } });
    const order = anOrder({ orderId: "a", placedAt: at(-HOUR_MS), total: { amount: 1_000, currency: "EUR" } });
    const steps = (tenant: string, store: ShardFeatureStore) => [
      () => store.apply(tenant, [stored(tenant, placed)]),
      () => store.apply(tenant, [stored(tenant, paid)]),
      () => store.attempt(request(tenant, order), DEADLINE_MS),
    ];
    for (const sequence of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
    ]) {
      const tenant = aTenant();
      const { store } = aStore();
      for (const step of sequence) await steps(tenant, store)[step]?.();
      const [vector] = await store.read([request(tenant)], DEADLINE_MS);
      expect(valueOf(vector as FeatureVector, "customer_orders_1d"), `sequence ${sequence.join()}`).toBe(2);
      expect(valueOf(vector as FeatureVector, "customer_mean_amount_1d")).toBeCloseTo((10 + 49.99) / 2, 5);
    }
  });

  it("refuses an unknown event that is older than identities are kept, an import excepted", async () => {
    const tenant = aTenant();
    const { store } = aStore();
    const old = earlier(36 * 24, "old");
    expect(await store.apply(tenant, [stored(tenant, old)])).toEqual(["too-old"]);
    const imported = stored(tenant, { ...old, recordedtime: old.time }, Date.parse(old.time));
    expect(await store.apply(tenant, [imported])).toEqual(["applied"]);
  });

  it("answers `ingested` only after an event was processed to the end", async () => {
    const tenant = aTenant();
    const { store } = aStore();
    const event = stored(tenant, earlier(1, "a"));
    await store.apply(tenant, [event]);
    expect(await store.ingested(tenant, event.source, [event.id, "unknown"])).toEqual([false, false]);
    await store.settle(tenant, [event]);
    expect(await store.ingested(tenant, event.source, [event.id, "unknown"])).toEqual([true, false]);
  });

  it("keeps tenants apart", async () => {
    const [a, b] = [aTenant(), aTenant()];
    const { store } = aStore();
    await store.apply(a, [stored(a, earlier(1, "a"))]);
    const [vector] = await store.read([request(b)], DEADLINE_MS);
    expect(valueOf(vector as FeatureVector, "customer_orders_1d")).toBe(1);
  });
});

describe("deciding on an order", () => {
  it("confirms a vector from memory if and only if no shard has moved on", async () => {
    const tenant = aTenant();
    const { store, reads } = aStore();
    expect(store.peek(request(tenant))).toBeNull();
    const cold = await store.attempt(request(tenant, anOrder({ orderId: "a" })), DEADLINE_MS);
    expect(cold.confirmed).toBe(false);
    expect(valueOf(cold.vector, "customer_orders_1d")).toBe(1);

    const second = request(tenant, anOrder({ orderId: "b", placedAt: at(1_000) }));
    const peeked = store.peek(second) as FeatureVector;
    expect(valueOf(peeked, "customer_orders_1d")).toBe(2);
    const warm = await store.attempt(second, DEADLINE_MS, peeked);
    expect(warm.confirmed).toBe(true);
    expect(warm.vector).toEqual(peeked);
    expect(reads).toEqual({ fromMemory: 3, fromShard: 3 });

    // Another isolate sees an order of the same customer.
    await aStore().store.attempt(request(tenant, anOrder({ orderId: "c", placedAt: at(2_000) })), DEADLINE_MS);
    const third = request(tenant, anOrder({ orderId: "d", placedAt: at(3_000) }));
    expect(valueOf(store.peek(third) as FeatureVector, "customer_orders_1d")).toBe(3);
    const stale = await store.attempt(third, DEADLINE_MS);
    expect(stale.confirmed).toBe(false);
    expect(valueOf(stale.vector, "customer_orders_1d")).toBe(4);
  });

  it("never counts the order itself twice: a second attempt answers as the first", async () => {
    const tenant = aTenant();
    const { store } = aStore();
    await store.apply(tenant, [stored(tenant, earlier(1, "x"))]);
    const wanted = request(tenant, anOrder({ orderId: "a" }));
    const first = await store.attempt(wanted, DEADLINE_MS);
    const second = await store.attempt(wanted, DEADLINE_MS);
    expect([...second.vector.vector]).toEqual([...first.vector.vector]);
    expect(valueOf(second.vector, "customer_seconds_since_order")).toBe(3_600);
  });

  it("agrees between isolates and between numbers of objects", async () => {
    const events = Array.from({ length: 40 }, (_, i) =>
      aPlacedOrder({ orderId: `o${i}`, placedAt: at(-i * HOUR_MS), total: { amount: 100 * i, currency: "EUR" } }),
    );
    const vectors = await Promise.all(
      [1, 2, 7].map(async (objects) => {
        const tenant = aTenant();
        const { store } = aStore(objects);
        await store.apply(
          tenant,
          events.map((event) => stored(tenant, event)),
        );
        const other = aStore(objects).store;
        const [mine] = await store.read([request(tenant)], DEADLINE_MS);
        const [theirs] = await other.read([request(tenant)], DEADLINE_MS);
        expect([...(mine as FeatureVector).vector]).toEqual([...(theirs as FeatureVector).vector]);
        return [...(mine as FeatureVector).vector];
      }),
    );
    expect(vectors[1]).toEqual(vectors[0]);
    expect(vectors[2]).toEqual(vectors[0]);
  });

  it("answers from memory, flagged stale, or with defaults, flagged missing, when a shard is too slow", async () => {
    const tenant = aTenant();
    const real = new EntityShards(namespace, 1);
    let isSlow = false;
    const never = new Promise<never>(() => {});
    const slow: EntityShardPlaces = {
      nameOf: (of, key) => real.nameOf(of, key),
      client: (name): EntityShardClient => {
        const client = real.client(name);
        return {
          claim: (claims) => client.claim(claims),
          ingest: (claims, batch) => client.ingest(claims, batch),
          settle: (ids) => client.settle(ids),
          settled: (ids) => client.settled(ids),
          loadState: (load) => client.loadState(load),
          apply: (batch) => client.apply(batch),
          read: (names, known) => (isSlow ? never : client.read(names, known)),
          attempt: (batch, known) => (isSlow ? never : client.attempt(batch, known)),
        };
      },
    };
    const { store } = aStore(1, {}, slow);
    await store.attempt(request(tenant, anOrder({ orderId: "a" })), DEADLINE_MS);
    isSlow = true;
    const known = await store.attempt(request(tenant, anOrder({ orderId: "b" })), 1);
    expect(known.confirmed).toBe(false);
    expect(known.vector.degraded).toEqual(["features-stale"]);
    expect(valueOf(known.vector, "customer_orders_1d")).toBe(2);
    const unknown = await store.attempt(request(tenant, anOrder({ orderId: "c", customerId: "cus-9" })), 1);
    expect(unknown.vector.degraded).toEqual(["features-missing", "features-stale"]);
    expect(valueOf(unknown.vector, "customer_orders_1d")).toBeNaN();
    expect(valueOf(unknown.vector, "amount")).toBeCloseTo(49.99, 5);
  });

  it("answers a read of many by its deadline: what shards did not say in time is flagged, row by row", async () => {
    const tenant = aTenant();
    const real = new EntityShards(namespace, 2);
    await aStore(2).store.apply(tenant, [stored(tenant, earlier(1, "a"))]);
    const lost = real.nameOf(tenant, "customer:cus-1");
    const customers = Array.from({ length: 20 }, (_, index) => `cus-${index + 1}`);
    const isLost = (customer: string): boolean => real.nameOf(tenant, `customer:${customer}`) === lost;
    const places: EntityShardPlaces = {
      nameOf: (of, key) => real.nameOf(of, key),
      client: (name) =>
        name === lost ? { ...real.client(name), read: () => new Promise(() => {}) } : real.client(name),
    };
    const { store } = aStore(2, {}, places);
    const requests = customers.map((customer) => ({
      tenant,
      service: FRAUD_FEATURES.name,
      entities: { customer },
      payload: null,
      asOf: Date.parse(at(0)),
    }));
    const vectors = await store.vectors(requests, { deadlineMs: 300, maxAgeMs: 0 });
    expect(vectors.map(({ degraded }) => degraded)).toEqual(
      customers.map((customer) => (isLost(customer) ? ["features-missing"] : [])),
    );
    expect(customers.some((customer) => !isLost(customer))).toBe(true);
    for (const [index, vector] of vectors.entries()) {
      const isKnown = !isLost(customers[index] ?? "");
      expect(vector.watermarks).toHaveLength(isKnown ? 1 : 0);
      // Known to have no orders, or not known at all: zero is not the answer where nobody knows.
      expect(valueOf(vector, "customer_orders_1d")).toBe(isKnown ? 0 : Number.NaN);
    }
  });
});
