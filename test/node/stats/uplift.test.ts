import { describe, expect, it } from "vitest";
import { bootstrap } from "../../../models/stats/bootstrap.ts";
import { seededRandom } from "../../../models/stats/random.ts";
import { type RatioSums, relativeUplift } from "../../../models/stats/uplift.ts";

interface Unit {
  readonly x: number;
  readonly y: number;
}

/** Visitors who come once or often, and who buy more or less readily: what is shown to one of them is not independent. */
function visitors(count: number, rate: number, random: () => number): Unit[] {
  return Array.from({ length: count }, () => {
    const x = 10 * (1 + Math.floor(-Math.log(1 - random()) * 2));
    const own = rate * -Math.log(1 - random());
    let y = 0;
    for (let shown = 0; shown < x; shown++) if (random() < own) y++;
    return { x, y };
  });
}

function sumsOf(units: readonly Unit[]): RatioSums {
  const sum = (value: (unit: Unit) => number): number => units.reduce((total, unit) => total + value(unit), 0);
  return {
    units: units.length,
    x: sum(({ x }) => x),
    y: sum(({ y }) => y),
    xx: sum(({ x }) => x * x),
    yy: sum(({ y }) => y * y),
    xy: sum(({ x, y }) => x * y),
  };
}

const ratio = (units: readonly Unit[]): number => sumsOf(units).y / sumsOf(units).x;

describe("an uplift between two arms", () => {
  it("is the relative difference of the ratios, and its interval that of a bootstrap over visitors", () => {
    const random = seededRandom(5);
    const [treatment, control] = [visitors(1_500, 0.05, random), visitors(500, 0.03, random)];
    const found = relativeUplift(sumsOf(treatment), sumsOf(control));
    expect(found?.value).toBeCloseTo(ratio(treatment) / ratio(control) - 1, 10);
    const logOf = (units: readonly Unit[]): { low: number; high: number; value: number } => {
      const [interval] = bootstrap(units.length, { replicates: 2_000, level: 0.95, random }, (weights) => {
        let [x, y] = [0, 0];
        for (const [at, unit] of units.entries()) {
          const weight = weights?.[at] ?? 1;
          x += weight * unit.x;
          y += weight * unit.y;
        }
        return [Math.log(y / x)];
      });
      return interval ?? { low: Number.NaN, high: Number.NaN, value: Number.NaN };
    };
    // Half widths of independent arms add up as squares.
    const [a, b] = [logOf(treatment), logOf(control)];
    const margin = Math.hypot(a.high - a.low, b.high - b.low) / 2;
    const middle = Math.log1p(found?.value ?? 0);
    expect(Math.log1p(found?.low ?? 0)).toBeCloseTo(middle - margin, 1);
    expect((Math.log1p(found?.high ?? 0) - middle) / margin).toBeGreaterThan(0.9);
    expect((Math.log1p(found?.high ?? 0) - middle) / margin).toBeLessThan(1.1);
  });

  it("holds the truth about nineteen times in twenty, where counting products as independent would not", () => {
    const random = seededRandom(11);
    const rounds = 400;
    let [held, naive] = [0, 0];
    for (let round = 0; round < rounds; round++) {
      const [a, b] = [sumsOf(visitors(300, 0.04, random)), sumsOf(visitors(300, 0.04, random))];
      const found = relativeUplift(a, b);
      if (found !== null && found.low <= 0 && found.high >= 0) held++;
      const spread = 1.96 * Math.sqrt(1 / a.y + 1 / b.y);
      if (Math.abs(Math.log(a.y / a.x / (b.y / b.x))) <= spread) naive++;
    }
    // Four standard errors of a share of 0.95 in 400 are 0.044.
    expect(held / rounds).toBeGreaterThan(0.95 - 0.044);
    expect(held / rounds).toBeLessThan(0.95 + 0.044);
    expect(naive / rounds).toBeLessThan(held / rounds);
  });

  it("is none where there is nothing to compare", () => {
    const some = sumsOf(visitors(100, 0.05, seededRandom(1)));
    expect(relativeUplift(some, { ...some, y: 0, yy: 0, xy: 0 })).toBeNull();
    expect(relativeUplift({ ...some, units: 29 }, some)).toBeNull();
    expect(relativeUplift(some, { units: 0, x: 0, y: 0, xx: 0, yy: 0, xy: 0 })).toBeNull();
    // The same for everybody: no spread, and no negative one by rounding.
    const equal = { units: 50, x: 500, y: 50, xx: 5_000, yy: 50, xy: 500 };
    expect(relativeUplift(equal, equal)).toEqual({ value: 0, low: 0, high: 0 });
  });
});
