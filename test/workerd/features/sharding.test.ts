import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { EntityShardCore } from "../../../durable-objects/entity-shard.core.ts";
import { IDENTITY_TTL_MS } from "../../../durable-objects/event-identities.ts";
import { FEATURE_CATALOG } from "../../../models/catalog/feature-catalog.ts";
import { copyAll, dropMoved } from "../../../workers/jobs/reshard-entities.ts";
import { anOrder, aPlacedOrder, at } from "../../support/events.ts";
import { aStore, aTenant, DEADLINE_MS, namespace, request, stored } from "./a-store.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const placed = (tenant: string, i: number, customer = `c${i % 7}`) =>
  stored(
    tenant,
    aPlacedOrder({
      orderId: `o${i}`,
      customerId: customer,
      deviceId: `d${i % 5}`,
      placedAt: at(-i * MINUTE_MS),
      total: { amount: 100 + i, currency: "EUR" },
    }),
  );
const requests = (tenant: string) =>
  Array.from({ length: 7 }, (_, i) => request(tenant, anOrder({ orderId: "q", customerId: `c${i}`, deviceId: "d1" })));

describe("resharding", () => {
  it.each([
    [1, 4],
    [4, 1],
    [3, 5],
  ])("from %i to %i objects, with events arriving in between, loses and doubles nothing", async (from, to) => {
    const tenant = aTenant();
    const reference = aTenant();
    const events = Array.from({ length: 60 }, (_, i) => placed(tenant, i));
    const deps = { object: (index: number) => namespace.getByName(`${tenant}/${index}`) };

    await aStore(from).store.apply(tenant, events.slice(0, 30));
    await copyAll(deps, { from, to });
    // Between the copy and the deployment the old layout goes on; afterwards the new one takes over.
    await aStore(from).store.apply(tenant, events.slice(30, 45));
    await aStore(to).store.apply(tenant, events.slice(45));
    await copyAll(deps, { from, to });
    await dropMoved(deps, { from, to });

    await aStore(2).store.apply(
      reference,
      events.map((event) => ({ ...event, tenant: reference })),
    );
    const moved = await aStore(to).store.read(requests(tenant), DEADLINE_MS);
    const expected = await aStore(2).store.read(requests(reference), DEADLINE_MS);
    expect(moved.map(({ vector }) => [...vector])).toEqual(expected.map(({ vector }) => [...vector]));
    expect(new Set(await aStore(to).store.apply(tenant, events))).toEqual(new Set(["duplicate"]));
  });
});

describe("a hot entity kept in several parts", () => {
  it("reads as if it were kept in one, confirms, and counts a fact once", async () => {
    const whole = aTenant();
    const parted = aTenant();
    const replicas = (name: string): number => (name === "customer:hot" ? 5 : 1);
    const one = aStore(3).store;
    const five = aStore(3, { replicas }).store;
    const events = (tenant: string) => Array.from({ length: 40 }, (_, i) => placed(tenant, i, "hot"));
    await one.apply(whole, events(whole));
    await five.apply(parted, events(parted));
    expect(new Set(await five.apply(parted, events(parted)))).toEqual(new Set(["duplicate"]));
    const order = anOrder({ orderId: "q", customerId: "hot", deviceId: "d1" });
    const [expected] = await one.read([request(whole, order)], DEADLINE_MS);
    const [merged] = await five.read([request(parted, order)], DEADLINE_MS);
    expect([...(merged?.vector ?? [])]).toEqual([...(expected?.vector ?? [])]);
    const wanted = request(parted, order);
    expect(five.peek(wanted)).not.toBeNull();
    expect((await five.attempt(wanted, DEADLINE_MS)).confirmed).toBe(true);
  });
});

describe("expiry", () => {
  it("removes entities and identities when their time is over, and keeps the rest", async () => {
    const tenant = aTenant();
    const { store } = aStore(1);
    const now = Date.now();
    const order = { orderId: "o", placedAt: new Date(now).toISOString() };
    await store.apply(tenant, [stored(tenant, aPlacedOrder(order), now)]);
    await runInDurableObject(namespace.getByName(`${tenant}/0`), (_, state) => {
      const core = new EntityShardCore(state.storage, FEATURE_CATALOG);
      const count = (table: string): number =>
        state.storage.sql.exec<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`).one().n;
      expect([count("entities"), count("events")]).toEqual([3, 1]);
      expect(core.sweep(now + IDENTITY_TTL_MS - DAY_MS)).toBe(false);
      expect([count("entities"), count("events")]).toEqual([3, 1]);
      expect(core.sweep(now + IDENTITY_TTL_MS + DAY_MS)).toBe(false);
      expect([count("entities"), count("events")]).toEqual([3, 0]);
      // The groups keep 37 days, and a day more for reads in the past.
      core.sweep(now + 39 * DAY_MS);
      expect(count("entities")).toBe(0);
    });
  });

  it("runs by alarm", async () => {
    const tenant = aTenant();
    const { store } = aStore(1);
    await store.apply(tenant, [placed(tenant, 1)]);
    await runInDurableObject(namespace.getByName(`${tenant}/0`), async (object, state) => {
      expect(await state.storage.getAlarm()).not.toBeNull();
      await state.storage.deleteAlarm();
      await object.alarm();
      expect(await state.storage.getAlarm()).not.toBeNull();
    });
  });
});
