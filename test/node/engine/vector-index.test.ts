import { describe, expect, it } from "vitest";
import { VectorIndex } from "../../../models/engine/vector-index.ts";
import { engineKernels } from "../../support/engine-kernels.ts";
import { gaussian, seededRandom } from "../../support/generated-trees.ts";

/** Every score, sorted: doubles, by the definition. */
function naive(items: Float32Array, query: Float32Array, k: number): { index: number; score: number }[] {
  const dimensions = query.length;
  return Array.from({ length: items.length / dimensions }, (_, index) => ({
    index,
    score: query.reduce((sum, value, at) => sum + value * (items[index * dimensions + at] ?? 0), 0),
  }))
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, k);
}

describe.each([
  ["in plain JavaScript", null],
  ["by the kernels", engineKernels],
] as const)("the vector index %s", (_, kernels) => {
  it.each([
    [1, 3, 1],
    [7, 5, 7],
    [64, 1000, 100],
    [10, 1001, 10],
    [33, 402, 50],
  ])("finds the best of items of %i dimensions (%i items, top %i)", (dimensions, count, k) => {
    const random = seededRandom(count);
    const items = Float32Array.from({ length: count * dimensions }, () => gaussian(random));
    const index = new VectorIndex(items, dimensions, 100, kernels);
    for (let turn = 0; turn < 5; turn++) {
      const query = Float32Array.from({ length: dimensions }, () => gaussian(random));
      const expected = naive(items, query, k);
      const { indices, scores } = index.topK(query, k);
      expect(Array.from(indices)).toEqual(expected.map((item) => item.index));
      expected.forEach(({ score }, rank) => expect(scores[rank]).toBeCloseTo(score, 4));
    }
  });

  it("orders equal scores by position, also where the list is full of them", () => {
    const items = Float32Array.from({ length: 50 }, (_, item) => (item % 10 === 3 ? 2 : 1));
    const { indices } = new VectorIndex(items, 1, 8, kernels).topK(Float32Array.of(1), 8);
    expect(Array.from(indices.subarray(0, 5))).toEqual([3, 13, 23, 33, 43]);
    expect(Array.from(indices.subarray(5))).toHaveLength(3);
  });

  it("leaves out items whose score is not a number", () => {
    const items = Float32Array.of(1, Number.NaN, 3, -Infinity, 2);
    const { indices, scores } = new VectorIndex(items, 1, 5, kernels).topK(Float32Array.of(1), 5);
    expect(Array.from(indices)).toEqual([2, 4, 0, 3]);
    expect(Array.from(scores)).toEqual([3, 2, 1, -Infinity]);
  });

  it("refuses queries of another size and lists longer than it has room for", () => {
    const index = new VectorIndex(new Float32Array(40), 4, 5, kernels);
    expect(() => index.topK(new Float32Array(3), 2)).toThrow(RangeError);
    expect(() => index.topK(new Float32Array(4), 6)).toThrow(RangeError);
    expect(index.topK(new Float32Array(4), 0).indices).toHaveLength(0);
    expect(() => new VectorIndex(new Float32Array(7), 4, 5, kernels)).toThrow(RangeError);
  });
});
