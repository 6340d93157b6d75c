import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fitPolicy } from "../../../batch-training/pipeline/fraud/fit-policy.ts";
import { goldenVectors } from "../../../batch-training/pipeline/golden-vectors.ts";
import { rowMajor, splitByTime, type TrainingRows } from "../../../batch-training/pipeline/training-rows.ts";

function rowsOf(asOf: readonly number[], labels: readonly number[]): TrainingRows {
  return {
    featureNames: ["a", "b"],
    columns: [Float32Array.from(asOf, (_, row) => row), Float32Array.from(asOf, (_, row) => -row)],
    labels: Float32Array.from(labels),
    asOf: Float64Array.from(asOf),
    subjects: asOf.map((_, row) => `s${row % 3}`),
  };
}

const timesAndLabels = fc
  .array(fc.record({ step: fc.integer({ min: 0, max: 3 }), label: fc.constantFrom(0, 0, 0, 1) }), { maxLength: 80 })
  .map((steps) => {
    let time = 0;
    return rowsOf(
      steps.map(({ step }) => (time += step)),
      steps.map(({ label }) => label),
    );
  });

describe("splitByTime", () => {
  it("law: time — no training row is as late as a validation row, and no validation row as late as a test row", () => {
    fc.assert(
      fc.property(timesAndLabels, (rows) => {
        const { train, validation, test } = splitByTime(rows);
        const last = (part: TrainingRows): number => part.asOf.at(-1) ?? Number.NEGATIVE_INFINITY;
        const first = (part: TrainingRows): number => part.asOf[0] ?? Number.POSITIVE_INFINITY;
        if (validation.asOf.length > 0) expect(last(train)).toBeLessThan(first(validation));
        if (test.asOf.length > 0) expect(Math.max(last(train), last(validation))).toBeLessThan(first(test));
      }),
    );
  });

  it("keeps every row once, in order", () => {
    fc.assert(
      fc.property(timesAndLabels, (rows) => {
        const { train, validation, test } = splitByTime(rows);
        expect([...train.asOf, ...validation.asOf, ...test.asOf]).toEqual([...rows.asOf]);
        expect([train, validation, test].flatMap((part) => [...(part.columns[0] ?? [])])).toEqual([
          ...(rows.columns[0] ?? []),
        ]);
      }),
    );
  });

  it("gives each slice its share of the frauds, however they are bunched", () => {
    const labels = Array.from({ length: 1_000 }, (_, row) => (row >= 100 && row < 200 ? 1 : 0));
    const { train, validation, test } = splitByTime(
      rowsOf(
        labels.map((_, row) => row),
        labels,
      ),
    );
    const frauds = (part: TrainingRows): number => part.labels.reduce((sum, label) => sum + label, 0);
    expect([frauds(train), frauds(validation), frauds(test)]).toEqual([55, 20, 25]);
  });
});

describe("rowMajor", () => {
  it("puts the values of a row side by side", () => {
    expect([...rowMajor(rowsOf([1, 2, 3], [0, 0, 1]), 2)]).toEqual([0, -0, 1, -1]);
  });
});

describe("fitPolicy", () => {
  it("declines from the lowest score above which four fifths were fraud, and reviews three times the share of fraud", () => {
    const scores = Array.from({ length: 1_000 }, (_, row) => row / 1_000);
    const labels = scores.map((score) => (score >= 0.96 ? 1 : 0));
    const policy = fitPolicy(scores, labels);
    const declined = scores.filter((score) => score >= policy.declineAt).length;
    expect(declined).toBe(50);
    expect(scores.filter((score) => score >= policy.reviewAt).length).toBe(100);
  });

  it("takes the precision itself as the threshold where the slice cannot show it", () => {
    const policy = fitPolicy([0.1, 0.2, 0.9], [0, 1, 1]);
    expect(policy.declineAt).toBe(0.8);
    expect(policy.reviewAt).toBeLessThanOrEqual(policy.declineAt);
  });

  it("gives a valid policy for any scores and labels", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 1)), { maxLength: 60 }),
        (rows) => {
          const { reviewAt, declineAt } = fitPolicy(
            rows.map(([score]) => score),
            rows.map(([, label]) => label),
          );
          expect(reviewAt).toBeLessThanOrEqual(declineAt);
          expect(declineAt).toBeLessThanOrEqual(1);
          expect(reviewAt).toBeGreaterThanOrEqual(0);
        },
      ),
    );
  });
});

describe("goldenVectors", () => {
  it("holds the extremes and a spread, each with its score, and writes missing values as null", () => {
    const rows = rowsOf(
      Array.from({ length: 500 }, (_, row) => row),
      Array.from({ length: 500 }, () => 0),
    );
    rows.columns[1]?.fill(Number.NaN, 0, 10);
    const scores = Float64Array.from({ length: 500 }, (_, row) => row / 500);
    const { rows: golden } = goldenVectors(rows, scores);
    expect(golden.length).toBeGreaterThanOrEqual(32);
    expect(golden[0]).toEqual({ vector: [0, null], score: [0] });
    expect(golden.at(-1)).toEqual({ vector: [499, -499], score: [0.998] });
    for (const { vector, score } of golden) expect(score[0]).toBe((vector[0] ?? 0) / 500);
  });

  it("leaves out rows with infinite values, which JSON cannot hold", () => {
    const rows = rowsOf([1, 2, 3], [0, 0, 1]);
    rows.columns[0]?.fill(Number.POSITIVE_INFINITY, 1, 2);
    expect(goldenVectors(rows, [0.1, 0.2, 0.3]).rows.map((row) => row.score[0])).toEqual([0.1, 0.3]);
  });
});
