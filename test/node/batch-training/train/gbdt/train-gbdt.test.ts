import fc from "fast-check";
import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { gbdtTrainer } from "../../../../../batch-training/train/gbdt/gbdt-trainer.ts";
import type { GbdtParametersInput } from "../../../../../batch-training/train/gbdt/parameters.ts";
import { fitGbdt } from "../../../../../batch-training/train/gbdt/train-gbdt.ts";
import { leafOf, rawScores, scoreRows } from "../../../../../batch-training/train/gbdt/tree.ts";
import type { LabelledRows, TrainingSet } from "../../../../../batch-training/train/training-set.ts";
import { compileSession } from "../../../../../models/engine/compile-session.ts";
import { writeModel } from "../../../../../models/onnx/write-model.ts";
import { rocAuc } from "../../../../../models/stats/ranking-metrics.ts";
import { naiveBoost } from "../../../../support/naive-boosting.ts";
import { SeededRandom } from "../../../../support/seeded-random.ts";
import { generateRows, numericSet } from "../../../../support/tabular-data.ts";

const silent = (): void => {};

function smallRows(rows: number, features: number, seed: number): LabelledRows {
  const random = new SeededRandom(seed);
  const value = (): number => (random.next() < 0.1 ? Number.NaN : Math.fround(random.normal()));
  const columns = Array.from({ length: features }, () => Float32Array.from({ length: rows }, value));
  const labels = Float32Array.from({ length: rows }, (_, i) => {
    const x = columns[0]?.[i] ?? 0;
    return random.next() < (Number.isNaN(x) ? 0.8 : x > 0.3 ? 0.6 : 0.2) ? 1 : 0;
  });
  labels[0] = 0;
  labels[1] = 1;
  return { columns, labels, weights: Float32Array.from({ length: rows }, () => 0.5 + random.next()), groups: null };
}

describe("boosted trees", () => {
  it("equal a naive float64 implementation without bins, for every limit and both objectives", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.nat(1e6),
          objective: fc.constantFrom("logistic" as const, "squared" as const),
          leaves: fc.integer({ min: 2, max: 8 }),
          maxDepth: fc.constantFrom(0, 2, 3),
          minRowsPerLeaf: fc.integer({ min: 1, max: 10 }),
          minHessianPerLeaf: fc.constantFrom(0.001, 2),
          l1: fc.constantFrom(0, 0.5),
          l2: fc.constantFrom(0.1, 1),
        }),
        async ({ seed, ...limits }) => {
          const rows = smallRows(90, 3, seed);
          const parameters = { ...limits, trees: 3, learningRate: 0.3, threads: 1 };
          const { model } = await fitGbdt(numericSet(rows), parameters, 1);
          const naive = naiveBoost(rows.columns, [...rows.labels], [...(rows.weights ?? [])], {
            ...limits,
            trees: 3,
            learningRate: 0.3,
            minRows: limits.minRowsPerLeaf,
            minHessian: limits.minHessianPerLeaf,
          });
          const own = rawScores(model, rows.columns, 90);
          for (const [i, raw] of naive.entries()) expect(Math.abs(raw - (own[i] ?? 0))).toBeLessThan(1e-5);
        },
      ),
      { numRuns: 25 },
    );
  });

  it("are the same bytes for one, two and five threads, with sampling, weights, few or many features", async () => {
    for (const features of [3, 21]) {
      const set = numericSet(generateRows(70_000, features, 3), generateRows(5000, features, 4));
      const bytes = async (threads: number): Promise<Uint8Array> => {
        const parameters: GbdtParametersInput = {
          threads,
          trees: 6,
          rowFraction: 0.7,
          featureFraction: 0.6,
          classWeight: "balanced",
          calibration: "platt",
        };
        return writeModel((await gbdtTrainer(set, parameters, 11, silent)).graph);
      };
      const one = await bytes(1);
      expect(Buffer.compare(await bytes(2), one)).toBe(0);
      expect(Buffer.compare(await bytes(5), one)).toBe(0);
    }
  });

  it("export to a graph that ONNX Runtime answers alike, row by row, missing and infinite values included", async () => {
    const train = generateRows(4000, 7, 5);
    const trained = await gbdtTrainer(
      numericSet(train, generateRows(1000, 7, 6)),
      { trees: 40, classWeight: 3, calibration: "platt", threads: 2 },
      1,
      silent,
    );
    const test = generateRows(500, 7, 8);
    for (const [f, column] of test.columns.entries()) {
      column[f] = Number.POSITIVE_INFINITY;
      column[f + 10] = Number.NEGATIVE_INFINITY;
      column[f + 20] = Number.NaN;
    }
    const batch = new Float32Array(500 * 7);
    for (let row = 0; row < 500; row++) {
      for (const [f, column] of test.columns.entries()) batch[row * 7 + f] = column[row] ?? Number.NaN;
    }
    const session = await ort.InferenceSession.create(writeModel(trained.graph));
    expect(session.outputNames[0]).toBe("score");
    const outputs = await session.run({ features: new ort.Tensor("float32", batch, [500, 7]) });
    expect(outputs["score"]?.dims).toEqual([500, 1]);
    const expected = scoreRows(trained.rawModel, test.columns, 500);
    const scores = outputs["score"]?.data as Float32Array;
    for (const [i, score] of scores.entries()) expect(Math.abs(score - (expected[i] ?? 0))).toBeLessThan(1e-6);
  });

  it("rank unseen rows far better than chance and report what the validation rows say", async () => {
    const set = numericSet(generateRows(20_000, 12, 1), generateRows(5000, 12, 2));
    const { rawModel, metrics } = await gbdtTrainer(set, { trees: 60 }, 1, silent);
    const test = generateRows(5000, 12, 9);
    expect(rocAuc(test.labels, scoreRows(rawModel, test.columns, 5000))).toBeGreaterThan(0.75);
    expect(metrics["validationRocAuc"]).toBeGreaterThan(0.75);
    expect(metrics["validationCalibrationError"]).toBeLessThan(0.03);
  });
});

