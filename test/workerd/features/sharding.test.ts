import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { EntityShardCore } from "../../../durable-objects/entity-shard.core.ts";
import { IDENTITY_TTL_MS } from "../../../durable-objects/event-identities.ts";
import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import type { ReshardPhase } from "../../../models/contract/api/feature-shards.ts";
import {
  advanceReshard,
  type ReshardDeps,
  type ReshardPlan,
  SETTLE_MS,
} from "../../../workers/jobs/reshard-entities.ts";
import { anOrder, aPlacedOrder, at, T0 } from "../../support/events.ts";
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

/** A reshard as the Worker runs it, with the number of objects that is deployed and the clock in hand. */
class Plans implements ReshardDeps {
  readonly object: ReshardDeps["object"];
  readonly #notes: { note(name: string): Promise<string | null>; setNote(name: string, value: string): Promise<void> };
  serving: number;
  clock = T0;

  constructor(tenant: string, serving: number) {
    this.object = (index) => namespace.getByName(`${tenant}/${index}`);
    this.#notes = namespace.getByName(`${tenant}/0`);
    this.serving = serving;
  }

  now = (): number => this.clock;
  load = async (): Promise<ReshardPlan | null> => {
    const note = await this.#notes.note("reshard");
    return note === null ? null : (JSON.parse(note) as ReshardPlan);
  };
  save = async (plan: ReshardPlan): Promise<void> => await this.#notes.setNote("reshard", JSON.stringify(plan));

  async until(phase: ReshardPhase, work: { to: number; pages: number }): Promise<ReshardPlan> {
    for (let call = 0; call < 100; call++) {
      const plan = await advanceReshard(this, work);
      if (plan.phase === phase) return plan;
    }
    throw new Error(`never ${phase}`);
  }
}

