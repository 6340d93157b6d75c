import { describe, expect, it } from "vitest";
import { gbdtTrainer } from "../../../../batch-training/train/gbdt/gbdt-trainer.ts";
import { smote, underSample } from "../../../../batch-training/train/resample.ts";
import type { TrainingSet } from "../../../../batch-training/train/training-set.ts";
import { generateRows, numericSet } from "../../../support/tabular-data.ts";

const set = numericSet(generateRows(5000, 6, 1), generateRows(3000, 6, 2));
const count = ({ train }: TrainingSet, label: number): number => [...train.labels].filter((l) => l === label).length;

describe("under-sampling", () => {
  it("keeps every positive and as many negatives as asked for, the same ones for the same seed", () => {
    const sampled = underSample(set, { ratio: 0.5, seed: 1 });
    expect(count(sampled, 1)).toBe(count(set, 1));
    expect(count(sampled, 0)).toBe(2 * count(set, 1));
    expect(underSample(set, { ratio: 0.5, seed: 1 })).toEqual(sampled);
    expect(underSample(set, { ratio: 0.5, seed: 2 }).train.columns[0]).not.toEqual(sampled.train.columns[0]);
    expect(sampled.validation).toBe(set.validation);
  });

  it("never adds rows, and refuses ratios outside (0, 1]", () => {
    expect(count(underSample(set, { ratio: 0.0001, seed: 1 }), 0)).toBe(count(set, 0));
    for (const ratio of [0, 2, Number.NaN]) expect(() => underSample(set, { ratio, seed: 1 })).toThrow(/ratio/);
  });
});

describe("SMOTE", () => {
  it("adds positives that lie between positives, column by column, and leaves the real rows alone", () => {
    const grown = smote(set, { ratio: 1, seed: 1 });
    expect(count(grown, 1)).toBe(count(grown, 0));
    expect(count(grown, 0)).toBe(count(set, 0));
    for (const [f, column] of grown.train.columns.entries()) {
      expect(column.slice(0, 5000)).toEqual(set.train.columns[f]);
      const real = [...(set.train.columns[f] ?? [])].filter(
        (v, row) => set.train.labels[row] === 1 && !Number.isNaN(v),
      );
      for (const value of column.slice(5000)) {
        if (Number.isNaN(value)) continue;
        expect(value).toBeGreaterThanOrEqual(Math.min(...real));
        expect(value).toBeLessThanOrEqual(Math.max(...real));
      }
    }
  });

  it("a synthetic row lies on the line between two of three positives", () => {
    const columns = [Float32Array.of(0, 1, 10, 5, 5, 5, 5, 5), Float32Array.of(0, 2, 0, 9, 9, 9, 9, 9)];
    const labels = Float32Array.of(1, 1, 1, 0, 0, 0, 0, 0);
    const tiny = numericSet({ columns, labels, weights: null, groups: null });
    const { train } = smote(tiny, { ratio: 1, seed: 3 });
    for (let row = 8; row < train.labels.length; row++) {
      const [x = 0, y = 0] = train.columns.map((column) => column[row]);
      const lines = [y - 2 * x, y, y - (20 - 2 * x) / 9];
      expect(Math.min(...lines.map(Math.abs))).toBeLessThan(1e-5);
    }
  });

  it("categories are copied, never mixed", () => {
    const codes = Float32Array.from({ length: 5000 }, (_, i) => i % 7);
    const mixed: TrainingSet = {
      ...numericSet({ ...set.train, columns: [codes, ...set.train.columns] }),
      features: [
        { name: "code", kind: "categorical" },
        ...set.features.map(({ name }) => ({ name: `n${name}`, kind: "numeric" as const })),
      ],
    };
    const grown = smote(mixed, { ratio: 0.8, seed: 1 });
    expect([...(grown.train.columns[0] ?? [])].every((value) => Number.isInteger(value))).toBe(true);
  });

  it("one positive is too few to draw between", () => {
    const lone = numericSet({ ...set.train, labels: set.train.labels.map((_, row) => (row === 0 ? 1 : 0)) });
    expect(() => smote(lone, { ratio: 1, seed: 1 })).toThrow(/there are 1/);
  });
});

describe("resampling as a parameter of the trainer", () => {
  it.each(["under-sample", "smote"] as const)(
    "%s shifts probabilities, and calibration brings them back",
    async (resample) => {
      const silent = (): void => {};
      const plain = await gbdtTrainer(set, { trees: 20, resample }, 1, silent);
      const fixed = await gbdtTrainer(set, { trees: 20, resample, calibration: "platt" }, 1, silent);
      expect(plain.metrics["validationCalibrationError"]).toBeGreaterThan(0.1);
      expect(fixed.metrics["validationCalibrationError"]).toBeLessThan(0.03);
      expect(fixed.metrics["validationRocAuc"]).toBeGreaterThan(0.7);
    },
  );
});