describe("sampling, stopping and calibration", () => {
  it("early stopping keeps the trees up to the best validation loss and no more", async () => {
    const set = numericSet(generateRows(2000, 6, 1), generateRows(2000, 6, 2));
    const { model, validationLosses } = await fitGbdt(
      set,
      { trees: 400, learningRate: 0.3, earlyStoppingRounds: 10 },
      1,
    );
    const best = validationLosses.indexOf(Math.min(...validationLosses));
    expect(model.trees.length).toBe(best + 1);
    expect(validationLosses.length).toBe(best + 11);
  });

  it("the reported validation loss is that of the model's scores", async () => {
    const validation = generateRows(3000, 6, 2);
    const set = numericSet(generateRows(3000, 6, 1), validation);
    const { model, validationLosses } = await fitGbdt(set, { trees: 20, rowFraction: 0.5 }, 1);
    const scores = scoreRows(model, validation.columns, 3000);
    let loss = 0;
    for (const [i, p] of scores.entries()) loss -= Math.log(validation.labels[i] === 1 ? p : 1 - p) / 3000;
    expect(validationLosses.at(-1)).toBeCloseTo(loss, 9);
  });

  it("row sampling draws about its share, other rows than the tree before, and still scores every row", async () => {
    const rows = generateRows(10_000, 6, 1);
    const { model } = await fitGbdt(numericSet(rows), { trees: 2, rowFraction: 0.3 }, 1);
    for (const tree of model.trees) expect(Math.abs((tree.cover[0] ?? 0) / 10_000 - 0.3)).toBeLessThan(0.02);
    expect(model.trees[0]?.leafCover).not.toEqual(model.trees[1]?.leafCover);
  });

  it("feature sampling leaves features out of a tree", async () => {
    const { model } = await fitGbdt(numericSet(generateRows(3000, 12, 1)), { trees: 30, featureFraction: 0.25 }, 1);
    for (const tree of model.trees) expect(new Set(tree.feature).size).toBeLessThanOrEqual(3);
    expect(new Set(model.trees.flatMap((tree) => [...tree.feature])).size).toBeGreaterThan(6);
  });

  it("class weights shift probabilities and Platt scaling brings them back", async () => {
    const set = numericSet(generateRows(20_000, 9, 1), generateRows(8000, 9, 2));
    const weighted = { trees: 50, classWeight: "balanced" as const };
    const plain = await gbdtTrainer(set, weighted, 1, silent);
    const calibrated = await gbdtTrainer(set, { ...weighted, calibration: "platt" }, 1, silent);
    expect(plain.metrics["validationCalibrationError"]).toBeGreaterThan(0.1);
    expect(calibrated.metrics["validationCalibrationError"]).toBeLessThan(0.03);
    expect(calibrated.metrics["validationRocAuc"]).toBeCloseTo(plain.metrics["validationRocAuc"] ?? 0, 9);
  });

  it("a small histogram budget drops and rebuilds histograms without changing the model", async () => {
    const set = numericSet(generateRows(20_000, 300, 1));
    const { model } = await fitGbdt(set, { trees: 3, leaves: 40 }, 1);
    const tight = await fitGbdt(set, { trees: 3, leaves: 40, histogramMegabytes: 4 }, 1);
    expect(tight.model.trees).toEqual(model.trees);
  });
});

