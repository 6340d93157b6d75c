import { describe, expect, it } from "vitest";
import { ReplayState } from "../../../batch-training/features/replay-state.ts";
import { FEATURE_CATALOG, featureService } from "../../../models/catalog/feature-catalog.ts";
import type { FeatureVectors } from "../../../models/contract/api/features.ts";
import type { StoredEvent } from "../../../models/contract/events.ts";
import { call, deliver, problemOf } from "./client.ts";

const PATH = "/api/v1/features/customer_product_v1";
const MINUTE_MS = 60_000;
const NOW = Date.now();

const event = (id: number, type: string, minutesAgo: number, data: object) => ({
  specversion: "1.0",
  id: `pair-${id}`,
  source: "/shop",
  time: new Date(NOW - minutesAgo * MINUTE_MS).toISOString(),
  type,
  data,
});
const view = (id: number, customerId: string | undefined, productId: string, minutesAgo: number) =>
  event(id, "behavior.page_view.v1", minutesAgo, {
    ...(customerId !== undefined && { customerId }),
    sessionId: "s1",
    page: "/p",
    productId,
    dwellMs: 1_000 * id,
  });
const EVENTS = [
  view(1, "ann", "lamp", 10),
  view(2, "ann", "lamp", 2_000),
  view(3, "ann", "desk", 30),
  view(4, "bob", "lamp", 5),
  view(5, undefined, "lamp", 4),
  event(6, "behavior.add_to_cart.v1", 3, { customerId: "ann", sessionId: "s1", productId: "lamp", quantity: 3 }),
];

describe("features of pairs of entities", () => {
  it("count what one customer did with one product, served over HTTP as the offline replay computes it", async () => {
    await deliver([{ v: 1, tenant: "pairs", events: EVENTS }]);
    const asOf = new Date(NOW).toISOString();
    const rows = ["lamp", "desk", "sofa"].map((product) => ({ entities: { customer: "ann", product, session: "s1" } }));
    const answer = await call(`${PATH}/vectors`, { roles: ["client"], tenant: "pairs", body: { asOf, rows } });
    const { names, rows: served } = await answer.json<FeatureVectors>();
    const lamp = Object.fromEntries(names.map((name, index) => [name, served[0]?.values[index]]));
    expect(lamp).toEqual({
      product_views_1d: 1,
      product_views_30d: 2,
      product_dwell_ms_30d: 3_000,
      product_seconds_since_view: 600,
      product_carts_30d: 3,
      product_carts_per_view: 1.5,
      session_views_1h: 4,
    });
    expect(served.map(({ values }) => values[1])).toEqual([2, 1, 0]);
    expect(served[2]?.statuses[3]).toBe("missing");

    const offline = new ReplayState(FEATURE_CATALOG);
    for (const one of EVENTS) offline.apply({ ...one, tenant: "pairs", ingestedAt: NOW } as unknown as StoredEvent);
    const service = featureService("customer_product_v1");
    if (!service) throw new Error("no service");
    const payload = { customerId: "ann", productId: "lamp", sessionId: "s1" };
    expect([...offline.vector(service, payload, NOW).vector]).toEqual(served[0]?.values);
  });

  it("are missing where one of the two is not given, and refuse other entities", async () => {
    const one = await call(`${PATH}/vector?customer=ann`, { roles: ["client"], tenant: "pairs" });
    const body = await one.json<FeatureVectors>();
    expect(body.rows[0]?.statuses.slice(0, 2)).toEqual(["missing", "missing"]);
    const other = await call(`${PATH}/vector?customer=ann&card=c1`, { roles: ["client"], tenant: "pairs" });
    const problem = await problemOf(other);
    expect(problem.issues?.[0]?.message).toContain("features of customer, product, session only");
  });
});
