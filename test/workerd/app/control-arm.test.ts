import type * as z from "zod";
import { expect, it } from "vitest";
import type { RecommendationResponse } from "../../../models/contract/api/recommendations.ts";
import { generatedBundle } from "../../support/recommender-bundle.ts";
import { publishableRecommender } from "../../support/published-recommender.ts";
import { Isolate } from "./broken-env.ts";
import { deliver } from "./client.ts";
import { promoteRecommender, publishRecommender } from "./recommender-client.ts";

type List = z.output<typeof RecommendationResponse>;

const TENANT = "control-arm";
const SHARE = { RECOMMENDATION_CONTROL_SHARE: "0.5" };
const ask = async (body: object, isolate = new Isolate(SHARE)): Promise<List> => {
  const response = await isolate.fetch("/api/v1/recommendations", { body, tenant: TENANT, leave: true });
  return await response.json<List>();
};
const idsOf = ({ items }: List): string[] => items.map(({ productId }) => productId);
let events = 0;
const happen = async (...facts: { type: string; data: object }[]): Promise<void> => {
  const time = new Date().toISOString();
  const told = facts.map((fact) => ({ specversion: "1.0", id: `e-${++events}`, source: "/shop", time, ...fact }));
  expect(await deliver([{ v: 1, tenant: TENANT, events: told }])).toEqual({ acked: true, retried: 0 });
};

it("lists of the control arm are made without what was learned, pass the same filters, and are no fallback", async () => {
  const { manifest, files } = publishableRecommender(generatedBundle({ items: 60, seed: 1 }));
  await publishRecommender(TENANT, { manifest, files });
  await promoteRecommender(TENANT, manifest.version);
  const isolate = new Isolate(SHARE);
  const users = Array.from({ length: 30 }, (_, at) => `u${at}`);
  const arms = new Map<string, string>();
  for (const userId of users) arms.set(userId, (await ask({ userId }, isolate)).arm);
  const inArm = (arm: string): string => users.find((userId) => arms.get(userId) === arm) ?? "";
  const [control, treated] = [inArm("control"), inArm("recommender")];

  const viewed = (customerId: string, productId: string) => ({
    type: "behavior.page_view.v1",
    data: { customerId, sessionId: `s-${customerId}`, page: "/p", productId },
  });
  await happen(...["p-30", "p-31", "p-32"].flatMap((id) => [viewed(control, id), viewed(treated, id)]));
  const [personal, plain] = [await ask({ userId: treated }), await ask({ userId: control })];
  expect(personal).toMatchObject({ arm: "recommender", modelVersion: manifest.version });
  expect(plain).toMatchObject({ arm: "control", model: null, modelVersion: null, degraded: [] });
  // What is popular by the model's own list, whoever asks; the others get what their history suggests.
  const popular = ["p-0", "p-1", "p-2", "p-3", "p-4", "p-5", "p-6", "p-7", "p-8", "p-9"];
  expect(idsOf(plain)).toEqual(popular);
  expect(idsOf(personal)).not.toEqual(popular);
  expect(plain.items.every(({ source }) => ["popular", "trending", "new"].includes(source))).toBe(true);

  const list = plain.recommendationId;
  await happen(
    {
      type: "catalog.product.updated.v1",
      data: { productId: "p-0", title: "p-0", categories: [], status: "withdrawn" },
    },
    { type: "inventory.stock.changed.v1", data: { productId: "p-1", available: 0 } },
    {
      type: "behavior.recommendation_feedback.v1",
      data: { recommendationId: list, productId: "p-2", kind: "dismiss", customerId: control },
    },
  );
  const excluding = { userId: control, context: { excludeProductIds: ["p-3"] } };
  const filtered = idsOf(await ask(excluding));
  expect(filtered).toHaveLength(10);
  expect(filtered.filter((id) => ["p-0", "p-1", "p-2", "p-3"].includes(id))).toEqual([]);
  const page = await ask({ userId: control, placement: "product", context: { productId: "p-30" } });
  expect([page.items.length, idsOf(page).includes("p-30")]).toEqual([10, false]);
});

it("nobody is in the control arm where no share is set, and who is not named belongs to no arm", async () => {
  const isolate = new Isolate();
  const arms = new Set<string>();
  for (let at = 0; at < 20; at++) arms.add((await ask({ userId: `u${at}` }, isolate)).arm);
  expect([...arms]).toEqual(["recommender"]);
  expect((await ask({})).arm).toBe("outside");
});