describe("categorical columns", () => {
  /** One noisy column of 60 categories whose effect has no order, a numeric one, and a small category. */
  function categoricalRows(rows: number, seed: number): LabelledRows {
    const random = new SeededRandom(seed);
    const category = Float32Array.from({ length: rows }, () => (random.next() < 0.05 ? Number.NaN : random.below(60)));
    const small = Float32Array.from({ length: rows }, () => 5 + random.below(3));
    const numeric = Float32Array.from({ length: rows }, () => random.normal());
    const effect = (c: number): number => (Number.isNaN(c) ? 1 : Math.sin(c * 77.7) * 2);
    const labels = Float32Array.from({ length: rows }, (_, i) => {
      const margin = effect(category[i] ?? 0) + 0.5 * (numeric[i] ?? 0) + (small[i] === 6 ? 1 : 0) - 1;
      return random.next() < 1 / (1 + Math.exp(-margin)) ? 1 : 0;
    });
    return { columns: [category, numeric, small], labels, weights: null, groups: null };
  }
  const kinds = (set: TrainingSet, kind: "categorical" | "numeric"): TrainingSet => ({
    ...set,
    features: set.features.map((feature, f) => ({ ...feature, kind: f === 1 ? "numeric" : kind })),
  });
  const train = categoricalRows(8000, 1);
  const test = categoricalRows(4000, 2);

  it("find an order-free effect in fewer trees than numeric splits do", async () => {
    const auc = async (kind: "categorical" | "numeric"): Promise<number> => {
      const { model } = await fitGbdt(kinds(numericSet(train), kind), { trees: 8, leaves: 8 }, 1);
      return rocAuc(test.labels, scoreRows(model, test.columns, 4000));
    };
    expect(await auc("categorical")).toBeGreaterThan((await auc("numeric")) + 0.03);
  });

  it("export to set splits that ONNX Runtime answers alike: missing, unseen and rare categories included", async () => {
    const trained = await gbdtTrainer(kinds(numericSet(train), "categorical"), { trees: 30 }, 1, silent);
    const columns = test.columns.map((column) => column.slice());
    // Whole numbers or missing, as the contract has it: ONNX Runtime truncates fractions in small sets.
    for (const column of columns) column.set([999, Number.NaN, -3, Number.POSITIVE_INFINITY, 1e9]);
    const batch = Float32Array.from({ length: 4000 * 3 }, (_, i) => columns[i % 3]?.[Math.floor(i / 3)] ?? 0);
    const session = await ort.InferenceSession.create(writeModel(trained.graph));
    const outputs = await session.run({ features: new ort.Tensor("float32", batch, [4000, 3]) });
    const expected = scoreRows(trained.rawModel, columns, 4000);
    const scores = outputs["score"]?.data as Float32Array;
    for (const [i, p] of scores.entries()) {
      expect(Math.abs(p - (expected[i] ?? 0))).toBeLessThan(1e-6);
    }
  });

  it("run on the compact engine", async () => {
    const { graph, rawModel } = await gbdtTrainer(kinds(numericSet(train), "categorical"), { trees: 30 }, 1, silent);
    const session = compileSession(graph);
    for (const category of [3, 59, 999, Number.NaN]) {
      const row = Float32Array.of(category, 0.3, 6);
      const columns = [...row].map((value) => Float32Array.of(value));
      expect(session.run(row, 1)[0]).toBeCloseTo(scoreRows(rawModel, columns, 1)[0] ?? 0, 6);
    }
  });

  it("send what training never saw the way of missing values", async () => {
    const { model } = await fitGbdt(kinds(numericSet(train), "categorical"), { trees: 10 }, 1);
    const row = (category: number): Float32Array[] => [
      Float32Array.of(category),
      Float32Array.of(0),
      Float32Array.of(5),
    ];
    expect(scoreRows(model, row(12_345), 1)).toEqual(scoreRows(model, row(Number.NaN), 1));
  });

  it("give the same bytes for one and three threads", async () => {
    const set = kinds(numericSet(train), "categorical");
    const bytes = async (threads: number): Promise<Uint8Array> =>
      writeModel((await gbdtTrainer(set, { trees: 10, threads }, 1, silent)).graph);
    expect(Buffer.compare(await bytes(1), await bytes(3))).toBe(0);
  });

  it("a column of identifiers cannot be split on: every category is too rare", async () => {
    const ids = Float32Array.from({ length: 8000 }, (_, i) => i);
    const set = kinds(numericSet({ ...train, columns: [ids, ...train.columns.slice(1)] }), "categorical");
    const { model } = await fitGbdt(set, { trees: 5 }, 1);
    expect(model.trees.some((tree) => tree.feature.includes(0))).toBe(false);
  });

  it("fractions and negative codes are refused", async () => {
    for (const value of [0.5, -1]) {
      const set = kinds(
        numericSet({ ...train, columns: [new Float32Array(8000).fill(value), ...train.columns.slice(1)] }),
        "categorical",
      );
      await expect(fitGbdt(set, {}, 1)).rejects.toThrow(/categorical column "f0" holds/);
    }
  });
});

