import { describe, expect, it } from "vitest";
import { byteEmbeddings, scoreDeviation } from "../../../../models/recommend/byte-embeddings.ts";
import { readVector, solveFoldIn } from "../../../../models/recommend/fold-in.ts";
import type { FloatEmbeddings } from "../../../../models/recommend/served-recommender.ts";
import { SeededRandom } from "../../../support/seeded-random.ts";

const [items, dimensions] = [400, 24];

function embeddings(seed: number): FloatEmbeddings {
  const random = new SeededRandom(seed);
  // Norms differ widely, as those of popular and rare items do; one item is nothing at all.
  const vectors = Float32Array.from({ length: items * dimensions }, (_, at) =>
    at < dimensions ? 0 : random.normal() / (1 + Math.floor(at / dimensions)),
  );
  const gram = new Float32Array(dimensions * dimensions);
  for (let at = 0; at < dimensions; at++) gram[at * dimensions + at] = 1;
  return {
    kind: "embeddings",
    items,
    dimensions,
    vectors,
    gram,
    ridge: { level: 0.1, offset: 1, power: 0.5 },
    profile: { stepDecay: 1, halfLifeSeconds: Infinity },
  };
}

describe("embeddings of 8 bits", () => {
  const exact = embeddings(1);
  const bytes = byteEmbeddings(exact);
  const random = new SeededRandom(2);
  const users = Array.from({ length: 20 }, () => Float64Array.from({ length: dimensions }, () => random.normal()));

  it("hold every value within half of its item's scale, in a quarter of the bytes", () => {
    const row = new Float64Array(dimensions);
    for (let item = 0; item < items; item++) {
      readVector(bytes, item, row);
      for (const [at, value] of row.entries()) {
        const error = Math.abs(value - (exact.vectors[item * dimensions + at] ?? Number.NaN));
        expect(error).toBeLessThanOrEqual((bytes.scales[item] ?? 0) * 0.500_01);
      }
    }
    expect(bytes.vectors.byteLength).toBe(exact.vectors.byteLength / 4);
    expect(byteEmbeddings(bytes)).toBe(bytes);
  });

  it("give a user's vector close to the exact one", () => {
    const profile = { items: Int32Array.of(1, 7, 30), weights: Float32Array.of(1, 0.5, 2) };
    const [own, other] = [solveFoldIn(exact, profile), solveFoldIn(bytes, profile)];
    for (const [at, value] of own.entries()) expect(other[at]).toBeCloseTo(value, 2);
  });

  it("tell the deviation of all scores from their moments alone", () => {
    const row = new Float64Array(dimensions);
    for (const user of users) {
      const scores = Array.from({ length: items }, (_, item) => {
        readVector(bytes, item, row);
        return row.reduce((sum, value, at) => sum + value * (user[at] ?? 0), 0);
      });
      const mean = scores.reduce((sum, score) => sum + score, 0) / items;
      const variance = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / items;
      expect(scoreDeviation(bytes, user)).toBeCloseTo(Math.sqrt(variance), 5);
    }
  });

  it("refuse a value that is not finite, naming the item", () => {
    const vectors = exact.vectors.slice();
    vectors[5 * dimensions] = Number.NaN;
    expect(() => byteEmbeddings({ ...exact, vectors })).toThrow("item 5");
  });
});
