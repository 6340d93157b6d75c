import { describe, expect, it } from "vitest";
import { judgeChampion } from "../../../../batch-training/evaluate/gates/champion.ts";
import { judgeFairness } from "../../../../batch-training/evaluate/gates/fairness.ts";
import type { Units } from "../../../../batch-training/evaluate/gates/gate.ts";
import { DEFAULT_GATE_POLICY } from "../../../../batch-training/evaluate/gates/policy.ts";
import { judgeQuality } from "../../../../batch-training/evaluate/gates/quality.ts";
import { judgeSlices } from "../../../../batch-training/evaluate/gates/slices.ts";
import { SeededRandom } from "../../../support/seeded-random.ts";

const ROWS = 4000;

/** Labels of a known probability, and scores that see it through noise on the log-odds scale: 0 is perfect. */
function world(seed: number) {
  const random = new SeededRandom(seed);
  const margins = Array.from({ length: ROWS }, () => -2.5 + 1.5 * random.normal());
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
  const labels = margins.map((margin) => (random.next() < sigmoid(margin) ? 1 : 0));
  const scores = (noise: number): number[] => margins.map((margin) => sigmoid(margin + noise * random.normal()));
  return { labels, scores };
}

const { labels, scores } = world(1);
const every = (part: object = {}) => ({
  labels: labels as ArrayLike<number>,
  challenger: scores(0.1) as ArrayLike<number>,
  baselines: {} as Record<string, ArrayLike<number>>,
  units: null as Units | null,
  seed: 7,
  ...part,
});
const quality = (part: object = {}, policy = DEFAULT_GATE_POLICY) => judgeQuality(every(part), policy);
const refusedBy = (part: object): string[] =>
  quality(part)
    .gates.filter((gate) => !gate.passed)
    .map((gate) => gate.id);
const againstChampion = (challenger: ArrayLike<number>, champion: ArrayLike<number>) =>
  judgeChampion({ labels, challenger, champion, units: null, seed: 7 }, DEFAULT_GATE_POLICY);

