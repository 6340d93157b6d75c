import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { simulateShop } from "../../../../batch-training/simulator/simulate-shop.ts";
import {
  FRAUD_PATTERNS,
  type SimulatedEvent,
  type SimulationOptions,
} from "../../../../batch-training/simulator/world.ts";
import {
  type Event,
  EVENT_DEFINITIONS,
  eventSchema,
  type InboundEventType,
  MAX_EVENT_AGE_MS,
  MAX_EVENT_BYTES,
} from "../../../../models/contract/events.ts";

const DAY_MS = 86_400_000;
const END = Date.UTC(2026, 2, 1, 10, 17);

const simulate = (options: Partial<SimulationOptions> = {}): SimulatedEvent[] => [
  ...simulateShop({ seed: "1", scale: 0.1, end: END, ...options }).events(),
];

const digest = (events: readonly SimulatedEvent[]): string =>
  createHash("sha256")
    .update(events.map((event) => JSON.stringify(event)).join("\n"))
    .digest("hex");

/** The events of one type, with what only the simulation knows. */
function ofType<T extends InboundEventType>(
  told: readonly SimulatedEvent[],
  type: T,
): { event: Event<T>; truth: SimulatedEvent["truth"]; at: number; recordedAt: number }[] {
  return told.flatMap(({ event, truth }) =>
    event.type === type
      ? [
          {
            event: event as unknown as Event<T>,
            truth,
            at: Date.parse(event.time),
            recordedAt: Date.parse(event.recordedtime ?? event.time),
          },
        ]
      : [],
  );
}

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

