import type * as z from "zod";
import { expect } from "vitest";
import type { RecommendationResponse } from "../../../models/contract/api/recommendations.ts";
import type { ExposureRecord } from "../../../models/recommend/exposure.ts";
import { publishableRecommender } from "../../support/published-recommender.ts";
import { generatedBundle } from "../../support/recommender-bundle.ts";
import { Isolate } from "./broken-env.ts";
import { call, deliver } from "./client.ts";
import { promoteRecommender, publishRecommender } from "./recommender-client.ts";

export type List = z.output<typeof RecommendationResponse>;

let tenants = 0;
export const newTenant = (prefix = "shop"): string => `${prefix}-${++tenants}`;
export const path = "/api/v1/recommendations";

let events = 0;
export async function happen(tenant: string, ...facts: { type: string; data: object; time?: string }[]): Promise<void> {
  const batch = facts.map(({ type, data, time }) => {
    return {
      specversion: "1.0",
      id: `e-${++events}`,
      source: "/shop",
      time: time ?? new Date().toISOString(),
      type,
      data,
    };
  });
  expect(await deliver([{ v: 1, tenant, events: batch }])).toEqual({ acked: true, retried: 0 });
}

export const product = (productId: string, more: object = {}) => ({
  type: "catalog.product.updated.v1",
  data: { productId, title: productId, categories: ["department 0", "shelf 0-1"], status: "active", ...more },
});
export const view = (customerId: string, productId: string, more: object = {}) => ({
  type: "behavior.page_view.v1",
  data: { customerId, sessionId: `ses-${customerId}`, page: `/p/${productId}`, productId, ...more },
});
export const soldOut = (productId: string) => ({
  type: "inventory.stock.changed.v1",
  data: { productId, available: 0 },
});
export const consent = (customerId: string, granted: boolean) => ({
  type: "customer.consent.changed.v1",
  data: { customerId, purpose: "personalisation", granted, effectiveAt: new Date().toISOString() },
});

/** Visitors' objects have 50 ms: on a busy machine one may be late, which is not what a test is about. The history is in memory at the next request. */
const MAX_TRIES = 5;

/** An answer of an isolate that knows nothing yet: products and histories as they are now. */
export async function ask(
  tenant: string,
  body: object,
  isolate = new Isolate(),
  leave = true,
): Promise<{ list: List; response: Response }> {
  for (let attempt = 1; ; attempt++) {
    const response = await isolate.fetch(path, { body, tenant, leave });
    if (response.status !== 200) throw new Error(await response.text());
    const list = await response.clone().json<List>();
    const late = !isolate.conditions.has("VISITORS") && list.degraded.includes("history-missing");
    if (!late || attempt === MAX_TRIES) return { list, response };
  }
}
export const idsOf = (list: List): string[] => list.items.map((item) => item.productId);

export async function serving(tenant: string, options: Parameters<typeof generatedBundle>[0] = { items: 60, seed: 1 }) {
  const bundle = generatedBundle(options);
  const published = publishableRecommender(bundle);
  expect((await publishRecommender(tenant, published)).status).toBe(201);
  expect((await promoteRecommender(tenant, published.manifest.version)).status).toBe(200);
  return { bundle, version: published.manifest.version, published };
}

/** The lists of the tenant's log. */
export async function exposuresOf(tenant: string): Promise<ExposureRecord[]> {
  const page = await call("/api/v1/log/events?log=exposures", { tenant });
  const { objects } = await page.json<{ objects: { key: string }[] }>();
  const lists: ExposureRecord[] = [];
  for (const { key } of objects) {
    const object = await call(`/api/v1/log/events/object?key=${encodeURIComponent(key)}`, { tenant });
    const text = await new Response(object.body?.pipeThrough(new DecompressionStream("gzip"))).text();
    for (const line of text.split("\n")) if (line !== "") lists.push(JSON.parse(line) as ExposureRecord);
  }
  return lists;
}
