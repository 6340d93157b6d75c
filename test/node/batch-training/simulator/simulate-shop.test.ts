import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { SimulatedEvent } from "../../../../batch-training/simulator/world.ts";
import {
  EVENT_DEFINITIONS,
  eventSchema,
  MAX_EVENT_AGE_MS,
  MAX_EVENT_BYTES,
} from "../../../../models/contract/events.ts";
import { END, ofType, simulate } from "../../../support/simulated-shop.ts";

const DAY_MS = 86_400_000;

const digest = (events: readonly SimulatedEvent[]): string =>
  createHash("sha256")
    .update(events.map((event) => JSON.stringify(event)).join("\n"))
    .digest("hex");

describe("the same options tell the same past", () => {
  it("byte for byte", () => {
    expect(digest(simulate())).toBe(digest(simulate()));
  });

  it("and another seed, scale or end tells another, without a common identifier", () => {
    const ids = (events: readonly SimulatedEvent[]): Set<string> =>
      new Set(
        ofType(events, "order.paid.v1").flatMap(({ event: { id, source, data } }) => [source + id, data.order.orderId]),
      );
    const first = ids(simulate());
    for (const other of [{ seed: "2" }, { scale: 0.11 }, { end: END + 1 }])
      expect([...ids(simulate(other))].filter((id) => first.has(id))).toEqual([]);
  });

  it.each([
    { scale: 0 },
    { scale: Number.NaN },
    { scale: 101 },
    { days: 13 },
    { days: 20.5 },
    { end: Number.POSITIVE_INFINITY },
  ])("refuses %o", (options) => {
    expect(() => simulate(options)).toThrow(RangeError);
  });
});

