import { describe, expect, it } from "vitest";
import { DEFAULT_GATE_POLICY, evaluateGates, type GateInput } from "../../../../batch-training/evaluate/gates.ts";
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
const input = (part: Partial<GateInput>): GateInput => ({
  labels,
  challenger: scores(0.1),
  champion: null,
  baselines: {},
  units: null,
  groups: null,
  seed: 7,
  ...part,
});
const refusedBy = (part: Partial<GateInput>): string[] =>
  evaluateGates(input(part))
    .gates.filter((gate) => !gate.passed)
    .map((gate) => gate.id);

describe("publication gates", () => {
  it("a model that beats champion, baseline and constant passes, with intervals on every difference", () => {
    const report = evaluateGates(input({ champion: scores(1.5), baselines: { logistic_regression: scores(1) } }));
    expect(report.refusals).toEqual([]);
    expect(report.passed).toBe(true);
    const champion = report.gates.find((gate) => gate.id === "beats_champion");
    expect(champion?.low).toBeLessThan(champion?.value ?? 0);
    expect(champion?.high).toBeGreaterThan(champion?.value ?? 0);
    expect(report.metrics.champion?.rocAuc.value).toBeLessThan(report.metrics.challenger?.rocAuc.value ?? 0);
  });

  it("the same model again does not beat the champion", () => {
    const same = scores(0.5);
    expect(refusedBy({ challenger: same, champion: same })).toEqual(["beats_champion"]);
  });

  it("a worse model is refused with figures in the reason", () => {
    const report = evaluateGates(input({ challenger: scores(1.5), champion: scores(0.1) }));
    expect(report.passed).toBe(false);
    expect(report.refusals.join()).toMatch(/averagePrecision does not beat the champion: difference -0\.\d+ \(95 %/);
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
      const report = evaluateGates(input({ challenger: scores(0.1).map((p, i) => (i === 17 ? wrong : p)) }));
      expect(report.refusals).toEqual([`the score of row 17 is ${wrong}, not a probability`]);
    }
    expect(refusedBy({ challenger: scores(0.1).slice(1) })).toEqual(["finite_scores"]);
  });

  it("groups are reported, and refuse outside the four-fifths band only where the policy says so", () => {
    const challenger = scores(0.1).map((p, i) => (i % 2 === 0 ? p : p * 0.2));
    const part = { challenger, groups: { of: labels.map((_, i) => i % 2), names: ["f", "m"] } };
    const policy = { ...DEFAULT_GATE_POLICY, decisionThreshold: 0.2, maxCalibrationError: 1 };
    const reported = evaluateGates(input(part), policy);
    expect(reported.groups?.parity.demographicParityRatio.value).toBeLessThan(0.3);
    expect(reported.gates.find((gate) => gate.id === "fair")?.passed).toBe(true);
    const required = evaluateGates(input(part), { ...policy, fairness: "require" });
    expect(required.gates.find((gate) => gate.id === "fair")?.passed).toBe(false);
  });

  it("rows of one customer are drawn together, which widens the intervals", () => {
    // Every row forty times over: without units the bootstrap would believe it has forty times the evidence.
    const of = Uint32Array.from({ length: ROWS }, (_, i) => i % 100);
    const repeat = (values: readonly number[]): number[] => values.map((_, i) => values[i % 100] ?? 0);
    const part = { labels: repeat(labels), challenger: repeat(scores(0.1)) };
    const width = (units: GateInput["units"]): number => {
      const auc = evaluateGates(input({ ...part, units })).metrics.challenger?.rocAuc;
      return (auc?.high ?? 0) - (auc?.low ?? 0);
    };
    expect(width({ of, count: 100 })).toBeGreaterThan(3 * width(null));
  });

  it("the same input and seed give the same report", () => {
    const part = input({ champion: scores(1) });
    expect(evaluateGates(part)).toEqual(evaluateGates(part));
  });
});
