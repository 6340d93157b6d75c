import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  catalogueCoverage,
  exposureGini,
  idealGain,
  intraListDiversity,
  listQuality,
  meanPopularity,
  novelty,
  popularityLift,
} from "../../../../models/stats/recommendation-metrics.ts";
import { seededRandom } from "../../../../models/stats/random.ts";
import { drawNormal, shuffle } from "../../../../models/stats/random-draws.ts";

const ranked = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19];
const relevantItems = new Set([11, 14, 15, 18]);
const isRelevant = (item: number): boolean => relevantItems.has(item);

describe("quality of one list", () => {
  it.each([
    [3, 0.2960819109658653],
    [5, 0.3973220069685352],
    [10, 0.653894291235738],
  ])("has the NDCG@%i of scikit-learn 1.9.1's ndcg_score", (k, expected) => {
    expect(listQuality(ranked, isRelevant, { relevant: 4, k }).ndcg).toBeCloseTo(expected, 12);
  });

  it("has the average precision of scikit-learn 1.9.1 where nothing is cut", () => {
    const { averagePrecision } = listQuality(ranked, isRelevant, { relevant: 4, k: 10 });
    expect(averagePrecision).toBeCloseTo(0.46111111111111114, 12);
  });

  it("agrees with figures worked out by hand, cut at 5 with 4 relevant items", () => {
    const quality = listQuality(ranked, isRelevant, { relevant: 4, k: 5 });
    expect(quality.hitRate).toBe(1);
    expect(quality.recall).toBe(2 / 4);
    expect(quality.precision).toBe(2 / 5);
    expect(quality.averagePrecision).toBeCloseTo((1 / 2 + 2 / 5) / 4, 12);
    expect(quality.reciprocalRank).toBe(1 / 2);
  });

  it("measures the ideal by what can be attained: 2 relevant items on top are perfect at k = 5", () => {
    const quality = listQuality([11, 14, 1, 2, 3], isRelevant, { relevant: 2, k: 5 });
    expect([quality.ndcg, quality.averagePrecision, quality.recall]).toEqual([1, 1, 1]);
  });

  it("does not reward a short list with precision, and gives an empty one zeros", () => {
    expect(listQuality([11], isRelevant, { relevant: 4, k: 10 }).precision).toBe(1 / 10);
    expect(Object.values(listQuality([], isRelevant, { relevant: 4, k: 10 }))).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it("refuses a list nothing is relevant for: its recall does not exist", () => {
    expect(() => listQuality(ranked, isRelevant, { relevant: 0, k: 10 })).toThrow(RangeError);
  });

  it("keeps every figure in [0, 1], and moving a relevant item up never lowers one", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(40), { minLength: 2, maxLength: 20 }),
        fc.uniqueArray(fc.nat(40), { minLength: 1, maxLength: 10 }),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(18),
        (list, relevant, k, at) => {
          const wanted = new Set(relevant);
          const quality = (items: readonly number[]): number[] =>
            Object.values(listQuality(items, (item) => wanted.has(item), { relevant: wanted.size, k }));
          const before = quality(list);
          for (const figure of before) expect(figure).toBeGreaterThanOrEqual(0);
          for (const figure of before) expect(figure).toBeLessThanOrEqual(1 + 1e-12);
          const place = at % (list.length - 1);
          const upper = list[place] ?? -1;
          const lower = list[place + 1] ?? -1;
          fc.pre(!wanted.has(upper) && wanted.has(lower));
          const after = quality(list.with(place, lower).with(place + 1, upper));
          for (const [i, figure] of after.entries()) expect(figure).toBeGreaterThanOrEqual((before[i] ?? 0) - 1e-12);
        },
      ),
    );
  });

  it("adds up the ideal gain of Järvelin and Kekäläinen: 1 + 0.6309 + 0.5", () => {
    expect(idealGain(3)).toBeCloseTo(2.1309297535714573, 12);
  });
});

describe("quality over lists", () => {
  const knownBy = [8, 4, 2, 1, 0];

  it("counts the share of the catalogue that is shown", () => {
    expect(catalogueCoverage([[0, 1], [1, 2], []], 5)).toBe(3 / 5);
    expect(catalogueCoverage([], 0)).toBe(0);
  });

  it("measures novelty in bits: an item half the users know has one", () => {
    expect(novelty([1], knownBy, 8)).toBe(1);
    expect(novelty([0, 3], knownBy, 8)).toBe((0 + 3) / 2);
    expect(novelty([4], knownBy, 8)).toBe(3);
  });

  it("measures diversity over pairs", () => {
    const similarity = (a: number, b: number): number => (a + b === 1 ? 1 : 0.25);
    expect(intraListDiversity([0, 1, 2], similarity)).toBeCloseTo((0 + 0.75 + 0.75) / 3, 12);
    expect(intraListDiversity([0], similarity)).toBe(0);
  });

  it("compares popularity shown with popularity owned", () => {
    expect(meanPopularity([0, 2], knownBy, 8)).toBe((1 + 0.25) / 2);
    expect(popularityLift(0.5, 0.25)).toBe(1);
    expect(popularityLift(0.2, 0.2)).toBe(0);
  });

  it("has Gini 0 for equal exposure and (n - 1) / n when one item gets everything", () => {
    expect(exposureGini(Float64Array.of(3, 3, 3, 3))).toBeCloseTo(0, 12);
    expect(exposureGini(Float64Array.of(0, 0, 0, 12))).toBeCloseTo(3 / 4, 12);
  });
});

describe("draws", () => {
  it("are standard normal in mean, variance and fourth moment", () => {
    const random = seededRandom(11);
    const draws = Array.from({ length: 40_000 }, () => drawNormal(random));
    const moment = (power: number): number => draws.reduce((sum, x) => sum + x ** power, 0) / draws.length;
    expect(moment(1)).toBeCloseTo(0, 1);
    expect(moment(2)).toBeCloseTo(1, 1);
    expect(moment(4) / 3).toBeCloseTo(1, 1);
  });

  it("shuffle to a permutation", () => {
    const values = Int32Array.from({ length: 50 }, (_, i) => i);
    shuffle(values, seededRandom(1));
    expect(values.toSorted()).toEqual(Int32Array.from({ length: 50 }, (_, i) => i));
    expect(values).not.toEqual(values.toSorted());
  });
});
