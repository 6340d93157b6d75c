import { describe, expect, it } from "vitest";
import { ByteIndex } from "../../../../models/engine/byte-index.ts";
import { placeServed } from "../../../../models/recommend/place-served.ts";
import { Retrieval } from "../../../../models/recommend/retrieval.ts";
import { openScorer } from "../../../../models/recommend/scorer.ts";
import { servedBytes } from "../../../../models/recommend/served-recommender.ts";
import { engineKernels } from "../../../support/engine-kernels.ts";
import { generatedBundle } from "../../../support/recommender-bundle.ts";
import { SeededRandom } from "../../../support/seeded-random.ts";

const none = { items: new Int32Array(0), times: new Float64Array(0), values: new Float32Array(0) };

describe("a recommender in the kernels' memory", () => {
  it.each([1, 3, 4, 61, 250])("is the same recommender, and scores %i items as without", (items) => {
    const { retrieval } = generatedBundle({ items, seed: items, dimensions: 12 });
    const placed = placeServed(retrieval, engineKernels);
    expect(placed.served).toEqual(retrieval);
    expect(placed.bytes).toBeLessThan(servedBytes(retrieval) + items * 4 + 70_000);
    expect(placed.dots.size).toBe(1);
    const met = Int32Array.from({ length: Math.min(items, 5) }, (_, at) => (at * 7) % items);
    const times = Float64Array.from(met, (_, at) => at);
    const history = { items: met, times, values: new Float32Array(met.length).fill(1) };
    const expected = new Float32Array(items);
    openScorer(retrieval).score(history, 10, expected);
    const retrievalWith = new Retrieval(placed.served, placed);
    const indexed = { taste: history, repeat: history, session: none, items: met, actions: [], times, dismissed: [] };
    for (let again = 0; again < 2; again++) {
      retrievalWith.score(indexed, 10);
      for (const [item, score] of retrievalWith.total.entries())
        expect(score).toBeCloseTo(expected[item] ?? Number.NaN, 4);
    }
  });

  it.each([1, 15, 64, 333])("is the same recommender with embeddings of 8 bits: %i items", (items) => {
    const { retrieval } = generatedBundle({
      items,
      seed: items,
      dimensions: 48,
      retrieval: "embeddings",
      precision: "bytes",
    });
    const placed = placeServed(retrieval, engineKernels);
    expect(placed.served).toEqual(retrieval);
    expect(placed.bytes).toBeLessThan(items * (48 + 4 + 4) + 48 * 97 * 4 + 70_000);
    const [dot] = placed.dots.values();
    const history = { items: Int32Array.of(0, items - 1), times: Float64Array.of(1, 2), values: Float32Array.of(1, 1) };
    const expected = new Float32Array(items);
    openScorer(retrieval).score(history, 10, expected);
    const indexed = {
      taste: history,
      repeat: history,
      session: none,
      items: history.items,
      actions: [],
      times: history.times,
      dismissed: [],
    };
    const retrievalWith = new Retrieval(placed.served, placed);
    expect(dot).toBeDefined();
    for (let again = 0; again < 2; again++) {
      retrievalWith.score(indexed, 10);
      // The user's vector is rounded to 15 bits.
      for (const [item, score] of retrievalWith.total.entries())
        expect(score).toBeCloseTo(expected[item] ?? Number.NaN, 3);
    }
  });

  it("leaves embeddings alone whose dimensions do not fill SIMD lanes", () => {
    for (const [dimensions, precision] of [
      [6, "float"],
      [12, "bytes"],
    ] as const) {
      const { retrieval } = generatedBundle({ items: 9, seed: 1, dimensions, precision });
      expect(placeServed(retrieval, engineKernels).dots.size).toBe(0);
    }
  });
});

describe("an index of 8-bit integers", () => {
  it("finds nearly all of the exact neighbours, in a quarter of the memory, with scores within the rounding", () => {
    const random = new SeededRandom(1);
    const [count, dimensions] = [2_000, 64];
    const items = Float32Array.from({ length: count * dimensions }, () => random.normal());
    const index = new ByteIndex(items, dimensions, 20, engineKernels);
    expect(index.bytes).toBeLessThan(count * (dimensions + 4) + 70_000);
    let found = 0;
    for (let round = 0; round < 30; round++) {
      const query = Float32Array.from({ length: dimensions }, () => random.normal());
      const exact = Array.from({ length: count }, (_, item) => {
        let score = 0;
        for (let at = 0; at < dimensions; at++) score += (items[item * dimensions + at] ?? 0) * (query[at] ?? 0);
        return { item, score };
      });
      const { indices, scores } = index.topK(query, 20);
      const top = new Set(
        exact
          .toSorted((a, b) => b.score - a.score)
          .slice(0, 20)
          .map(({ item }) => item),
      );
      for (const [rank, item] of indices.entries()) {
        found += top.has(item) ? 1 : 0;
        expect(Math.abs((scores[rank] ?? 0) - (exact[item]?.score ?? Number.NaN))).toBeLessThan(0.3);
      }
    }
    expect(found / (30 * 20)).toBeGreaterThan(0.95);
  });

  it("takes the largest values without overflow, and zeros", () => {
    const dimensions = 1_024;
    const items = new Float32Array(3 * dimensions).fill(1e6, 0, dimensions).fill(-1e6, dimensions, 2 * dimensions);
    const { indices, scores } = new ByteIndex(items, dimensions, 3, engineKernels).topK(
      new Float32Array(dimensions).fill(1e3),
      3,
    );
    expect([...indices]).toEqual([0, 2, 1]);
    expect(scores[0]).toBeCloseTo(dimensions * 1e9, -9);
    expect(() => new ByteIndex(Float32Array.of(Number.NaN), 1, 1, engineKernels)).toThrow("finite");
  });
});
