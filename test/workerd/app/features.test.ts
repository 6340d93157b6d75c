import { beforeAll, describe, expect, it } from "vitest";
import type { FeatureExplanation, FeatureVectors } from "../../../models/contract/api/features.ts";
import { FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import { anOrder, aPlacedOrder } from "../../support/events.ts";
import { call, deliver, problemOf } from "./client.ts";

const TENANT = "features-api";
const HOUR_MS = 3_600_000;
const SERVICE = "/api/v1/features/fraud_orders_v1";
const ask = (path: string, body?: unknown): Promise<Response> =>
  call(path, { roles: ["client", "analyst"], tenant: TENANT, ...(body === undefined ? {} : { body }) });
const ago = (hours: number): string => new Date(Date.now() - hours * HOUR_MS).toISOString();

const placed = (orderId: string, hours: number, cents: number) =>
  aPlacedOrder(
    { orderId, customerId: "ann", deviceId: "phone", placedAt: ago(hours), total: { amount: cents, currency: "EUR" } },
    { time: ago(hours) },
  );

function value(vectors: FeatureVectors, row: number, name: string): number | null | undefined {
  return vectors.rows[row]?.values[vectors.names.indexOf(name)];
}

beforeAll(async () => {
  const events = [placed("f1", 3, 1_000), placed("f2", 30, 3_000)];
  await deliver([{ v: 1, tenant: TENANT, events }]);
});

describe("feature services", () => {
  it("are listed and described with hash, owner, sensitivity and definitions", async () => {
    const list = await (await ask("/api/v1/features")).json<{ services: { name: string; hash: string }[] }>();
    expect(list.services).toContainEqual(
      expect.objectContaining({ name: FRAUD_FEATURES.name, hash: FRAUD_FEATURES.hash }),
    );
    const page = await (await ask(SERVICE)).json<Record<string, unknown>>();
    expect(page).toMatchObject({ name: FRAUD_FEATURES.name, hash: FRAUD_FEATURES.hash, owner: "fraud" });
  });
});

describe("vectors over HTTP: 200", () => {
  it("give one entity by GET, by the id the shop knows", async () => {
    const vectors = await (await ask(`${SERVICE}/vector?customer=ann`)).json<FeatureVectors>();
    expect(vectors.names).toEqual(FRAUD_FEATURES.names);
    expect(value(vectors, 0, "customer_orders_1d")).toBe(1);
    expect(value(vectors, 0, "customer_mean_amount_7d")).toBe(20);
    expect(value(vectors, 0, "amount")).toBeNull();
    expect(value(vectors, 0, "device_orders_1d")).toBeNull();
    const [row] = vectors.rows;
    expect(row?.degraded).toEqual([]);
    expect(row?.watermarks).toHaveLength(1);
    const at = vectors.names.indexOf("customer_orders_1d");
    expect(row?.statuses[at]).toBe("present");
    expect(Math.round((row?.ages[at] ?? 0) / 3_600)).toBe(3);
  });

  it("give many by POST in the order asked, an order counted once among them", async () => {
    const order = anOrder({ orderId: "f3", customerId: "ann", deviceId: "phone", placedAt: ago(0) });
    const rows = [{ entities: { customer: "nobody" } }, { order }, { entities: { customer: "ann", device: "phone" } }];
    const vectors = await (await ask(`${SERVICE}/vectors`, { rows })).json<FeatureVectors>();
    expect(vectors.rows.map((_, row) => value(vectors, row, "customer_orders_7d"))).toEqual([0, 3, 2]);
    expect(vectors.rows.map((_, row) => value(vectors, row, "device_orders_7d"))).toEqual([null, 3, 2]);
    expect(value(vectors, 1, "amount")).toBeCloseTo(49.99, 4);
  });

  it("agree with an earlier as-of time", async () => {
    const vectors = await (await ask(`${SERVICE}/vector?customer=ann&asOf=${ago(4)}`)).json<FeatureVectors>();
    expect(value(vectors, 0, "customer_orders_7d")).toBe(1);
  });

  it("explain a value by its window, its newest facts and its inputs", async () => {
    const explained = await (
      await ask(`${SERVICE}/explain/customer_orders_7d?customer=ann`)
    ).json<FeatureExplanation>();
    expect(explained).toMatchObject({
      value: 2,
      facts: 2,
      tiledFacts: 0,
      group: "customer_orders@1",
      status: "present",
    });
    expect(explained.newest.map((fact) => fact.values["cents"])).toEqual([1_000, 3_000]);
    const derived = await (
      await ask(`${SERVICE}/explain/customer_mean_amount_7d?customer=ann`)
    ).json<FeatureExplanation>();
    expect(derived).toMatchObject({ value: 20, inputs: [{ name: "customer_mean_cents_7d", value: 2_000 }] });
  });
});

describe("vectors over HTTP: 400 and 404", () => {
  it.each([
    [`${SERVICE}/vector?customer=ann&product=p1`, "product"],
    [`${SERVICE}/vector?customer=ann&asOf=2020-01-01T00:00:00Z`, "asOf"],
    [`${SERVICE}/vector?shoe=7`, ""],
    [`${SERVICE}/vector?customer=ann&deadlineMs=0`, "/deadlineMs"],
  ])("%s names what is wrong", async (path, field) => {
    const response = await ask(path);
    expect(response.status).toBe(400);
    const problem = await problemOf(response);
    expect(problem.code).toBe("invalid-request");
    expect(problem.issues?.[0]?.path).toContain(field);
  });

  it("unknown services and features are not found", async () => {
    const service = await ask("/api/v1/features/nothing_v1/vector?customer=ann");
    expect((await problemOf(service)).code).toBe("service-not-found");
    const feature = await ask(`${SERVICE}/explain/nothing?customer=ann`);
    expect((await problemOf(feature)).code).toBe("feature-not-found");
  });
});
