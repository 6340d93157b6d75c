import { describe, expect, it } from "vitest";
import { ReplayState } from "../../../batch-training/features/replay-state.ts";
import { FEATURE_CATALOG, PRODUCT_RANKING } from "../../../models/catalog/feature-catalog.ts";
import type { RankingRequest } from "../../../models/catalog/product-recommendations/features.ts";
import type { FeatureVectors } from "../../../models/contract/api/features.ts";
import type { StoredEvent } from "../../../models/contract/events.ts";
import { type ExposureRecord, exposureVectors } from "../../../models/recommend/exposure.ts";
import { CANDIDATE_FEATURES, RANKING_WIDTH } from "../../../models/recommend/ranking-features.ts";
import { PLACES, PRODUCT_WIDTH } from "../../../models/recommend/ranking-service.ts";
import { Isolate } from "./broken-env.ts";
import { call } from "./client.ts";
import { ask, exposuresOf, happen, newTenant, serving, view } from "./shop-client.ts";

const PATH = "/api/v1/features/product_ranking_v1";
const MINUTE_MS = 60_000;

const ago = (minutes: number): string => new Date(Date.now() - minutes * MINUTE_MS).toISOString();
const lines = (...ids: string[]) =>
  ids.map((productId) => ({ productId, quantity: 1, unitPrice: { amount: 100, currency: "EUR" } }));
const cart = (customerId: string, productId: string) => ({
  type: "behavior.add_to_cart.v1",
  data: { customerId, sessionId: `ses-${customerId}`, productId, quantity: 1 },
});
const order = (customerId: string, orderId: string, minutes: number, ...ids: string[]) => ({
  type: "order.placed.v1",
  time: ago(minutes),
  data: {
    orderId,
    customerId,
    channel: "web",
    placedAt: ago(minutes),
    total: { amount: 100 * ids.length, currency: "EUR" },
    lines: lines(...ids),
    payment: { method: "card" },
  },
});
const at = (minutes: number, fact: { type: string; data: object }) => ({ ...fact, time: ago(minutes) });

/** What the shared service says of each product of a logged list, as it was served. */
function servedValues(record: ExposureRecord): Map<string, number[]> {
  const vectors = exposureVectors(record) ?? new Float32Array(0);
  return new Map(
    record.items.map(({ productId }, row) => {
      const from = row * RANKING_WIDTH + CANDIDATE_FEATURES.length;
      return [productId, [...vectors.subarray(from, from + PRODUCT_RANKING.width)]];
    }),
  );
}

describe("ranking features", () => {
  it("law: of a logged list are those that the API gives and that the replay of the events gives for its moment", async () => {
    const tenant = newTenant("ranking");
    const { bundle } = await serving(tenant);
    const facts = [
      at(33 * 24 * 60, view("u1", "p-1")),
      at(3 * 24 * 60, view("u1", "p-1")),
      order("u1", "o-1", 2 * 24 * 60, "p-1", "p-2", "p-1"),
      at(30, view("u1", "p-3")),
      at(20, cart("u1", "p-3")),
      at(10, view("u2", "p-1")),
      at(5, { type: "behavior.purchase.v1", data: { sessionId: "ses-x", orderId: "o-2", lines: lines("p-3") } }),
      at(2, view("u2", "p-4")),
    ];
    await happen(tenant, ...facts);
    const isolate = new Isolate();
    // The first answer of an isolate does not wait for the values of products.
    await ask(tenant, { userId: "u2", limit: 1 }, isolate, false);
    const { list } = await ask(tenant, { userId: "u1", limit: 60 }, isolate, false);
    const record = (await exposuresOf(tenant)).find((one) => one.recommendationId === list.recommendationId);
    if (!record) throw new Error("the list was not logged");
    const served = servedValues(record);
    const offline = new ReplayState(FEATURE_CATALOG);
    for (const [place, fact] of facts.entries()) {
      const time = "time" in fact ? fact.time : ago(0);
      const stored = { id: `r-${place}`, source: "/shop", tenant, ingestedAt: Date.now(), ...fact, time };
      offline.apply(stored as unknown as StoredEvent);
    }
    // Nobody touched this one: its values are those of the model's table.
    const { values } = bundle.table;
    const untouched = served.get("p-5")?.slice(0, PRODUCT_WIDTH);
    expect(untouched).toEqual([...values.subarray(5 * PRODUCT_WIDTH, 6 * PRODUCT_WIDTH)]);
    for (const product of ["p-1", "p-2", "p-3", "p-4"]) {
      const asOf = new Date(record.at).toISOString();
      const answer = await call(`${PATH}/vector?customer=u1&product=${product}&asOf=${asOf}`, {
        tenant,
        roles: ["client"],
      });
      const { names, rows } = await answer.json<FeatureVectors>();
      expect(names).toEqual(PRODUCT_RANKING.names);
      const own = served.get(product)?.map((value) => (Number.isNaN(value) ? null : value)) ?? [];
      const known = PLACES.pair.end;
      expect(own.slice(0, known)).toEqual(rows[0]?.values.slice(0, known));
      const item = Number(product.slice(2));
      const request: RankingRequest = {
        customerId: "u1",
        productId: product,
        price: bundle.table.price[item] ?? 0,
        publishedAt: (bundle.table.publishedAt[item] ?? 0) * 1_000,
        placement: 0,
        basketSize: 0,
        position: 1,
      };
      const { vector } = offline.vector(PRODUCT_RANKING, request, record.at);
      expect(own).toEqual(Array.from(vector, (value) => (Number.isNaN(value) ? null : value)));
    }
    const valueOf = (product: string, name: string) => served.get(product)?.[PRODUCT_RANKING.indexOf(name)];
    expect(valueOf("p-1", "item_events_30d")).toBe(2);
    expect(valueOf("p-1", "item_events")).toBe(3);
    expect(valueOf("p-1", "item_purchases")).toBe(1);
    expect(valueOf("p-3", "item_purchases_7d")).toBe(1);
    expect(valueOf("p-1", "user_item_purchases")).toBe(1);
    expect(valueOf("p-3", "user_item_carts_30d")).toBe(1);
    expect(valueOf("p-5", "user_events_1h")).toBe(2);
    expect(valueOf("p-5", "user_item_views_30d")).toBe(0);
  });

  it("are refused for entities that the service does not have, and explained by their facts", async () => {
    const tenant = newTenant("ranking");
    await happen(tenant, view("u1", "p-1"), view("u1", "p-2"));
    expect((await call(`${PATH}/vector?card=k1`, { tenant, roles: ["client"] })).status).toBe(400);
    const explained = await call(`${PATH}/explain/user_events_1h?customer=u1`, { tenant, roles: ["analyst"] });
    expect(await explained.json()).toMatchObject({ value: 2, facts: 2, group: "visitor_activity@1" });
    const stranger = await call(`${PATH}/explain/user_events_1h?session=ses-u1`, { tenant, roles: ["analyst"] });
    expect(await stranger.json()).toMatchObject({ value: 0 });
  });
});
