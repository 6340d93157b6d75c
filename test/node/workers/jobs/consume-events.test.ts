import { describe, expect, it } from "vitest";
import { MAX_EVENT_AGE_MS, type StoredEvent } from "../../../../models/contract/events.ts";
import type { Order } from "../../../../models/contract/events/orders.ts";
import type { ApplyOutcome } from "../../../../models/features/feature-store.ts";
import { MetricRegistry } from "../../../../models/stats/metric-registry.ts";
import { packMessages } from "../../../../workers/events/ingest.ts";
import {
  type ConsumeDeps,
  consumeEvents,
  type PaidOrder,
  type RefusedEvent,
} from "../../../../workers/jobs/consume-events.ts";
import { consumeBatch, storeExhausted } from "../../../../workers/jobs/queue-batches.ts";
import { aPageView, aPaidOrder, aPlacedOrder, at, T0 } from "../../../support/events.ts";

/** Stores in memory, applying exactly once by identity; `failing` makes one of the effects throw. */
function setUp(failing: { effect: string | null } = { effect: null }) {
  const state = {
    applied: new Map<string, StoredEvent>(),
    orders: new Map<string, Order>(),
    log: [] as StoredEvent[],
    scored: [] as PaidOrder[],
    dead: [] as RefusedEvent[],
    settled: new Set<string>(),
  };
  const effect = (name: string): void => {
    if (failing.effect === name) throw new Error(`${name} is down`);
  };
  const deps: ConsumeDeps = {
    now: () => T0,
    metrics: new MetricRegistry(),
    pseudonyms: () => (kind, identifier) => `p-${kind}-${identifier}`,
    apply: async (_tenant, events) => {
      effect("apply");
      return events.map((event): ApplyOutcome => {
        const key = `${event.source}|${event.id}`;
        const known = state.applied.get(key);
        if (!known) state.applied.set(key, event);
        return known
          ? JSON.stringify(known.data) === JSON.stringify(event.data)
            ? "duplicate"
            : "conflict"
          : "applied";
      });
    },
    settle: async (_tenant, events) => {
      effect("settle");
      for (const event of events) state.settled.add(event.id);
    },
    keepShop: async () => effect("keepShop"),
    keepOrders: async (_tenant, orders) => {
      effect("orders");
      for (const order of orders) if (!state.orders.has(order.orderId)) state.orders.set(order.orderId, order);
    },
    appendLog: async (_tenant, events) => {
      effect("log");
      state.log.push(...events);
    },
    scorePaidOrders: async (_tenant, orders) => {
      effect("score");
      state.scored.push(...orders);
    },
    storeDeadLetters: async (refused) => {
      effect("dead-letters");
      state.dead.push(...refused);
    },
  };
  return { state, deps };
}