describe.each([
  { seed: "1", scale: 0.1, end: END },
  { seed: "crime", scale: 0.15, end: Date.UTC(2026, 9, 25, 0, 30), days: 98 },
  { seed: "short", scale: 0.3, end: Date.UTC(2024, 1, 29, 23, 59, 59, 999), days: 15 },
])("the past of %o", (options) => {
  let told: SimulatedEvent[] = [];
  beforeAll(() => {
    told = simulate(options);
  });

  it("has events of every inbound type that needs no list of ours, each valid by its contract and small enough", () => {
    const schemas = new Map(told.map(({ event }) => [event.type, eventSchema(event.type)]));
    const inbound = Object.entries(EVENT_DEFINITIONS).filter(
      ([type, { direction }]) => direction === "in" && type !== "behavior.recommendation_feedback.v1",
    );
    expect([...schemas.keys()].toSorted()).toEqual(inbound.map(([type]) => type).toSorted());
    for (const { event } of told) {
      const parsed = schemas.get(event.type)?.safeParse(event);
      if (parsed?.success !== true) throw new Error(`${JSON.stringify(event)}: ${parsed?.error.message}`);
      expect(JSON.stringify(event).length).toBeLessThan(MAX_EVENT_BYTES / 8);
    }
  });

  it("is told in event-time order, and recorded before its end", () => {
    let before = 0;
    for (const { event } of told) {
      const at = Date.parse(event.time);
      const recordedAt = Date.parse(event.recordedtime ?? "");
      if (at < before) throw new Error(`${event.id} is told too late`);
      if (!(recordedAt >= at && recordedAt < options.end)) throw new Error(`${event.id} is recorded outside its time`);
      before = at;
    }
    expect(options.end - before).toBeLessThan(DAY_MS / 8);
    expect(options.end - Date.parse(told[0]?.event.time ?? "")).toBeLessThan(MAX_EVENT_AGE_MS);
  });

  it("has some facts that are recorded hours late", () => {
    const late = told.filter(({ event }) => Date.parse(event.recordedtime ?? "") - Date.parse(event.time) > 3_600_000);
    expect(late.length / told.length).toBeGreaterThan(0.003);
    expect(late.length / told.length).toBeLessThan(0.05);
  });

  it("identifies every event", () => {
    expect(new Set(told.map(({ event }) => `${event.source} ${event.id}`)).size).toBe(told.length);
  });

  it("pays, buys, refunds and charges back only what was ordered before", () => {
    const placed = new Map(ofType(told, "order.placed.v1").map((one) => [one.event.data.orderId, one]));
    const paid = new Map(ofType(told, "order.paid.v1").map((one) => [one.event.data.order.orderId, one]));
    expect(placed.size).toBe(ofType(told, "order.placed.v1").length);
    for (const [orderId, { event, at, truth }] of paid) {
      const order = placed.get(orderId);
      expect(order?.event.data).toEqual(event.data.order);
      expect(order?.truth).toEqual(truth);
      expect(at).toBeGreaterThan(order?.at ?? Number.POSITIVE_INFINITY);
      expect(Date.parse(event.data.paidAt)).toBe(at);
    }
    for (const { event } of ofType(told, "behavior.purchase.v1")) {
      const order = placed.get(event.data.orderId)?.event.data;
      expect([order?.customerId, order?.sessionId, order?.lines]).toEqual([
        event.data.customerId,
        event.data.sessionId,
        event.data.lines,
      ]);
    }
    for (const type of ["payment.chargeback.v1", "order.refunded.v1"] as const)
      for (const { event, at } of ofType(told, type)) {
        const payment = paid.get(event.data.orderId);
        const order = payment?.event.data.order;
        expect(at).toBeGreaterThan((payment?.at ?? Number.POSITIVE_INFINITY) + DAY_MS / 2);
        expect(event.data).toMatchObject({ customerId: order?.customerId, orderPlacedAt: order?.placedAt });
        expect([event.data.deviceId, event.data.cardId, event.data.terminalId]).toEqual([
          order?.deviceId,
          order?.payment.cardId,
          order?.terminalId,
        ]);
        expect(event.data.amount.amount).toBeLessThanOrEqual(order?.total.amount ?? 0);
      }
  });

  it("orders what is in the catalogue, at its price, and adds up", () => {
    const products = new Map<
      string,
      { prices: { at: number; amount: number }[]; publishedAt: number; withdrawnAt: number }
    >();
    for (const { event } of told) {
      const at = Date.parse(event.time);
      if (event.type === "catalog.product.updated.v1") {
        const known = products.get(event.data.productId);
        if (event.data.status === "withdrawn") {
          if (known) known.withdrawnAt = at;
        } else
          products.set(event.data.productId, {
            prices: [{ at, amount: event.data.price?.amount ?? 0 }],
            publishedAt: at,
            withdrawnAt: Number.POSITIVE_INFINITY,
          });
      } else if (event.type === "pricing.updated.v1")
        products.get(event.data.productId)?.prices.push({ at, amount: event.data.price.amount });
      else if (event.type === "behavior.page_view.v1" && event.data.productId !== undefined)
        expect(products.get(event.data.productId)?.publishedAt).toBeLessThan(at);
      else if (event.type === "order.placed.v1") {
        const goods = event.data.lines.reduce((sum, line) => sum + line.quantity * line.unitPrice.amount, 0);
        expect([0, 490]).toContain(event.data.total.amount - goods);
        for (const line of event.data.lines) {
          const product = products.get(line.productId);
          // A visit that began before midnight keeps the price it has seen.
          const seen = product?.prices.filter((_, index) => (product.prices[index + 1]?.at ?? at) >= at - DAY_MS / 12);
          if (line.category !== "gift-cards")
            expect(seen?.map((price) => price.amount)).toContain(line.unitPrice.amount);
          expect(product?.withdrawnAt).toBeGreaterThan(at - DAY_MS / 12);
        }
      }
    }
    expect(products.size).toBeGreaterThan(150);
  });

  it("lets nobody order before they registered", () => {
    for (const { event, at } of ofType(told, "order.placed.v1"))
      expect(Date.parse(event.data.customerRegisteredAt ?? "")).toBeLessThan(at);
  });
});

