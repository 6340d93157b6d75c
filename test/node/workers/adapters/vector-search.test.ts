import { describe, expect, it } from "vitest";
import { EmbeddedVectors } from "../../../../models/engine/embedded-vectors.ts";
import { awaitVisible, type StoredVector, type VectorSearch } from "../../../../models/engine/vector-search.ts";
import { VectorizeIndex } from "../../../../workers/adapters/vectorize-index.ts";
import { engineKernels } from "../../../support/engine-kernels.ts";
import { FakeVectorize } from "../../../support/fake-vectorize.ts";
import { SeededRandom } from "../../../support/seeded-random.ts";

const DIMENSIONS = 12;

interface Subject {
  readonly search: VectorSearch;
  /** Lets written vectors become visible. */
  readonly settle: () => void;
  /** How far a score may be from the exact one. */
  readonly tolerance: number;
}

const subjects: Record<string, () => Subject> = {
  "embedded, float": () => ({ search: embedded("float"), settle: () => {}, tolerance: 1e-5 }),
  "embedded, 8-bit": () => ({ search: embedded("bytes"), settle: () => {}, tolerance: 0.05 }),
  Vectorize: () => {
    const binding = new FakeVectorize(DIMENSIONS);
    return { search: new VectorizeIndex(binding, DIMENSIONS), settle: () => binding.process(), tolerance: 1e-5 };
  },
};

function embedded(precision: "float" | "bytes", maxBytes = 1 << 20): EmbeddedVectors {
  return new EmbeddedVectors({ dimensions: DIMENSIONS, kernels: engineKernels, precision, maxBytes });
}

function vectors(count: number, seed: number, prefix = "v"): StoredVector[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, (_, at) => {
    return { id: `${prefix}-${at}`, values: Float32Array.from({ length: DIMENSIONS }, () => random.next() * 2 - 1) };
  });
}

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);

describe.each(Object.entries(subjects))("vector search: %s", (_name, make) => {
  it("finds the largest dot products, best first, in the namespace asked", async () => {
    const { search, settle, tolerance } = make();
    const stored = vectors(300, 1);
    await search.upsert("one", stored);
    await search.upsert("two", vectors(50, 2, "other"));
    settle();
    for (const { values: query } of vectors(10, 3)) {
      const found = await search.query("one", query, 20);
      const exact = stored
        .map(({ id, values }) => ({ id, score: dot(values, query) }))
        .sort((a, b) => b.score - a.score);
      const scoreOf = new Map(exact.map(({ id, score }) => [id, score]));
      expect(found).toHaveLength(20);
      for (const [rank, { id, score }] of found.entries()) {
        expect(Math.abs(score - (scoreOf.get(id) ?? Number.NaN))).toBeLessThanOrEqual(tolerance);
        // Nothing better is left out, up to what rounding can turn around.
        expect(scoreOf.get(id)).toBeGreaterThanOrEqual((exact[rank]?.score ?? Number.NaN) - 2 * tolerance);
        expect(score).toBeLessThanOrEqual(found[rank - 1]?.score ?? Infinity);
      }
    }
    expect(await search.query("nowhere", new Float32Array(DIMENSIONS).fill(1), 5)).toEqual([]);
    expect(await search.query("two", new Float32Array(DIMENSIONS).fill(1), 100)).toHaveLength(50);
  });

  it("replaces a known id, removes, and says when it is seen", async () => {
    const { search, settle } = make();
    const query = new Float32Array(DIMENSIONS).fill(1);
    await search.upsert("n", [{ id: "a", values: query.map(() => 0.5) }]);
    const ticket = await search.upsert("n", [
      { id: "a", values: query.map(() => 0.25) },
      { id: "b", values: query.map(() => 0.75) },
    ]);
    settle();
    expect(await search.visible(ticket)).toBe(true);
    expect((await search.query("n", query, 5)).map(({ id }) => id)).toEqual(["b", "a"]);
    const removed = await search.remove("n", ["b", "unknown"]);
    settle();
    expect(await search.visible(removed)).toBe(true);
    expect((await search.query("n", query, 5)).map(({ id }) => id)).toEqual(["a"]);
  });

  it("takes more vectors than one call holds", async () => {
    const { search, settle } = make();
    const ticket = await search.upsert("n", vectors(2_500, 4));
    settle();
    expect(await search.visible(ticket)).toBe(true);
    expect(await search.query("n", new Float32Array(DIMENSIONS).fill(1), 100)).toHaveLength(100);
  });

  it("refuses what does not fit, naming it", async () => {
    const { search } = make();
    const upsert = async (id: string, values: Float32Array): Promise<string> =>
      await search.upsert("n", [{ id, values }]);
    await expect(upsert("x", new Float32Array(DIMENSIONS + 1))).rejects.toThrow("13 numbers");
    await expect(upsert("ü".repeat(33), new Float32Array(DIMENSIONS))).rejects.toThrow("1 to 64 bytes");
    await expect(upsert("x", new Float32Array(DIMENSIONS).fill(Number.NaN))).rejects.toThrow("finite");
    await expect((async () => await search.query("n", new Float32Array(3), 5))()).rejects.toThrow("3 numbers");
    await expect((async () => await search.query("n", new Float32Array(DIMENSIONS), 101))()).rejects.toThrow(
      "101 matches",
    );
  });
});