describe("fraud", () => {
  let told: SimulatedEvent[] = [];
  let paid: ReturnType<typeof ofType<"order.paid.v1">> = [];
  beforeAll(() => {
    told = simulate({ scale: 1 });
    paid = ofType(told, "order.paid.v1");
  });
  const patternOf = (pattern: string): typeof paid => paid.filter(({ truth }) => truth.fraud === pattern);

  it("at scale 1 streams within the two minutes of a first start: 60,000 to 120,000 events, 12,000 to 20,000 orders", () => {
    expect(told.length).toBeGreaterThan(60_000);
    expect(told.length).toBeLessThan(120_000);
    expect(paid.length).toBeGreaterThan(12_000);
    expect(paid.length).toBeLessThan(20_000);
  });

  it("has a realistic share in every seed, and every pattern occurs", () => {
    for (const seed of ["1", "2", "3"]) {
      const orders = seed === "1" ? paid : ofType(simulate({ seed, scale: 1 }), "order.paid.v1");
      const share = orders.filter(({ truth }) => truth.fraud !== undefined).length / orders.length;
      expect(share).toBeGreaterThan(0.01);
      expect(share).toBeLessThan(0.035);
      for (const pattern of FRAUD_PATTERNS)
        expect(orders.filter(({ truth }) => truth.fraud === pattern).length, `${seed} ${pattern}`).toBeGreaterThan(7);
    }
  });

  it("is labelled late, and not always rightly", () => {
    const chargebacks = ofType(told, "payment.chargeback.v1").filter(({ event }) => event.data.reason === "fraud");
    const days = chargebacks
      .map(({ recordedAt, event }) => (recordedAt - Date.parse(event.data.orderPlacedAt)) / DAY_MS)
      .toSorted((a, b) => a - b);
    expect(days[0]).toBeGreaterThan(1);
    expect(days[Math.floor(days.length / 2)]).toBeGreaterThan(4);
    expect(days.filter((delay) => delay < 14).length / days.length).toBeGreaterThan(0.8);
    expect(days.at(-1)).toBeGreaterThan(25);
    const charged = new Set(chargebacks.map(({ event }) => event.data.orderId));
    const old = paid.filter(({ at, truth }) => at < END - 60 * DAY_MS && truth.fraud !== undefined);
    const unreported = old.filter(({ event }) => !charged.has(event.data.order.orderId));
    expect(unreported.length / old.length).toBeGreaterThan(0.03);
    expect(unreported.length / old.length).toBeLessThan(0.2);
    const disputes = ofType(told, "payment.chargeback.v1").filter(({ event }) => event.data.reason !== "fraud");
    expect(disputes.length).toBeGreaterThan(5);
    expect(disputes.every(({ truth }) => truth.fraud === undefined)).toBe(true);
  });

  it("changes in time: stolen cards move from minutes-old accounts and big sums to aged accounts and small ones", () => {
    const half = END - 52 * DAY_MS;
    const of = (late: boolean): typeof paid => patternOf("stolen-card").filter(({ at }) => at > half === late);
    const aged = (orders: typeof paid): number =>
      orders.filter(({ event, at }) => at - Date.parse(event.data.order.customerRegisteredAt ?? "") > 5 * DAY_MS)
        .length / orders.length;
    const mean = (orders: typeof paid): number =>
      orders.reduce((sum, { event }) => sum + event.data.order.total.amount, 0) / orders.length;
    expect(aged(of(false))).toBeLessThan(0.1);
    expect(aged(of(true))).toBeGreaterThan(0.3);
    expect(mean(of(true))).toBeLessThan(mean(of(false)));
  });

  it("has the mark of each pattern", () => {
    const distinct = (orders: typeof paid, of: (order: (typeof paid)[number]) => string | undefined): number =>
      new Set(orders.map(of)).size;
    const ring = patternOf("bot-ring");
    const customers = distinct(ring, ({ event }) => event.data.order.customerId);
    expect(distinct(ring, ({ event }) => event.data.order.deviceId)).toBeLessThan(customers);
    const tests = patternOf("card-testing");
    expect(distinct(tests, ({ event }) => event.data.order.payment.cardId)).toBeGreaterThan(0.9 * tests.length);
    expect(distinct(tests, ({ event }) => event.data.order.deviceId)).toBeLessThan(tests.length / 2);
    expect(Math.max(...tests.map(({ event }) => event.data.order.total.amount))).toBeLessThan(2_000);
    for (const { event } of patternOf("compromised-terminal")) expect(event.data.order.channel).toBe("store");
    const known = new Set(
      paid.filter(({ truth }) => truth.fraud === undefined).map(({ event }) => event.data.order.deviceId),
    );
    for (const { event } of patternOf("account-takeover")) expect(known.has(event.data.order.deviceId)).toBe(false);
  });

  it("is not given away by a rule of thumb", () => {
    const scores: Record<string, (order: (typeof paid)[number]) => number> = {
      amount: ({ event }) => event.data.order.total.amount,
      "new account": ({ event, at }) => Date.parse(event.data.order.customerRegisteredAt ?? "") - at,
      "not authenticated": ({ event }) => (event.data.order.payment.authenticated === false ? 1 : 0),
      night: ({ event }) => (new Date(event.data.order.placedAt).getUTCHours() < 6 ? 1 : 0),
      "sent elsewhere": ({ event: { data } }) =>
        data.order.shippingAddress?.addressId === data.order.billingAddress?.addressId ? 0 : 1,
      "foreign card": ({ event: { data } }) =>
        (data.order.payment.cardCountry ?? "DE") === data.order.billingAddress?.country ? 0 : 1,
    };
    for (const [name, score] of Object.entries(scores)) {
      const area = rankArea(paid.map((order) => [score(order), order.truth.fraud !== undefined]));
      expect(area, name).toBeGreaterThan(0.5);
      expect(area, name).toBeLessThan(0.8);
    }
  });
});

/** Area under the ROC curve: the share of pairs that are ordered rightly, ties counted half. */
function rankArea(scored: readonly (readonly [score: number, positive: boolean])[]): number {
  const sorted = scored.toSorted(([a], [b]) => a - b);
  let area = 0;
  let negativesBelow = 0;
  for (let from = 0; from < sorted.length;) {
    let to = from;
    let positives = 0;
    while (to < sorted.length && sorted[to]?.[0] === sorted[from]?.[0]) positives += sorted[to++]?.[1] === true ? 1 : 0;
    const negatives = to - from - positives;
    area += positives * (negativesBelow + negatives / 2);
    negativesBelow += negatives;
    from = to;
  }
  return area / (negativesBelow * (sorted.length - negativesBelow));
}

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
