import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { FeatureVectors } from "../../../models/contract/api/features.ts";
import { aPlacedOrder } from "../../support/events.ts";
import { call, deliver, problemOf } from "./client.ts";

const MINUTE_MS = 60_000;
const GROUP = "/api/v1/features/groups/customer_profile@1/loads";
const ago = (minutes: number): string => new Date(Date.now() - minutes * MINUTE_MS).toISOString();

const placed = (orderId: string, minutes: number, envelope: object = {}) =>
  aPlacedOrder({ orderId, customerId: "ann", placedAt: ago(minutes) }, { time: ago(minutes), ...envelope });

async function vectorOf(tenant: string, query = ""): Promise<FeatureVectors> {
  const path = `/api/v1/features/fraud_orders_v1/vector?customer=ann${query}`;
  return await (await call(path, { roles: ["client"], tenant })).json<FeatureVectors>();
}

async function ordersOf(tenant: string, query = ""): Promise<number | null | undefined> {
  const vectors = await vectorOf(tenant, query);
  return vectors.rows[0]?.values[vectors.names.indexOf("customer_orders_1d")];
}

async function reasonsOf(tenant: string): Promise<string[]> {
  const rows = await env.DB.prepare("SELECT reason FROM dead_letters WHERE tenant = ? ORDER BY reason")
    .bind(tenant)
    .all();
  return rows.results.map(({ reason }) => String(reason));
}

describe("a poisoned event", () => {
  it("is set aside with its reason, and those beside it count", async () => {
    const tenant = "poison";
    const good = placed("good", 10);
    const deep = JSON.parse(`${'{"a":'.repeat(2_000)}1${"}".repeat(2_000)}`) as unknown;
    const poisons: unknown[] = [
      { ...good, id: "p1", data: null },
      { ...good, id: "p2", data: { ...good.data, total: { amount: -5, currency: "EUR" } } },
      { ...good, id: "p3", data: { ...good.data, total: { amount: Number.POSITIVE_INFINITY, currency: "EUR" } } },
      { ...good, id: "p4", data: { ...good.data, total: { amount: Number.NaN, currency: "EUR" } } },
      { ...good, id: "p5", data: deep },
      { ...good, id: "p6", type: "order.eaten.v1" },
      { ...good, id: "p7", time: "the day after tomorrow" },
      JSON.parse('{"__proto__":{"id":"p8"},"constructor":1}'),
      "text",
      7,
    ];
    const outcome = await deliver([{ v: 1, tenant, events: [...poisons, good] }]);
    expect(outcome).toEqual({ acked: true, retried: 0 });
    expect(await ordersOf(tenant)).toBe(1);
    expect((await reasonsOf(tenant)).length).toBe(poisons.length);
  });

  it("that names an entity like a part of another does not reach it", async () => {
    const tenant = "names";
    await deliver([{ v: 1, tenant, events: [placed("a", 10)] }]);
    for (const customer of ["ann#1", "ann|lamp", "customer:ann", "ann/..", "a".repeat(129)]) {
      const path = `/api/v1/features/fraud_orders_v1/vector?customer=${encodeURIComponent(customer)}`;
      expect((await call(path, { roles: ["client"], tenant })).status, customer).toBe(400);
    }
  });
});

describe("absurd times", () => {
  it("are refused with the reason, or count for what they are", async () => {
    const tenant = "times";
    const events = [
      placed("future", -60),
      placed("far-future", 0, { time: "9999-12-31T23:59:59Z" }),
      placed("ancient", 0, { time: "1970-01-01T00:00:00Z" }),
      placed("negative", 0, { time: "0000-01-01T00:00:00Z" }),
      // The event is of now, the order it reports is said to be of long ago: it counts in no window of a day.
      aPlacedOrder({ orderId: "old", customerId: "ann", placedAt: "2001-01-01T00:00:00Z" }, { time: ago(1) }),
      placed("good", 10),
    ];
    await deliver([{ v: 1, tenant, events }]);
    expect(await ordersOf(tenant)).toBe(1);
    expect(await reasonsOf(tenant)).toEqual(["time-in-future", "time-in-future", "time-too-old", "time-too-old"]);
  });

  it("of a read are refused: neither the far past nor the future can be answered rightly", async () => {
    for (const asOf of ["1970-01-01T00:00:00Z", "9999-12-31T00:00:00Z", "yesterday", "NaN"]) {
      const path = `/api/v1/features/fraud_orders_v1/vector?customer=ann&asOf=${asOf}`;
      const response = await call(path, { roles: ["client"], tenant: "times" });
      expect((await problemOf(response)).issues?.[0]?.path, asOf).toContain("asOf");
    }
  });
});

describe("producers whose clocks are apart", () => {
  it("count each at its own time: one that is ahead is not seen before it, ages are never negative", async () => {
    const tenant = "clocks";
    await deliver([{ v: 1, tenant, events: [placed("behind", 7), placed("ahead", -4), placed("right", 0)] }]);
    const vectors = await vectorOf(tenant);
    expect(vectors.rows[0]?.values[vectors.names.indexOf("customer_orders_1d")]).toBe(2);
    for (const age of vectors.rows[0]?.ages ?? []) expect(age ?? 0).toBeGreaterThanOrEqual(0);
    expect(await ordersOf(tenant, `&asOf=${ago(-4.5)}`)).toBe(3);
  });
});

describe("NaN and infinity", () => {
  it("enter no state: a number too large for a double is refused where it stands", async () => {
    for (const number of ["1e999", "-1e999", "NaN", "Infinity"]) {
      const body = `{"batch":"b","part":0,"rows":[{"entity":"ann","at":"${ago(1)}","values":{"lifetime_value":${number}}}]}`;
      const response = await call(GROUP, { roles: ["trainer"], tenant: "numbers", body });
      expect(response.status, number).toBe(400);
    }
    const path = "/api/v1/features/customer_profile_v1/vector?customer=ann";
    const vectors = await (await call(path, { roles: ["client"], tenant: "numbers" })).json<FeatureVectors>();
    expect(vectors.rows[0]?.statuses).toEqual(["missing", "missing"]);
  });
});

describe("reads of many", () => {
  it("answer up to a hundred rows in order, and refuse more, none, and rows without entities", async () => {
    const path = "/api/v1/features/fraud_orders_v1/vectors";
    const ask = (rows: unknown) => call(path, { roles: ["client"], tenant: "poison", body: { rows } });
    const hundred = Array.from({ length: 100 }, (_, index) => ({
      entities: { customer: index === 42 ? "ann" : `c${index}` },
    }));
    const vectors = await (await ask(hundred)).json<FeatureVectors>();
    const at = vectors.names.indexOf("customer_orders_1d");
    expect(vectors.rows.map(({ values }) => values[at])).toEqual(hundred.map((_, index) => (index === 42 ? 1 : 0)));
    for (const rows of [[], [...hundred, { entities: {} }], [{}], [{ entities: { customer: "" } }], "rows"])
      expect((await problemOf(await ask(rows))).code).toBe("invalid-request");
  });
});