describe("publication gates", () => {
  it("a model that beats champion, baseline and constant passes, with intervals on every difference", () => {
    const report = quality({ baselines: { logistic_regression: scores(1) } });
    expect(report.gates.filter(({ passed }) => !passed)).toEqual([]);
    const { gate, metrics } = againstChampion(scores(0.1), scores(1.5));
    expect(gate.passed).toBe(true);
    expect(gate.low).toBeLessThan(gate.value ?? 0);
    expect(gate.high).toBeGreaterThan(gate.value ?? 0);
    expect(metrics.rocAuc.value).toBeLessThan(report.metrics?.rocAuc.value ?? 0);
  });

  it("the same model again does not beat the champion", () => {
    const same = scores(0.5);
    expect(againstChampion(same, same).gate.passed).toBe(false);
  });

  it("a worse model is refused with figures in the reason", () => {
    const { gate } = againstChampion(scores(1.5), scores(0.1));
    expect(gate.passed).toBe(false);
    expect(gate.reason).toMatch(/averagePrecision does not beat the champion: difference -0\.\d+ \(95 %/);
  });

  it("a model far behind a baseline is refused though there is no champion", () => {
    expect(refusedBy({ challenger: scores(2), baselines: { logistic_regression: scores(0.1) } })).toContain(
      "holds_baseline",
    );
  });

  it("a constant score and random scores do not beat the constant score", () => {
    const rate = labels.reduce<number>((a, b) => a + b, 0) / ROWS;
    const random = new SeededRandom(3);
    expect(refusedBy({ challenger: labels.map(() => rate) })).toContain("beats_constant");
    expect(refusedBy({ challenger: labels.map(() => random.next()) })).toContain("beats_constant");
  });

  it("right order but wrong probabilities are refused as uncalibrated", () => {
    expect(refusedBy({ challenger: scores(0.1).map((p) => Math.sqrt(p)) })).toContain("calibrated");
  });

  it("too few rows or positives give no verdict", () => {
    const few = { labels: labels.slice(0, 300), challenger: scores(0.1).slice(0, 300) };
    expect(refusedBy(few)).toContain("enough_data");
    expect(refusedBy({ labels: labels.map(() => 0) })).toContain("enough_data");
  });

  it("scores that are no probabilities are refused before any metric", () => {
    for (const wrong of [Number.NaN, 1.5, -0.1, Number.POSITIVE_INFINITY]) {
      const report = quality({ challenger: scores(0.1).map((p, i) => (i === 17 ? wrong : p)) });
      expect(report.gates.map(({ reason }) => reason)).toEqual([`the score of row 17 is ${wrong}, not a probability`]);
      expect(report.metrics).toBeNull();
    }
    expect(refusedBy({ challenger: scores(0.1).slice(1) })).toEqual(["finite_scores"]);
  });

  it("a slice that regresses beyond its band is refused by name; noise on a small or equal slice is not", () => {
    const inFirstHalf = (row: number): boolean => row < ROWS / 2;
    const half = (keeps: (row: number) => boolean) => Uint32Array.from(labels.keys()).filter((row) => keeps(row));
    const better = scores(0.1);
    const worse = scores(3);
    // Better on the whole, far worse in the first half.
    const challenger = better.map((p, row) => (inFirstHalf(row) ? (worse[row] ?? 0) : p));
    const reference = scores(0.4);
    const results = judgeSlices(
      {
        ...every({ challenger }),
        reference,
        referenceName: "the champion",
        slices: [
          { name: "first half", rows: half(inFirstHalf) },
          { name: "second half", rows: half((row) => !inFirstHalf(row)) },
          { name: "handful", rows: half((row) => row < 40) },
        ],
      },
      DEFAULT_GATE_POLICY,
    );
    expect(results.map(({ name, gate }) => [name, gate?.passed ?? null])).toEqual([
      ["first half", false],
      ["second half", true],
      ["handful", null],
    ]);
    expect(results[0]?.gate?.reason).toMatch(/^slice first half regresses beyond its band against the champion: /);
  });

  it("groups are reported, and refuse outside the four-fifths band only where the policy says so", () => {
    const challenger = scores(0.1).map((p, i) => (i % 2 === 0 ? p : p * 0.2));
    const groups = { title: "sex", of: labels.map((_, i) => i % 2), names: ["f", "m"] };
    const policy = { ...DEFAULT_GATE_POLICY, decisionThreshold: 0.2 };
    const judged = { labels, challenger, groups, units: null, seed: 7 };
    const reported = judgeFairness(judged, policy);
    expect(reported.parity.demographicParityRatio.value).toBeLessThan(0.3);
    expect(reported.gate.passed).toBe(true);
    const required = judgeFairness(judged, { ...policy, fairness: "require" });
    expect(required.gate).toMatchObject({ passed: false, against: "sex" });
    expect(required.gate.reason).toContain("outside the band 0.8 to 1.25");
    const equal = judgeFairness({ ...judged, challenger: scores(0.1) }, { ...policy, fairness: "require" });
    expect(equal.gate.passed).toBe(true);
  });

  it("rows of one customer are drawn together, which widens the intervals", () => {
    // Every row forty times over: without units the bootstrap would believe it has forty times the evidence.
    const of = Uint32Array.from({ length: ROWS }, (_, i) => i % 100);
    const repeat = (values: readonly number[]): number[] => values.map((_, i) => values[i % 100] ?? 0);
    const part = { labels: repeat(labels), challenger: repeat(scores(0.1)) };
    const width = (units: Units | null): number => {
      const auc = quality({ ...part, units }).metrics?.rocAuc;
      return (auc?.high ?? 0) - (auc?.low ?? 0);
    };
    expect(width({ of, count: 100 })).toBeGreaterThan(3 * width(null));
  });

  it("the same input and seed give the same report", () => {
    const judged = every({ baselines: { other: scores(1) } });
    expect(judgeQuality(judged, DEFAULT_GATE_POLICY)).toEqual(judgeQuality(judged, DEFAULT_GATE_POLICY));
  });
});