describe("monotone constraints", () => {
  it("hold on every pair of rows that differ in the constrained feature only", async () => {
    const rows = generateRows(6000, 6, 1);
    const { model } = await fitGbdt(numericSet(rows), { trees: 40, monotone: { f0: 1, f1: -1 } }, 1);
    const free = await fitGbdt(numericSet(rows), { trees: 40 }, 1);
    const violations = (fitted: typeof model, feature: number, direction: number): number => {
      let wrong = 0;
      for (let row = 0; row < 200; row++) {
        const grid = Float32Array.from({ length: 50 }, (_, i) => (feature === 0 ? -3 : 0) + i * 0.12);
        const columns = rows.columns.map((column, f) =>
          f === feature ? grid : new Float32Array(50).fill(column[row] ?? 0),
        );
        const scores = rawScores(fitted, columns, 50);
        for (let i = 1; i < 50; i++) if (direction * ((scores[i] ?? 0) - (scores[i - 1] ?? 0)) < -1e-9) wrong++;
      }
      return wrong;
    };
    expect(violations(free.model, 0, 1)).toBeGreaterThan(0);
    expect(violations(model, 0, 1)).toBe(0);
    expect(violations(model, 1, -1)).toBe(0);
  });

  it("on an unknown or categorical feature are refused by name", async () => {
    await expect(fitGbdt(numericSet(generateRows(100, 2, 1)), { monotone: { nope: 1 } }, 1)).rejects.toThrow(
      /"nope" is not a feature/,
    );
  });
});

describe("covers", () => {
  it("count the rows that reach each leaf and node", async () => {
    const rows = generateRows(3000, 5, 1);
    const { model } = await fitGbdt(numericSet(rows), { trees: 3 }, 1);
    for (const tree of model.trees) {
      const counts = new Float64Array(tree.leafCover.length);
      for (let row = 0; row < 3000; row++) {
        const leaf = leafOf(tree, rows.columns, row);
        counts[leaf] = (counts[leaf] ?? 0) + 1;
      }
      expect(tree.leafCover).toEqual(counts);
      expect(tree.cover[0]).toBe(3000);
    }
  });
});

