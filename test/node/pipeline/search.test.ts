import { describe, expect, it } from "vitest";
import { searchParameters, type SearchSpace } from "../../../batch-training/pipeline/search.ts";

const SPACE: SearchSpace = {
  rate: { kind: "real", low: 0.001, high: 1, scale: "log" },
  leaves: { kind: "whole", low: 2, high: 64, scale: "linear" },
  kind: { kind: "choice", values: ["a", "b", "c"] },
};
const BASE = { rate: 1, leaves: 64, kind: "c", fixed: true };

/** Least at rate 0.03, 20 leaves, kind b. */
function bowl(parameters: Readonly<Record<string, unknown>>): number {
  const { rate, leaves, kind } = parameters as { rate: number; leaves: number; kind: string };
  return Math.log10(rate / 0.03) ** 2 + ((leaves - 20) / 30) ** 2 + (kind === "b" ? 0 : 0.5);
}

const search = (trials: number, seed = 1, loss: (p: Readonly<Record<string, unknown>>) => number | null = bowl) =>
  searchParameters({
    space: SPACE,
    base: BASE,
    trials,
    seed,
    run: (parameters) => Promise.resolve({ loss: loss(parameters), found: {}, note: "" }),
  });

describe("the search for parameters", () => {
  it("tries the defaults first, so it never ends worse than they are by its own measure", async () => {
    const { trials } = await search(1);
    expect(trials).toEqual([{ parameters: {}, loss: bowl(BASE), note: "" }]);
    for (let seed = 0; seed < 20; seed++) {
      const { parameters } = await search(5, seed);
      expect(bowl(parameters)).toBeLessThanOrEqual(bowl(BASE));
      expect(parameters).toMatchObject({ fixed: true });
    }
  });

  it("keeps to its budget and to the ranges, and the same seed draws the same trials", async () => {
    const [once, twice, other] = [await search(40), await search(40), await search(40, 2)];
    expect(once).toEqual(twice);
    expect(once.trials).not.toEqual(other.trials);
    expect(once.trials).toHaveLength(40);
    for (const { parameters } of once.trials.slice(1)) {
      const { rate, leaves, kind } = parameters as { rate: number; leaves: number; kind: string };
      expect(rate).toBeGreaterThanOrEqual(0.001);
      expect(rate).toBeLessThanOrEqual(1);
      expect(Number.isInteger(leaves) && leaves >= 2 && leaves <= 64).toBe(true);
      expect(["a", "b", "c"]).toContain(kind);
    }
  });

  it("finds more than the same number of draws made anywhere, in the median of twenty seeds", async () => {
    const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
    const found: number[] = [];
    const anywhere: number[] = [];
    for (let seed = 0; seed < 20; seed++) {
      found.push(bowl((await search(60, seed)).parameters));
      // Where no trial can be judged, every draw is made anywhere.
      const { trials } = await search(60, seed, () => null);
      anywhere.push(Math.min(...trials.map(({ parameters }) => bowl({ ...BASE, ...parameters }))));
    }
    expect(median(found)).toBeLessThan(median(anywhere));
  });

  it("keeps the defaults where no trial could be judged", async () => {
    const { parameters, trials } = await search(4, 1, () => null);
    expect(parameters).toEqual(BASE);
    expect(trials).toHaveLength(4);
  });
});
