import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { finish } from "../../../models/features/aggregation.ts";
import type { Aggregation } from "../../../models/features/definition.ts";
import { HASH_RANGE, hash48 } from "../../../models/features/hash.ts";
import { merge, type Parts, prepare, type Summary, update } from "../../../models/features/summary.ts";

const ALL: Parts = {
  sum: true,
  squares: true,
  extremes: true,
  ends: true,
  distinct: true,
  recent: 3,
  halfLifeMs: 5_000,
};
const EXACT: Aggregation[] = [
  { op: "count", column: null },
  { op: "sum", column: "v" },
  { op: "min", column: "v" },
  { op: "max", column: "v" },
  { op: "first", column: "v" },
  { op: "last", column: "v" },
  { op: "distinct", column: "v" },
  { op: "nth-last", column: "v", n: 2 },
  { op: "since-last" },
  { op: "since-first" },
];
const ROUNDED: Aggregation[] = [
  { op: "mean", column: "v" },
  { op: "variance", column: "v" },
  { op: "deviation", column: "v" },
  { op: "rate", column: "v", prior: 3, weight: 2 },
  { op: "decayed-sum", column: "v", halfLifeMs: 5_000 },
];

interface Fact {
  readonly time: number;
  readonly id: number;
  readonly value: number;
}
const someFacts = fc.uniqueArray(
  fc.record({
    time: fc.integer({ min: 0, max: 20_000 }),
    id: fc.integer({ min: 1, max: 1_000 }),
    value: fc.oneof(fc.integer({ min: 0, max: 1_000 }), fc.constant(Number.NaN)),
  }),
  { selector: (fact) => fact.id, maxLength: 40 },
);

function run(facts: readonly Fact[]): Summary {
  const summary = prepare();
  for (const { time, id, value } of facts) update(summary, ALL, time, id, value);
  return summary;
}

const close = (a: number, b: number): boolean => Object.is(a, b) || Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b));

describe("summaries", () => {
  it("merge(run(a), run(b)) = run(a ++ b), for every aggregation and any split", () => {
    fc.assert(
      fc.property(someFacts, fc.integer({ min: 0, max: 40 }), (facts, split) => {
        const merged = run(facts.slice(0, split));
        merge(merged, ALL, run(facts.slice(split)));
        const whole = run(facts);
        for (const aggregation of EXACT)
          expect(finish(aggregation, merged, 20_000)).toBe(finish(aggregation, whole, 20_000));
        for (const aggregation of ROUNDED)
          expect(close(finish(aggregation, merged, 20_000), finish(aggregation, whole, 20_000)), aggregation.op).toBe(
            true,
          );
      }),
      { numRuns: 500 },
    );
  });

  it("count distinct values exactly up to 255 and within three standard errors above, whatever the order of merging", () => {
    const values = Array.from({ length: 20_000 }, (_, i) => hash48(`visitor-${i}`));
    const sketchOf = (part: readonly number[]): Summary => {
      const summary = prepare();
      for (const [i, value] of part.entries()) update(summary, ALL, i, i, value);
      return summary;
    };
    const distinct = (summary: Summary): number => finish({ op: "distinct", column: "v" }, summary, 0);
    expect(distinct(sketchOf(values.slice(0, 255)))).toBe(255);
    const whole = sketchOf(values);
    expect(Math.abs(distinct(whole) / 20_000 - 1)).toBeLessThan(3 / Math.sqrt(254));
    const left = sketchOf(values.slice(0, 9_000));
    merge(left, ALL, sketchOf(values.slice(7_000)));
    expect(left.distinct).toEqual(whole.distinct);
    expect(Math.max(...whole.distinct)).toBeLessThan(HASH_RANGE);
  });
});
