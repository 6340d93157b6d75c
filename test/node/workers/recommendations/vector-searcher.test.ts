import { describe, expect, it } from "vitest";
import { byteEmbeddings } from "../../../../models/recommend/byte-embeddings.ts";
import { openIds } from "../../../../models/recommend/bundle.ts";
import { Catalogue } from "../../../../models/recommend/catalogue.ts";
import { embeddingsBeyond } from "../../../../models/recommend/indexed-part.ts";
import { placeServed } from "../../../../models/recommend/place-served.ts";
import { ANYONE } from "../../../../models/recommend/recommend-request.ts";
import { Recommender } from "../../../../models/recommend/recommender.ts";
import { storedVectors, vectorNamespace } from "../../../../models/recommend/vector-place.ts";
import { MetricRegistry } from "../../../../models/stats/metric-registry.ts";
import { VectorizeIndex } from "../../../../workers/adapters/vectorize-index.ts";
import type { LoadedRecommender } from "../../../../workers/recommendations/load-recommender.ts";
import { VectorSearcher } from "../../../../workers/recommendations/vector-searcher.ts";
import { engineKernels } from "../../../support/engine-kernels.ts";
import { FakeVectorize } from "../../../support/fake-vectorize.ts";
import { BUNDLE_TIME, generatedBundle } from "../../../support/recommender-bundle.ts";

const [ITEMS, HEAD, DIMENSIONS] = [400, 100, 24];
const NAME = "product-recommendations";
const asked = {
  ...ANYONE,
  facts: ["p-3", "p-42", "p-7"].map((productId, at) => {
    return { productId, action: "view" as const, at: BUNDLE_TIME * 1_000 - 9_000 + at, quantity: 1 };
  }),
  limit: 20,
  now: BUNDLE_TIME * 1_000,
};

function version(name: string, seed: number, headItems: number | null = HEAD): LoadedRecommender {
  const bundle = generatedBundle({
    items: ITEMS,
    seed,
    dimensions: 16,
    retrieval: "embeddings",
    precision: "bytes",
    policy: { candidates: 50 },
  });
  const placed = placeServed(bundle.retrieval, engineKernels, headItems);
  return {
    name: NAME,
    version: name,
    bundle: { ...bundle, retrieval: placed.served },
    placed,
    ids: openIds(bundle),
    ranker: null,
    bytes: 0,
  };
}

function recommenderOf({ bundle, placed, ids }: LoadedRecommender): Recommender {
  return new Recommender(bundle, new Catalogue(bundle.table, ids), null, placed);
}

class Bench {
  readonly binding = new FakeVectorize(DIMENSIONS);
  readonly metrics = new MetricRegistry();
  now = 0;
  readonly index = new VectorizeIndex(this.binding, DIMENSIONS);
  readonly searcher = new VectorSearcher({
    index: this.index,
    now: () => this.now,
    background: () => {},
    metrics: this.metrics,
  });

  /** What the publication writes of a version: the items beyond the head. */
  async write(tenant: string, seed: number, name: string): Promise<void> {
    const part = embeddingsBeyond(version(name, seed, null).bundle.retrieval, HEAD);
    if (part === null) throw new Error("nothing to write");
    const namespace = vectorNamespace(tenant, NAME, name);
    const place = { namespace, from: HEAD, to: ITEMS, dimensions: DIMENSIONS };
    await this.index.upsert(namespace, storedVectors(byteEmbeddings(part), place));
    this.binding.process();
  }

  async find(tenant: string, loaded: LoadedRecommender) {
    return await this.searcher.find(tenant, loaded, recommenderOf(loaded), asked);
  }

  outcomes(): string {
    return JSON.stringify(this.metrics.drain());
  }
}

