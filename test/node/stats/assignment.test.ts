import { describe, expect, it } from "vitest";
import { armOf } from "../../../models/recommend/experiment.ts";
import { virtualShardOf } from "../../../models/sharding/virtual-shards.ts";
import { placeInExperiment } from "../../../models/stats/assignment.ts";

/** Pseudonyms as they are in production, and plain numbers, whose low entropy a poor hash would show. */
const UNITS = Array.from({ length: 20_000 }, (_, at) => (at % 2 === 0 ? `c:p${(at * 7_919).toString(36)}` : `s:${at}`));

/** Pearson's statistic of counts that should be equal. */
function chiSquare(counts: Uint32Array): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}
function count(bins: Uint32Array, place: number): void {
  const bin = Math.floor(place);
  bins[bin] = (bins[bin] ?? 0) + 1;
}
/** 99.9 % of the chi-square distribution by degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.4). */
const LIMIT = { 19: 43.82, 99: 148.23 };

describe("a unit's place in an experiment", () => {
  it("is what it has always been: who is in an arm stays there", () => {
    const places = ["c:pAAAA", "c:pAAAB", "s:1"].map((unit) => placeInExperiment("recommendation-control", unit));
    expect(places.map((place) => place.toFixed(9))).toEqual(["0.878944888", "0.555948405", "0.253347547"]);
  });

  it("is uniform, alone and within a shard of visitors", () => {
    const bins = new Uint32Array(20);
    for (const unit of UNITS) count(bins, placeInExperiment("x", unit) * 20);
    expect(chiSquare(bins)).toBeLessThan(LIMIT[19]);
    const byShard = new Uint32Array(20);
    for (const unit of UNITS) {
      if (virtualShardOf(unit) < 512) count(byShard, placeInExperiment("x", unit) * 20);
    }
    expect(chiSquare(byShard)).toBeLessThan(LIMIT[19]);
  });

  it("is independent between experiments", () => {
    const cells = new Uint32Array(100);
    for (const unit of UNITS) {
      const [a, b] = [placeInExperiment("one", unit), placeInExperiment("other", unit)];
      count(cells, Math.floor(a * 10) * 10 + b * 10);
    }
    expect(chiSquare(cells)).toBeLessThan(LIMIT[99]);
  });
});

describe("the arm of a visitor", () => {
  it("takes the share, and a larger share moves nobody back to the recommender", () => {
    const control = (share: number): Set<string> => new Set(UNITS.filter((unit) => armOf(unit, share) === "control"));
    const [small, large] = [control(0.05), control(0.2)];
    expect(small.size / UNITS.length).toBeCloseTo(0.05, 2);
    expect(large.size / UNITS.length).toBeCloseTo(0.2, 2);
    expect([...small].every((unit) => large.has(unit))).toBe(true);
    expect(control(0).size).toBe(0);
    expect(armOf(null, 0.5)).toBe("outside");
  });
});