describe("consumeEvents", () => {
  it("applies, keeps, logs and scores, with pseudonyms only", async () => {
    const { state, deps } = setUp();
    await consumeEvents(deps, [
      { v: 1, tenant: "default", events: [aPlacedOrder(), aPaidOrder({ orderId: "ord-2" }), aPageView()] },
    ]);
    expect(state.log).toHaveLength(3);
    expect([...state.orders.keys()]).toEqual(["ord-1", "ord-2"]);
    expect(state.scored.map((paid) => paid.order.orderId)).toEqual(["ord-2"]);
    expect(state.dead).toEqual([]);
    const stored = JSON.stringify([state.log, [...state.orders.values()], state.scored]);
    for (const raw of ['"cus-1"', '"dev-1"', '"card-1"', '"ses-1"']) expect(stored).not.toContain(raw);
    expect(state.log.every((event) => event.tenant === "default" && event.ingestedAt === T0)).toBe(true);
  });

  it("law: nothing is lost — an event is settled only after everything about it is stored", async () => {
    const failing: { effect: string | null } = { effect: "score" };
    const { state, deps } = setUp(failing);
    await expect(consumeEvents(deps, [aPaidOrder()])).rejects.toThrow("score is down");
    expect(state.settled.size).toBe(0);
    failing.effect = null;
    await consumeEvents(deps, [aPaidOrder()]);
    expect(state.settled).toEqual(new Set(["paid-ord-1"]));
  });

  it("takes the same events straight on the queue: one, or an array", async () => {
    const { state, deps } = setUp();
    await consumeEvents(deps, [aPlacedOrder(), [aPageView(), aPaidOrder({ orderId: "ord-2" })]]);
    expect(state.log.map((event) => event.type)).toEqual(["order.placed.v1", "behavior.page_view.v1", "order.paid.v1"]);
  });

  it("an event that the door accepted is not refused because it aged on the queue", async () => {
    const { state, deps } = setUp();
    const old = aPageView({}, { time: at(-MAX_EVENT_AGE_MS - 1_000) });
    await consumeEvents(deps, packMessages("default", [old]));
    expect(state.log).toHaveLength(1);
  });

  it("validates what another contract has validated, and what nobody has", async () => {
    const { state, deps } = setUp();
    const wrong = { ...aPageView(), type: "no.such.type" };
    await consumeEvents(deps, [
      { v: 1, tenant: "default", validatedBy: "0".repeat(64), events: [wrong] },
      { v: 1, tenant: "default", events: [wrong] },
    ]);
    expect(state.dead.map((entry) => entry.reason)).toEqual(["unknown-type", "unknown-type"]);
    expect(state.log).toEqual([]);
  });

  it("takes an import's recorded time as the time the fact became visible", async () => {
    const { state, deps } = setUp();
    await consumeEvents(deps, [aPlacedOrder({}, { recordedtime: at(-5_000) })]);
    expect(state.log[0]?.ingestedAt).toBe(T0 - 5_000);
  });

  it("stores what it cannot process with the reason, and processes the rest", async () => {
    const { state, deps } = setUp();
    const wrong = aPlacedOrder({ orderId: "ord-9", total: { amount: 0.5, currency: "EUR" } });
    await consumeEvents(deps, ["nonsense", wrong, { ...aPageView(), type: "no.such.type" }, aPlacedOrder()]);
    expect(state.dead.map((entry) => entry.reason)).toEqual(["invalid-envelope", "invalid-data", "unknown-type"]);
    expect(state.dead[1]?.detail).toContain("/data/total/amount");
    expect(JSON.stringify(state.dead)).not.toContain('"cus-1"');
    expect(state.log).toHaveLength(1);
  });

  it("law: nothing counts twice — a redelivered batch changes no state and its conflict is a dead letter", async () => {
    const { state, deps } = setUp();
    await consumeEvents(deps, [aPlacedOrder()]);
    await consumeEvents(deps, [aPlacedOrder()]);
    await consumeEvents(deps, [aPlacedOrder({ total: { amount: 1, currency: "EUR" } })]);
    expect(state.applied.size).toBe(1);
    expect(state.dead.map((entry) => entry.reason)).toEqual(["identity-conflict"]);
    expect(state.log.every((event) => event.type === "order.placed.v1" && event.data.total.amount === 4_999)).toBe(
      true,
    );
  });

  it.each(["apply", "orders", "keepShop", "log", "score", "settle", "dead-letters"])(
    "law: nothing is lost — when %s fails, nothing is acknowledged and a retry completes",
    async (effect) => {
      const failing: { effect: string | null } = { effect };
      const { state, deps } = setUp(failing);
      const bodies = [aPaidOrder(), "nonsense"];
      await expect(consumeEvents(deps, bodies)).rejects.toThrow("is down");
      failing.effect = null;
      await consumeEvents(deps, bodies);
      expect(state.applied.size).toBe(1);
      expect(new Set(state.log.map((event) => event.id))).toEqual(new Set(["paid-ord-1"]));
      expect(state.scored.length).toBeGreaterThan(0);
      expect(state.dead).toHaveLength(1);
    },
  );

  it("does not hide identifiers twice when a dead letter is replayed", async () => {
    const { state, deps } = setUp();
    await consumeEvents(deps, [
      { v: 1, tenant: "default", events: [aPlacedOrder({ customerId: "p-customer-x" })], pseudonymised: true },
    ]);
    expect([...state.orders.values()][0]?.customerId).toBe("p-customer-x");
  });
});

describe("queue batches", () => {
  interface Settled {
    body: unknown;
    attempts: number;
    settled: string | null;
  }
  function batchOf(bodies: unknown[]) {
    const messages: Settled[] = bodies.map((body) => ({ body, attempts: 1, settled: null }));
    const batch = {
      messages: messages.map((message) => ({
        body: message.body,
        attempts: message.attempts,
        ack: () => {
          message.settled = "ack";
        },
        retry: ({ delaySeconds }: { delaySeconds: number }) => {
          message.settled = `retry in ${delaySeconds} s`;
        },
      })),
      ackAll: () => {
        for (const message of messages) message.settled = "ack";
      },
    };
    return { messages, batch };
  }

  it("acknowledge everything once everything is stored", async () => {
    const { batch, messages } = batchOf([aPlacedOrder(), aPageView()]);
    await consumeBatch(setUp().deps, batch);
    expect(messages.map((message) => message.settled)).toEqual(["ack", "ack"]);
  });

  it("hold up no other message when one is poisonous", async () => {
    const { deps, state } = setUp();
    const poisonous: ConsumeDeps = {
      ...deps,
      apply: async (tenant, events) => {
        if (events.some((event) => event.id === "poison")) throw new Error("poison");
        return await deps.apply(tenant, events);
      },
    };
    const { batch, messages } = batchOf([
      aPlacedOrder(),
      aPlacedOrder({ orderId: "ord-2" }, { id: "poison" }),
      aPageView(),
    ]);
    await consumeBatch(poisonous, batch);
    expect(messages.map((message) => message.settled)).toEqual(["ack", "retry in 2 s", "ack"]);
    expect(state.log.map((event) => event.id)).toEqual(["placed-ord-1", "view-1"]);
  });

  it("store what failed every retry, each event for itself, without identifiers", async () => {
    const { deps, state } = setUp();
    const { batch, messages } = batchOf([{ v: 1, tenant: "acme", events: [aPlacedOrder(), aPageView()] }]);
    await storeExhausted(deps, batch);
    expect(state.dead.map((entry) => [entry.tenant, entry.reason])).toEqual([
      ["acme", "processing-failed"],
      ["acme", "processing-failed"],
    ]);
    expect(JSON.stringify(state.dead)).not.toContain('"cus-1"');
    expect(messages[0]?.settled).toBe("ack");
  });
});