describe("a pointer to new vectors", () => {
  const options = { firstPollMs: 100, longestPollMs: 400, polls: 5 };

  it("waits until Vectorize has processed every batch, polling ever less", async () => {
    const binding = new FakeVectorize(DIMENSIONS);
    const search = new VectorizeIndex(binding, DIMENSIONS);
    const ticket = await search.upsert("n", vectors(2_500, 5));
    expect(binding.batches).toEqual([1_000, 1_000, 500]);
    const waits: number[] = [];
    await awaitVisible(search, ticket, {
      ...options,
      after: async (milliseconds) => {
        waits.push(milliseconds);
        binding.process(1);
      },
    });
    expect(waits).toEqual([100, 200, 400]);
    expect((await binding.describe()).vectorCount).toBe(2_500);
  });

  it("stays where they do not become visible", async () => {
    const search = new VectorizeIndex(new FakeVectorize(DIMENSIONS), DIMENSIONS);
    const ticket = await search.upsert("n", vectors(1, 6));
    await expect(awaitVisible(search, ticket, { ...options, after: async () => {} })).rejects.toThrow("stays as it is");
  });

  it("asks about a write of another isolate, whatever was written since", async () => {
    const binding = new FakeVectorize(DIMENSIONS);
    const ticket = await new VectorizeIndex(binding, DIMENSIONS).upsert("one", vectors(1_200, 8, "one"));
    const other = new VectorizeIndex(binding, DIMENSIONS);
    expect(await other.visible(ticket)).toBe(false);
    binding.process(1);
    expect(await other.visible(ticket)).toBe(false);
    binding.process();
    await new VectorizeIndex(binding, DIMENSIONS).upsert("two", vectors(3, 9, "two"));
    binding.process();
    expect(await other.visible(ticket)).toBe(true);
    // The same vectors again: whoever waits for the first write sees the second one as well.
    await new VectorizeIndex(binding, DIMENSIONS).upsert("one", vectors(1_200, 8, "one"));
    binding.process();
    expect(await other.visible(ticket)).toBe(true);
    const gone = await other.remove(
      "one",
      vectors(1_200, 8, "one").map(({ id }) => id),
    );
    const third = new VectorizeIndex(binding, DIMENSIONS);
    expect(await third.visible(gone)).toBe(false);
    binding.process();
    await other.upsert("two", vectors(1, 10, "two"));
    binding.process();
    expect(await third.visible(gone)).toBe(true);
    expect(binding.size).toBe(3);
  });

  it("is not moved to an index of other dimensions", async () => {
    const wrong = new VectorizeIndex(new FakeVectorize(8), DIMENSIONS);
    expect(await wrong.objection()).toContain("the Vectorize index has 8 dimensions and VECTOR_DIMENSIONS says 12");
    expect(await new VectorizeIndex(new FakeVectorize(DIMENSIONS), DIMENSIONS).objection()).toBeNull();
    expect(() => new VectorizeIndex(new FakeVectorize(8), 1_537)).toThrow("up to 1536");
  });

  it("is bounded in memory where it is embedded", async () => {
    const search = embedded("float", 1_000);
    await expect((async () => await search.upsert("n", vectors(100, 7)))()).rejects.toThrow("Use Vectorize");
  });
});