describe("searching the embeddings that are not in the isolate", () => {
  it("gives the list that all embeddings would give", async () => {
    const bench = new Bench();
    await bench.write("shop", 1, "v1");
    const loaded = version("v1", 1);
    const { search, missing } = await bench.find("shop", loaded);
    expect(missing).toBe(false);
    expect(search?.items).toHaveLength(100);
    const list = recommenderOf(loaded).recommend(asked, search);
    const whole = recommenderOf(version("v1", 1, null)).recommend(asked);
    expect(list.items.map(({ productId }) => productId)).toEqual(whole.items.map(({ productId }) => productId));
    expect(list.items.some(({ productId }) => Number(productId.slice(2)) >= HEAD)).toBe(true);
    expect(bench.outcomes()).toMatch(/found/);
  });

  it("never reads the vectors of another version, or of another tenant", async () => {
    const bench = new Bench();
    await bench.write("shop", 1, "v1");
    for (const [tenant, name] of [
      ["shop", "v2"],
      ["other", "v1"],
    ] as const) {
      const { search, missing } = await bench.find(tenant, version(name, 2));
      expect([search?.items.length, missing]).toEqual([0, true]);
    }
  });

  it("ignores what an index answers for another namespace, or nonsense", async () => {
    const bench = new Bench();
    const namespace = vectorNamespace("shop", NAME, "v1");
    const matches = [
      { id: `${vectorNamespace("shop", NAME, "v2")}-150`, score: 9 },
      { id: `${namespace}-x`, score: 9 },
      { id: `${namespace}-150`, score: Number.NaN },
      { id: `${namespace}-151`, score: 2 },
      { id: "151", score: 9 },
    ];
    const index = { dimensions: DIMENSIONS, query: () => Promise.resolve(matches) };
    const { metrics } = bench;
    const searcher = new VectorSearcher({ index, now: () => 0, background: () => {}, metrics });
    const loaded = version("v1", 1);
    const { search } = await searcher.find("shop", loaded, recommenderOf(loaded), asked);
    expect([...(search?.items ?? [])]).toEqual([151]);
  });

  it("asks nothing where everything is here, nothing is known, or nothing is trained", async () => {
    const bench = new Bench();
    expect(await bench.find("shop", version("v1", 1, null))).toEqual({ search: null, missing: false });
    const loaded = version("v1", 1);
    const unknown = { ...asked, facts: [] };
    expect(bench.searcher.find("shop", loaded, recommenderOf(loaded), unknown)).toEqual({
      search: null,
      missing: false,
    });
    expect(bench.searcher.find("shop", null, recommenderOf(loaded), asked)).toEqual({ search: null, missing: false });
    expect(bench.binding.queries).toBe(0);
  });

  it("answers without the index where it fails or is late, counts it, and stops asking for a while", async () => {
    const bench = new Bench();
    await bench.write("shop", 1, "v1");
    const loaded = version("v1", 1);
    bench.binding.conditions.set("query", "hangs");
    const late = await bench.find("shop", loaded);
    expect(late).toEqual({ search: null, missing: true });
    const list = recommenderOf(loaded).recommend(asked, late.search);
    expect(list.items).toHaveLength(20);
    bench.binding.conditions.set("query", "throws");
    for (let failure = 0; failure < 4; failure++) expect((await bench.find("shop", loaded)).missing).toBe(true);
    expect(bench.binding.queries).toBe(5);
    bench.binding.conditions.clear();
    expect((await bench.find("shop", loaded)).missing).toBe(true);
    expect(bench.binding.queries).toBe(5);
    bench.now += 5_001;
    expect((await bench.find("shop", loaded)).missing).toBe(false);
    const outcomes = bench.outcomes();
    for (const outcome of ["late", "failed", "paused", "found"]) expect(outcomes).toContain(outcome);
  });

  it("answers without the index where the model is wider than it", async () => {
    const bench = new Bench();
    const index = new VectorizeIndex(new FakeVectorize(8), 8);
    const searcher = new VectorSearcher({ index, now: () => 0, background: () => {}, metrics: bench.metrics });
    const loaded = version("v1", 1);
    expect((await searcher.find("shop", loaded, recommenderOf(loaded), asked)).missing).toBe(true);
  });
});
