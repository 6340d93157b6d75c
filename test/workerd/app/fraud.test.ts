import { describe, expect, it } from "vitest";
import { FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import type { DecisionRecord, FraudDecision } from "../../../models/contract/decision-record.ts";
import type { Order } from "../../../models/contract/events/orders.ts";
import { amountModel } from "../../support/amount-model.ts";
import { anOrder } from "../../support/events.ts";
import { call, deliver, problemOf } from "./client.ts";
import { promote, publish } from "./registry-client.ts";

let tenants = 0;
/** Every test has customers and models of its own. */
const aTenant = (): string => `fraud-${++tenants}`;
const now = (): string => new Date().toISOString();
const order = (orderId: string, overrides: Partial<Order> = {}): Order =>
  anOrder({ orderId, placedAt: now(), ...overrides });
const euros = (amount: number) => ({ total: { amount: amount * 100, currency: "EUR" } }) as const;

async function score(tenant: string, body: unknown, headers: Record<string, string> = {}, query = "") {
  return await call(`/api/v1/fraud/score${query}`, { tenant, body, headers, roles: ["client"] });
}
async function decisionsOf(tenant: string, orderId: string): Promise<DecisionRecord[]> {
  const response = await call(`/api/v1/fraud/orders/${orderId}/decisions`, { tenant });
  return (await response.json<{ decisions: DecisionRecord[] }>()).decisions;
}
const queued = (tenant: string, ...events: unknown[]) => deliver([{ v: 1, tenant, events }]);
const placed = (data: Order) => ({
  specversion: "1.0",
  id: `placed-${data.orderId}`,
  source: "/shop",
  time: data.placedAt,
  type: "order.placed.v1",
  data,
});
const paid = (data: Order) => ({
  ...placed(data),
  id: `paid-${data.orderId}`,
  type: "order.paid.v1",
  data: { order: data, paidAt: data.placedAt },
});

describe("POST /api/v1/fraud/score", () => {
  it("200: an inline order, decided by rules and flagged before there is a model, and stored", async () => {
    const tenant = aTenant();
    const response = await score(tenant, { order: order("o1") });
    expect(response.status).toBe(200);
    expect(response.headers.get("x-model-version")).toBe("rules");
    const decision = await response.json<FraudDecision>();
    expect(decision).toMatchObject({
      orderId: "o1",
      model: null,
      degraded: expect.arrayContaining(["no-model"]) as string[],
    });
    const [stored] = await decisionsOf(tenant, "o1");
    expect(stored).toMatchObject({ decisionId: decision.decisionId, trigger: "api", score: decision.score, tenant });
    expect(stored?.subject).not.toContain("cus-1");
  });

  it("200: by the promoted model, with its version in the header and the outcome by its policy", async () => {
    const tenant = aTenant();
    const model = amountModel();
    await publish(tenant, model);
    await promote(tenant, model.manifest.version);
    const small = await score(tenant, { order: order("small", euros(50)) });
    expect(small.headers.get("x-model-version")).toBe(model.manifest.version);
    const low = await small.json<FraudDecision>();
    expect(low.score).toBeCloseTo(1 / (1 + Math.exp(2)), 6);
    expect(low).toMatchObject({ decision: "approve", reasons: [], modelVersion: model.manifest.version });
    const high = await (await score(tenant, { order: order("large", euros(500)) })).json<FraudDecision>();
    expect(high.score).toBeCloseTo(1 / (1 + Math.exp(-2)), 6);
    expect(high.decision).toBe("decline");
  });

  it("law: explanations add up — base and contributions are the raw score, by the model and by the rules", async () => {
    const tenant = aTenant();
    const check = async (orderId: string, amount: number) => {
      const body = { order: order(orderId, euros(amount)) };
      const decision = await (await score(tenant, body, {}, "?explain=1")).json<FraudDecision>();
      const sum = decision.reasons.reduce((total, reason) => total + reason.contribution, 0);
      expect(1 / (1 + Math.exp(-sum))).toBeCloseTo(decision.score, 5);
      const record = (await decisionsOf(tenant, orderId)).at(-1);
      expect(sum).toBeCloseTo(record?.rawScore ?? Number.NaN, 5);
      return decision;
    };
    expect((await check("by-rules", 600)).reasons.map((reason) => reason.code)).toContain("rule:large-amount");
    const model = amountModel();
    const other = aTenant();
    await publish(other, model);
    await promote(other, model.manifest.version);
    const response = await score(other, { order: order("by-model", euros(500)) }, {}, "?explain=1");
    const { reasons } = await response.json<FraudDecision>();
    // By hand: the leaves are -2 and 2, reached by 90 and 10 of 100 rows, so the mean is -1.6 and the amount adds 3.6.
    expect(reasons.find((reason) => reason.code === "base")?.contribution).toBeCloseTo(-1.6, 5);
    expect(reasons.find((reason) => reason.code === "amount")).toMatchObject({ value: 500 });
    expect(reasons.find((reason) => reason.code === "amount")?.contribution).toBeCloseTo(3.6, 5);
  });

  it("200: an ingested order by its id; 404: an order that nobody has ingested", async () => {
    const tenant = aTenant();
    await queued(tenant, placed(order("known", euros(70))));
    const decision = await (await score(tenant, { orderId: "known" })).json<FraudDecision>();
    expect(decision.orderId).toBe("known");
    expect(await problemOf(await score(tenant, { orderId: "unknown" }))).toMatchObject({
      code: "order-not-found",
      status: 404,
    });
    expect((await call("/api/v1/fraud/orders/unknown/decisions", { tenant })).status).toBe(404);
    expect((await problemOf(await score(aTenant(), { orderId: "known" }))).code).toBe("order-not-found");
  });

  it("law: nothing counts twice — an inline order, then its events, count as one order for the next", async () => {
    const tenant = aTenant();
    const first = order("first");
    await score(tenant, { order: first });
    await queued(tenant, placed(first), paid(first));
    await queued(tenant, placed(first));
    await score(tenant, { order: first });
    expect(await countedWith(tenant, order("second"))).toBe(2);
    const byTrigger = (await decisionsOf(tenant, "first")).map((entry) => entry.trigger);
    expect(byTrigger.filter((trigger) => trigger === "order-paid")).toHaveLength(1);
  });

  it("400: malformed JSON, unknown fields, wrong types, times ahead, an empty or endless key", async () => {
    const tenant = aTenant();
    expect((await problemOf(await score(tenant, "{"))).code).toBe("invalid-json");
    const wrong = await problemOf(
      await score(tenant, { order: { ...order("w"), total: { amount: "1", currency: "EUR" } } }),
    );
    expect(wrong.code).toBe("invalid-request");
    expect(wrong.issues?.map((issue) => issue.path)).toContain("/order/total/amount");
    expect((await problemOf(await score(tenant, { order: { ...order("w"), surprise: 1 } }))).code).toBe(
      "invalid-request",
    );
    expect((await problemOf(await score(tenant, { orderId: "a", order: order("a") }))).code).toBe("invalid-request");
    const ahead = order("w", { placedAt: new Date(Date.now() + 3_600_000).toISOString() });
    expect((await problemOf(await score(tenant, { order: ahead }))).issues?.[0]?.path).toBe("/order/placedAt");
    expect((await score(tenant, { order: order("w") }, {}, "?explain=yes")).status).toBe(400);
    expect((await score(tenant, { order: order("w") }, {}, "?explain=1&explain=0")).status).toBe(400);
    const endless = { "idempotency-key": "k".repeat(129) };
    expect((await problemOf(await score(tenant, { order: order("w") }, endless))).issues?.[0]?.path).toBe(
      "Idempotency-Key",
    );
    expect((await call("/api/v1/fraud/orders/w/decisions", { tenant })).status).toBe(404);
  });

  it("413 and 415: a body beyond its limit, and another media type", async () => {
    const tenant = aTenant();
    const padded = `${JSON.stringify({ order: order("big") })}${" ".repeat(64 * 1024)}`;
    expect((await problemOf(await score(tenant, padded))).code).toBe("body-too-large");
    const form = await score(tenant, "order=1", { "content-type": "application/x-www-form-urlencoded" });
    expect((await problemOf(form)).code).toBe("unsupported-media-type");
  });

  it("200, then 409: a key gives the same decision again, and none to another request", async () => {
    const tenant = aTenant();
    const body = { order: order("keyed") };
    const headers = { "idempotency-key": "key-1" };
    const first = await (await score(tenant, body, headers)).json<FraudDecision>();
    expect(await (await score(tenant, body, headers)).json()).toEqual(first);
    const changed = { order: { ...body.order, ...euros(1) } };
    expect(await problemOf(await score(tenant, changed, headers))).toMatchObject({
      code: "idempotency-conflict",
      status: 409,
    });
    expect(await decisionsOf(tenant, "keyed")).toHaveLength(1);
    const other = await (await score(tenant, body, { "idempotency-key": "key-2" })).json<FraudDecision>();
    expect(other.decisionId).not.toBe(first.decisionId);
  });

  it("200: two requests with one key at the same time get one decision", async () => {
    const tenant = aTenant();
    const body = { order: order("raced") };
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () =>
        (await score(tenant, body, { "idempotency-key": "same" })).json<FraudDecision>(),
      ),
    );
    expect(new Set(answers.map((answer) => answer.decisionId)).size).toBe(1);
    expect(await decisionsOf(tenant, "raced")).toHaveLength(1);
  });

  it("law: tenants — neither orders, decisions nor counts of another tenant", async () => {
    const [mine, theirs] = [aTenant(), aTenant()];
    for (const id of ["t1", "t2", "t3"]) await score(mine, { order: order(id) });
    expect((await call("/api/v1/fraud/orders/t1/decisions", { tenant: theirs })).status).toBe(404);
    expect(await countedWith(theirs, order("t4"))).toBe(1);
    expect(await countedWith(mine, order("t4"))).toBe(4);
  });

  it("law: people — a stored decision names nobody", async () => {
    const tenant = aTenant();
    await score(tenant, { order: order("private") }, {}, "?explain=1");
    const stored = JSON.stringify(await decisionsOf(tenant, "private"));
    for (const raw of ["cus-1", "dev-1", "card-1", "adr-1"]) expect(stored).not.toContain(`"${raw}"`);
  });
});

/** The count of the customer's orders in a day with which an order is decided once its shards answer in time: cold ones may take longer. */
async function countedWith(tenant: string, wanted: Order): Promise<number | null> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const decision = await (await score(tenant, { order: wanted })).json<FraudDecision>();
    if (decision.degraded.some((flag) => flag.startsWith("features"))) continue;
    const record = (await decisionsOf(tenant, wanted.orderId)).find(
      (entry) => entry.decisionId === decision.decisionId,
    );
    return record?.vector[FRAUD_FEATURES.indexOf("customer_orders_1d")] ?? null;
  }
  throw new Error("no decision was made from whole features");
}
