import { beforeAll, describe, expect, it } from "vitest";
import { FRAUD_PATTERNS, type SimulatedEvent } from "../../../../batch-training/simulator/world.ts";
import { END, ofType, simulate } from "../../../support/simulated-shop.ts";

const DAY_MS = 86_400_000;

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