describe("recommendations can be learned", () => {
  it("what is viewed next follows from what was viewed: co-occurrence beats popularity by far", () => {
    const sessions = new Map<string, string[]>();
    for (const { event } of ofType(simulate({ scale: 0.5 }), "behavior.page_view.v1"))
      if (event.data.productId !== undefined)
        sessions.set(event.data.sessionId, [...(sessions.get(event.data.sessionId) ?? []), event.data.productId]);
    const all = [...sessions.values()].filter((session) => session.length > 1);
    const train = all.slice(0, all.length * 0.8);
    const test = all.slice(all.length * 0.8).flatMap(pairs);
    const popular = new Map<string, number>();
    const follows = new Map<string, Map<string, number>>();
    for (const session of train) {
      for (const product of session) popular.set(product, (popular.get(product) ?? 0) + 1);
      for (const [from, to] of pairs(session)) {
        const row = follows.get(from) ?? new Map<string, number>();
        follows.set(from, row.set(to, (row.get(to) ?? 0) + 1));
      }
    }
    const ten = (counts: ReadonlyMap<string, number>): Set<string> =>
      new Set(
        [...counts]
          .toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
          .slice(0, 10)
          .map(([id]) => id),
      );
    const top = ten(popular);
    const rate = (hit: (pair: readonly [string, string]) => boolean): number => test.filter(hit).length / test.length;
    const byPopularity = rate(([, to]) => top.has(to));
    const byNeighbours = rate(([from, to]) => ten(follows.get(from) ?? new Map()).has(to));
    expect(byNeighbours).toBeGreaterThan(3 * byPopularity);
    expect(byNeighbours).toBeGreaterThan(0.3);
  });

  it("customers come back for what they use up", () => {
    const bought = new Map<string, number>();
    for (const { event } of ofType(simulate({ scale: 0.5 }), "behavior.purchase.v1"))
      for (const { productId } of event.data.lines) {
        const key = `${event.data.customerId} ${productId}`;
        bought.set(key, (bought.get(key) ?? 0) + 1);
      }
    expect([...bought.values()].filter((times) => times >= 3).length).toBeGreaterThan(50);
  });
});

function pairs(session: readonly string[]): [string, string][] {
  return session.slice(1).flatMap((to, index) => {
    const from = session[index];
    return from === undefined || from === to ? [] : [[from, to] satisfies [string, string]];
  });
}

describe("the side of the shop that is not orders", () => {
  let told: SimulatedEvent[] = [];
  beforeAll(() => {
    told = simulate({ scale: 0.5 });
  });

  it("has sensors with a reading an hour, gapless in sequence, rarely disturbed", () => {
    const readings = ofType(told, "telemetry.reading.v1");
    const bySensor = Map.groupBy(readings, ({ event }) => event.data.sensorId);
    expect(bySensor.size).toBeGreaterThanOrEqual(3);
    for (const [, own] of bySensor) {
      const sequence = own.map(({ event }) => event.data.sequence ?? -1);
      expect(
        sequence.filter((number, index) => index > 0 && number !== (sequence[index - 1] ?? 0) + 1).length,
      ).toBeLessThan(3);
    }
    const disturbed = readings.filter(({ truth }) => truth.anomaly !== undefined).length / readings.length;
    expect(disturbed).toBeGreaterThan(0.005);
    expect(disturbed).toBeLessThan(0.08);
  });

  it("has texts, mostly civil, some toxic and some spam, hardly any twice", () => {
    const texts = [...ofType(told, "social.post.created.v1"), ...ofType(told, "chat.message.posted.v1")];
    const share = (content: string): number =>
      texts.filter(({ truth }) => truth.content === content).length / texts.length;
    for (const content of ["toxic", "spam"]) {
      expect(share(content), content).toBeGreaterThan(0.01);
      expect(share(content), content).toBeLessThan(0.12);
    }
    for (const { event } of texts) expect(event.data.text).not.toMatch(/[{}]/);
  });
});
