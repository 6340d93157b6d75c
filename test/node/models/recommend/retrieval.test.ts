import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { topItems } from "../../../../models/recommend/retrieval.ts";

describe("topItems", () => {
  // Few distinct values, so that equal scores are common.
  const score = fc.oneof(fc.integer({ min: -2, max: 6 }), fc.constant(Number.NaN), fc.float({ noNaN: true }));

  it("is a filter, a sort and a cut: best first, the lower index among equals", () => {
    fc.assert(
      fc.property(
        fc.array(score, { maxLength: 120 }),
        fc.integer({ min: 0, max: 140 }),
        fc.integer({ min: 1, max: 5 }),
        (values, limit, step) => {
          const scores = Float32Array.from(values);
          const passes = (item: number): boolean => item % step !== 1;
          const expected = [...scores.keys()]
            .filter((item) => (scores[item] ?? 0) > 0 && passes(item))
            .toSorted((a, b) => Math.sign((scores[b] ?? 0) - (scores[a] ?? 0) || 0) || a - b)
            .slice(0, limit);
          expect(topItems(scores, limit, passes)).toEqual(expected);
        },
      ),
      { numRuns: 500 },
    );
  });
});