describe("resharding", () => {
  it.each([
    [1, 4],
    [4, 1],
    [3, 5],
  ])("from %i to %i objects, with events arriving in between, loses and doubles nothing", async (from, to) => {
    const tenant = aTenant();
    const reference = aTenant();
    const events = Array.from({ length: 60 }, (_, i) => placed(tenant, i));
    const work = { to, pages: 1 };
    await aStore(from).store.apply(tenant, events.slice(0, 30));
    const plans = new Plans(tenant, from);
    expect((await plans.until("waiting-for-deployment", work)).moved).toBeGreaterThan(0);
    // Between the copy and the deployment the old layout goes on; afterwards the new one takes over, in some isolates earlier.
    await aStore(from).store.apply(tenant, events.slice(30, 45));
    plans.serving = to;
    await aStore(to).store.apply(tenant, events.slice(45, 55));
    await plans.until("settling", work);
    await aStore(from).store.apply(tenant, events.slice(55));
    expect((await advanceReshard(plans, work)).phase).toBe("settling");
    plans.clock += SETTLE_MS;
    const done = await plans.until("done", work);
    expect(done.dropped).toBeGreaterThan(0);

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

describe("a reshard under way", () => {
  it("goes on where it stopped, and refuses steps that would lose facts", async () => {
    const tenant = aTenant();
    await aStore(2).store.apply(
      tenant,
      Array.from({ length: 30 }, (_, i) => placed(tenant, i)),
    );
    const plans = new Plans(tenant, 2);
    const first = await advanceReshard(plans, { to: 5, pages: 1 });
    expect(first).toMatchObject({ phase: "copying", from: 2, to: 5, object: 1 });
    // Nothing was deployed: another number may be chosen.
    expect(await advanceReshard(plans, { to: 3, pages: 1 })).toMatchObject({ phase: "copying", to: 3, object: 1 });
    await plans.until("waiting-for-deployment", { to: 3, pages: 5 });
    plans.serving = 3;
    await plans.until("settling", { to: 3, pages: 5 });
    await expect(advanceReshard(plans, { to: 4, pages: 1 })).rejects.toThrow(/finish it with objects = 3/);
    plans.serving = 2;
    await expect(advanceReshard(plans, { to: 3, pages: 1 })).rejects.toThrow(/Deploy with ENTITY_SHARD_OBJECTS = 3/);
    plans.serving = 3;
    plans.clock += SETTLE_MS;
    await plans.until("done", { to: 3, pages: 5 });
    expect(await advanceReshard(plans, { to: 3, pages: 1 })).toMatchObject({ phase: "done" });
  });

  it("does not count a fact twice that one copy holds exactly and the other in a tile, and gives no version twice", async () => {
    const tenant = aTenant();
    const reference = aTenant();
    const many = (of: string, from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => placed(of, 400 - from - i, "busy"));
    // 250 facts are exact when they are copied; afterwards both layouts add more than the group keeps exactly.
    await aStore(1).store.apply(tenant, many(tenant, 0, 250));
    const plans = new Plans(tenant, 1);
    await plans.until("waiting-for-deployment", { to: 4, pages: 5 });
    await aStore(1).store.apply(tenant, many(tenant, 250, 330));
    plans.serving = 4;
    await aStore(4).store.apply(tenant, many(tenant, 330, 400));
    const isolate = aStore(4).store;
    const order = request(tenant, anOrder({ orderId: "q", customerId: "busy", deviceId: "d1" }));
    const [between] = await isolate.read([order], DEADLINE_MS);
    await plans.until("settling", { to: 4, pages: 5 });
    plans.clock += SETTLE_MS;
    await plans.until("done", { to: 4, pages: 5 });
    await aStore(1).store.apply(reference, many(reference, 0, 400));
    const [expected] = await aStore(1).store.read([{ ...order, tenant: reference }], DEADLINE_MS);
    const [moved] = await isolate.read([order], DEADLINE_MS);
    const count = FRAUD_FEATURES.indexOf("customer_orders_7d");
    expect(moved?.vector[count]).toBe(401);
    expect(moved?.vector[count]).toBe(expected?.vector[count]);
    expect(moved?.watermarks[0]?.version).toBeGreaterThan(between?.watermarks[0]?.version ?? 0);
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
    const peeked = five.peek(wanted);
    expect(peeked).not.toBeNull();
    expect((await five.attempt(wanted, DEADLINE_MS, peeked)).confirmed).toBe(true);
  });

  it("keeps its history when it becomes hot, or hotter, and counts what is delivered again once", async () => {
    const tenant = aTenant();
    const order = request(tenant, anOrder({ orderId: "q", customerId: "hot", deviceId: "d1" }));
    const events = Array.from({ length: 45 }, (_, i) => placed(tenant, i, "hot"));
    const count = FRAUD_FEATURES.indexOf("customer_orders_7d");
    for (const [parts, until] of [
      [1, 15],
      [2, 30],
      [6, 45],
    ] as const) {
      const { store } = aStore(3, { replicas: (name) => (name === "customer:hot" ? parts : 1) });
      // Everything before is delivered again, and may go to another part now.
      await store.apply(tenant, events.slice(0, until));
      const [vector] = await store.read([order], DEADLINE_MS);
      expect(vector?.vector[count], `${parts} parts`).toBe(until + 1);
    }
  });
});

describe("expiry", () => {
  it("removes entities and identities when their time is over, and keeps the rest", async () => {
    const tenant = aTenant();
    const { store } = aStore(1);
    const now = Date.now();
    const order = { orderId: "o", placedAt: new Date(now).toISOString() };
    // Three entities of fraud_orders_v1, and product, visitor and their pair of product_ranking_v1.
    await store.apply(tenant, [stored(tenant, aPlacedOrder(order), now)]);
    await runInDurableObject(namespace.getByName(`${tenant}/0`), (_, state) => {
      const core = new EntityShardCore(state.storage, FEATURE_CATALOG);
      const count = (table: string): number =>
        state.storage.sql.exec<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`).one().n;
      expect([count("entities"), count("events")]).toEqual([6, 1]);
      expect(core.sweep(now + IDENTITY_TTL_MS - DAY_MS)).toBe(false);
      expect([count("entities"), count("events")]).toEqual([6, 1]);
      expect(core.sweep(now + IDENTITY_TTL_MS + DAY_MS)).toBe(false);
      expect([count("entities"), count("events")]).toEqual([6, 0]);
      // Groups of fraud_orders_v1 keep 37 days, and a day more for reads in the past; purchases of a visitor are kept 400, those of a product always.
      core.sweep(now + 39 * DAY_MS);
      expect(count("entities")).toBe(3);
      core.sweep(now + 402 * DAY_MS);
      expect(count("entities")).toBe(1);
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
