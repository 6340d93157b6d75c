import { expect, it } from "vitest";
import type { VisitorFact } from "../../../models/recommend/visitor-history.ts";
import { MetricRegistry } from "../../../models/stats/metric-registry.ts";
import { RecommendationIds } from "../../../workers/recommendations/recommendation-ids.ts";
import { RecommendationServer, type ServeDeps } from "../../../workers/recommendations/serve.ts";

/** A server whose visitors all have a history in memory, and the pseudonyms of those whose list was kept. */
function serverOfKnownVisitors() {
  const kept: string[] = [];
  const work: Promise<unknown>[] = [];
  const facts: VisitorFact[] = [{ productId: "p-1", action: "view", at: 1, quantity: 1 }];
  const recommender = { recommend: () => ({ items: [], vectors: new Float32Array(0), flags: [] }) };
  const deps = {
    provider: { select: () => ({ loaded: null, flags: [] }) },
    shops: { of: () => ({ shop: { recommender }, wait: null, stale: () => false }) },
    visitors: { peek: () => ({ states: [{ facts, consent: null }], usable: true }) },
    precomputed: { write: async (_tenant: string, visitor: string) => void kept.push(visitor) },
    ids: new RecommendationIds("key"),
    pseudonyms: () => (_kind: string, identifier: string) => identifier,
    background: (promise: Promise<unknown>) => void work.push(promise),
    random: () => "x",
    now: () => 0,
    metrics: new MetricRegistry(),
  } as unknown as ServeDeps;
  const server = new RecommendationServer(deps);
  return async (userId: string, now: number): Promise<string[]> => {
    await server.serve("shop", { userId, placement: "home", limit: 10 }, now);
    await Promise.all(work.splice(0));
    return kept.splice(0);
  };
}

it("keeps a list at a visitor's second visit, ten a second in all, and those passed over at a later one", async () => {
  const visit = serverOfKnownVisitors();
  for (const visitor of ["a", "b"]) expect(await visit(visitor, 1_000)).toEqual([]);
  expect(await visit("a", 2_000)).toEqual(["a"]);
  expect(await visit("b", 2_099)).toEqual([]);
  expect(await visit("b", 2_100)).toEqual(["b"]);
  // Each at most every ten minutes.
  expect(await visit("a", 3_000)).toEqual([]);
  expect(await visit("a", 602_000)).toEqual(["a"]);
});