describe("input that cannot be trained on", () => {
  const rows = generateRows(500, 3, 1);
  const withColumn = (column: Float32Array): TrainingSet => numericSet({ ...rows, columns: [column, ...rows.columns] });

  it("constant, all-missing and all-infinite columns are never split on", async () => {
    for (const value of [1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const { model } = await fitGbdt(withColumn(new Float32Array(500).fill(value)), { trees: 10 }, 1);
      expect(model.trees.some((tree) => tree.feature.includes(0))).toBe(false);
    }
  });

  it("only constant columns give the base rate and a graph of one leaf", async () => {
    const set = numericSet({ ...rows, columns: [new Float32Array(500).fill(2)] });
    const { rawModel, graph } = await gbdtTrainer(set, { trees: 10 }, 1, silent);
    const rate = [...rows.labels].reduce((sum, label) => sum + label, 0) / 500;
    expect(scoreRows(rawModel, [Float32Array.of(5)], 1)[0]).toBeCloseTo(rate, 6);
    const session = await ort.InferenceSession.create(writeModel(graph));
    const { score } = await session.run({ features: new ort.Tensor("float32", Float32Array.of(5), [1, 1]) });
    expect(score?.data[0]).toBeCloseTo(rate, 6);
  });

  it("missing against present is a split of its own", async () => {
    const column = Float32Array.from(rows.labels, (label) => (label === 1 ? Number.NaN : 7));
    const { model } = await fitGbdt(withColumn(column), { trees: 1, leaves: 2 }, 1);
    expect(model.trees[0]?.feature[0]).toBe(0);
    expect(model.trees[0]?.threshold[0]).toBe(Number.POSITIVE_INFINITY);
  });

  it("one class, foreign labels, bad weights and mismatched columns are refused by name", async () => {
    const refused = (set: TrainingSet, message: RegExp): Promise<void> =>
      expect(fitGbdt(set, { trees: 1 }, 1)).rejects.toThrow(message);
    await refused(numericSet({ ...rows, labels: new Float32Array(500) }), /every training label is 0/);
    await refused(numericSet({ ...rows, labels: rows.labels.map((l) => l * 2) }), /label 2 in the training rows/);
    await refused(numericSet({ ...rows, labels: rows.labels.map(() => Number.NaN) }), /label of row 0 .* is NaN/);
    await refused(numericSet({ ...rows, weights: new Float32Array(500).fill(-1) }), /weight of row 0/);
    await refused(numericSet({ ...rows, weights: new Float32Array(500) }), /every weight .* is zero/);
    await refused(withColumn(new Float32Array(499)), /column "f0" has 499 values for 500 training rows/);
    await refused({ ...numericSet(rows), features: [] }, /no feature columns/);
    await refused(
      numericSet({ columns: [new Float32Array(0)], labels: new Float32Array(0), weights: null, groups: null }),
      /no training rows/,
    );
  });

  it("wrong parameters are refused by name", async () => {
    const wrong = (parameters: GbdtParametersInput, message: RegExp): Promise<void> =>
      expect(fitGbdt(numericSet(rows), parameters, 1)).rejects.toThrow(message);
    await wrong({ leaves: 1 }, /leaves/);
    await wrong({ learningRate: 0 }, /learningRate/);
    await wrong({ earlyStoppingRounds: 5 }, /early stopping needs validation rows/);
    await expect(gbdtTrainer(numericSet(rows), { calibration: "platt" }, 1, silent)).rejects.toThrow(/validation rows/);
    await expect(fitGbdt(numericSet(rows), {}, -1)).rejects.toThrow(/seed -1/);
  });

  it("a cancelled run ends with `cancelled` and leaves no thread behind", async () => {
    const abort = new AbortController();
    const run = fitGbdt(numericSet(generateRows(20_000, 10, 1)), { trees: 10_000 }, 1, {
      signal: abort.signal,
      progress: () => abort.abort(),
    });
    await expect(run).rejects.toMatchObject({ code: "cancelled" });
  });
});
