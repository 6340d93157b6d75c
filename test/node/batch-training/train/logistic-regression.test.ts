import { describe, expect, it } from "vitest";
import {
  fitLogisticRegression,
  predictLogisticRegression,
} from "../../../../batch-training/train/logistic-regression.ts";
import type { TrainingSet } from "../../../../batch-training/train/training-set.ts";

function set(columns: Float64Array[], labels: number[], categorical = -1): TrainingSet {
  return {
    features: columns.map((_, i) => ({ name: `x${i}`, kind: i === categorical ? "categorical" : "numeric" })),
    train: { columns, labels: Float64Array.from(labels), weights: null, groups: null },
    validation: null,
  };
}

describe("logistic regression", () => {
  it("finds scikit-learn 1.9.1's coefficients (C = 1, standardised inputs)", () => {
    const rows = Array.from({ length: 600 }, (_, i) => [((i * 37) % 101) / 10, ((i * 53) % 97) ** 1.5, i % 7]);
    const columns = [0, 1, 2].map((f) => Float64Array.from(rows, (row) => row[f] ?? 0));
    const standard = columns.map((column) => {
      const mean = column.reduce((a, b) => a + b, 0) / 600;
      const scale = Math.sqrt(column.reduce((a, b) => a + (b - mean) ** 2, 0) / 600);
      return column.map((value) => (value - mean) / scale);
    });
    const labels = rows.map((_, i) =>
      Math.sin(i * 1.7) + (standard[0]?.[i] ?? 0) * 0.8 - 0.5 * (standard[1]?.[i] ?? 0) > 0.3 ? 1 : 0,
    );
    const { coefficients } = fitLogisticRegression(set(columns, labels), { l2: 1 });
    const expected = [-0.6532681850048693, 1.8860480359676033, -1.325185320358283, 0.015067642314458686];
    for (const [i, value] of expected.entries()) expect(coefficients[i]).toBeCloseTo(value, 6);
  });

  it("gives finite probabilities for missing, infinite, constant and unseen values", () => {
    const labels = [0, 1, 0, 1, 1, 0];
    const columns = [
      Float64Array.of(1, Number.NaN, Number.POSITIVE_INFINITY, 3, Number.NEGATIVE_INFINITY, 2),
      new Float64Array(6).fill(4),
      new Float64Array(6).fill(Number.NaN),
      Float64Array.of(0, 1, 0, 2, 1, Number.NaN),
    ];
    const model = fitLogisticRegression(set(columns, labels, 3), { l2: 0.1 });
    const unseen = [Float64Array.of(1e30), Float64Array.of(5), Float64Array.of(1), Float64Array.of(99)];
    for (const p of [...predictLogisticRegression(model, columns, 6), ...predictLogisticRegression(model, unseen, 1)]) {
      expect(p).toBeGreaterThan(0);
      expect(p).toBeLessThan(1);
    }
  });
});
