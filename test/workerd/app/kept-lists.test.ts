import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { eventSchema } from "../../../models/contract/events.ts";
import type { RecommendRequest } from "../../../models/recommend/recommend-request.ts";
import type { VisitorFact } from "../../../models/recommend/visitor-history.ts";
import { MetricRegistry } from "../../../models/stats/metric-registry.ts";
import { RecommendationIds } from "../../../workers/recommendations/recommendation-ids.ts";
import { createApp } from "../../../workers/app.ts";
import { compose } from "../../../workers/compose.ts";
import { RecommendationServer, type ServeDeps } from "../../../workers/recommendations/serve.ts";
import { Isolate } from "./broken-env.ts";
import { tokenFor } from "./client.ts";
import { rollBackRecommender } from "./recommender-client.ts";
import { ask, consent, exposuresOf, happen, idsOf, type List, newTenant, path, serving, view } from "./shop-client.ts";

/** A server whose visitors all have a history in memory, and the pseudonyms of those whose list was kept. */
function serverOfKnownVisitors() {
  const kept: string[] = [];
  const work: Promise<unknown>[] = [];
  const facts: VisitorFact[] = [{ productId: "p-1", action: "view", at: 1, quantity: 1 }];
  const asked: RecommendRequest[] = [];
  const recommender = {
    recommend: (request: RecommendRequest) => {
      asked.push(request);
      return { items: [], vectors: new Float32Array(0), flags: [] };
    },
  };
  const deps = {
    provider: { select: () => ({ loaded: null, flags: [] }) },
    shops: { of: () => ({ shop: { recommender }, wait: null, stale: () => false }) },
    visitors: {
      peek: () => ({ states: [{ facts, consent: null }], usable: true }),
      read: async (_tenant: string, [visitor]: string[]) => [
        { facts, consent: visitor === "c:withdrawn" ? false : null },
      ],
    },
    vectors: { find: () => ({ search: null, missing: false }) },
    precomputed: { write: async (_tenant: string, visitor: string) => void kept.push(visitor) },
    ids: new RecommendationIds("key"),
    pseudonyms: () => (_kind: string, identifier: string) => identifier,
    background: (promise: Promise<unknown>) => void work.push(promise),
    random: () => "x",
    now: () => 0,
    metrics: new MetricRegistry(),
  } as unknown as ServeDeps;
  const server = new RecommendationServer(deps);
  const visit = async (userId: string, now: number): Promise<string[]> => {
    await server.serve("shop", { userId, placement: "home", limit: 10 }, now);
    await Promise.all(work.splice(0));
    return kept.splice(0);
  };
  return { visit, asked };
}

it("keeps a list at a visitor's second visit, ten a second in all, and those passed over at a later one", async () => {
  const { visit } = serverOfKnownVisitors();
  for (const visitor of ["a", "b"]) expect(await visit(visitor, 1_000)).toEqual([]);
  expect(await visit("a", 2_000)).toEqual(["a"]);
  expect(await visit("b", 2_099)).toEqual([]);
  expect(await visit("b", 2_100)).toEqual(["b"]);
  // Each at most every ten minutes.
  expect(await visit("a", 3_000)).toEqual([]);
  expect(await visit("a", 602_000)).toEqual(["a"]);
});

it("makes the list that is kept from all that an answer is made from", async () => {
  const { visit, asked } = serverOfKnownVisitors();
  for (const now of [1_000, 2_000]) await visit("a", now);
  const [, answered, kept] = asked;
  expect(kept).toEqual({ ...answered, limit: 50 });
});

it("keeps no list of a visitor who withdrew consent since this isolate read their history", async () => {
  const { visit } = serverOfKnownVisitors();
  expect(await visit("withdrawn", 1_000)).toEqual([]);
  expect(await visit("withdrawn", 2_000)).toEqual([]);
});

describe("lists that name a visitor", () => {
  it("keep lists that no page of a visit has narrowed, fill them up, and delete those of who withdraws consent", async () => {
    const tenant = newTenant("kept");
    await serving(tenant);
    await happen(tenant, view("u1", "p-7"));
    const narrow = { userId: "u1", context: { priceFrom: 9_000, basket: ["p-3"], excludeProductIds: ["p-4"] } };
    const whole = new Isolate();
    for (let visit = 0; visit < 2; visit++) await ask(tenant, narrow, whole, false);
    const broken = async (limit = 100): Promise<List> => {
      const isolate = new Isolate();
      isolate.conditions.set("VISITORS", "throws");
      return (await ask(tenant, { userId: "u1", limit }, isolate)).list;
    };
    const kept = await broken();
    expect(kept.degraded).toEqual(["history-missing", "precomputed"]);
    // Fifty were kept; the page has room for all sixty products.
    expect(new Set(idsOf(kept)).size).toBe(60);
    expect(idsOf(kept).slice(0, 50)).toEqual(idsOf((await ask(tenant, { userId: "u1", limit: 50 })).list));
    await happen(tenant, consent("u1", false));
    expect((await broken()).degraded).toEqual(["history-missing"]);
    // An isolate that still remembers the history keeps no list of it.
    await ask(tenant, { userId: "u1" }, whole, false);
    expect((await broken()).degraded).toEqual(["history-missing"]);
  });

  it("are void for another configuration: the list of an earlier version is not shown under a later one", async () => {
    const tenant = newTenant("kept");
    await serving(tenant);
    await happen(tenant, view("u1", "p-7"));
    const whole = new Isolate();
    for (let visit = 0; visit < 2; visit++) await ask(tenant, { userId: "u1" }, whole, false);
    const broken = async (): Promise<List> => {
      const isolate = new Isolate();
      isolate.conditions.set("VISITORS", "throws");
      return (await ask(tenant, { userId: "u1" }, isolate)).list;
    };
    expect((await broken()).degraded).toContain("precomputed");
    const second = await serving(tenant, { items: 50, seed: 2 });
    expect(await broken()).toMatchObject({ modelVersion: second.version, degraded: ["history-missing"] });
    await rollBackRecommender(tenant);
    expect((await broken()).degraded).toContain("precomputed");
  });

  it("are written down without a name where the visitor did not consent", async () => {
    const tenant = newTenant("kept");
    await serving(tenant);
    await happen(tenant, consent("u1", false));
    const sent: unknown[] = [];
    const server = compose({
      ...env,
      ML_EVENTS: {
        sendBatch: async (messages: Iterable<{ body: unknown }>) =>
          void sent.push(...[...messages].map(({ body }) => body)),
      },
    } as unknown as Env);
    const context = createExecutionContext();
    const body = JSON.stringify({ userId: "u1", context: { sessionId: "ses-9" } });
    const headers = {
      "content-type": "application/json",
      authorization: `Bearer ${await tokenFor(["admin"], { tenant })}`,
    };
    const request = new Request(`https://edgewise.test${path}`, { method: "POST", headers, body });
    const list = await (await createApp(server.app).fetch(request, {}, context)).json<List>();
    await waitOnExecutionContext(context);
    expect(list.degraded).toEqual(["not-personalised"]);
    expect(sent).toHaveLength(1);
    expect(eventSchema("ml.recommendation.served.v1").safeParse(sent[0]).success).toBe(true);
    expect(sent[0]).toMatchObject({ type: "ml.recommendation.served.v1", id: list.recommendationId });
    expect(JSON.stringify(sent)).not.toMatch(/u1|ses-9/);
    const [record] = await exposuresOf(tenant);
    expect(record).toMatchObject({ recommendationId: list.recommendationId, customer: null, session: null });
  });
});
