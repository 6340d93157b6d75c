import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { gbdtTrainer } from "../../../../../batch-training/train/gbdt/gbdt-trainer.ts";
import { lambdaRankGroup, normalisedGain } from "../../../../../batch-training/train/gbdt/lambda-rank.ts";
import type { GbdtParametersInput } from "../../../../../batch-training/train/gbdt/parameters.ts";
import { fitGbdt } from "../../../../../batch-training/train/gbdt/train-gbdt.ts";
import { scoreRows } from "../../../../../batch-training/train/gbdt/tree.ts";
import { fitIsotonic } from "../../../../../batch-training/train/isotonic.ts";
import type { LabelledRows } from "../../../../../batch-training/train/training-set.ts";
import { compileSession } from "../../../../../models/engine/compile-session.ts";
import { rocAuc } from "../../../../../models/stats/ranking-metrics.ts";
import type { Model } from "../../../../../models/onnx/model.ts";
import { writeModel } from "../../../../../models/onnx/write-model.ts";
import { minimalStandard } from "../../../../support/minimal-standard.ts";
import { generateRows, numericSet } from "../../../../support/tabular-data.ts";

const silent = (): void => {};

/** Five uniform columns and a noise draw per row, from the minimal standard generator: 6,000 rows, then 3,000. */
function referenceRows(labelOf: (x: readonly number[], noise: number) => number): {
  train: LabelledRows;
  test: LabelledRows;
} {
  const draw = minimalStandard(4242);
  const part = (rows: number): LabelledRows => {
    const columns = Array.from({ length: 5 }, () => new Float32Array(rows));
    const labels = new Float32Array(rows);
    for (let row = 0; row < rows; row++) {
      const x = columns.map((column) => (column[row] = Math.fround(draw())));
      labels[row] = labelOf(x, draw());
    }
    return { columns, labels, weights: null, groups: new Int32Array(rows / 20).fill(20) };
  };
  return { train: part(6000), test: part(3000) };
}

function classOf([a = 0, b = 0, c = 0, d = 0, e = 0]: readonly number[], noise: number): number {
  const powers = [3 * a + 2 * b * c, 2 * Math.sin(6 * d), 2 * e].map(Math.exp);
  const total = powers.reduce((sum, power) => sum + power, 0);
  let sum = 0;
  return Math.min(2, powers.filter((power) => noise > (sum += power / total)).length);
}

function gradeOf([a = 0, b = 0, c = 0, d = 0]: readonly number[], noise: number): number {
  const relevance = 0.5 * a + 0.3 * b * c + 0.2 * d + 0.3 * (noise - 0.5);
  return Math.min(4, Math.max(0, Math.floor(relevance * 5)));
}

async function graphScores(graph: Model, rows: LabelledRows): Promise<Float32Array> {
  const n = rows.labels.length;
  const width = rows.columns.length;
  const batch = Float32Array.from(
    { length: n * width },
    (_, i) => rows.columns[i % width]?.[Math.floor(i / width)] ?? 0,
  );
  const session = await ort.InferenceSession.create(writeModel(graph));
  const outputs = await session.run({ features: new ort.Tensor("float32", batch, [n, width]) });
  return outputs["score"]?.data as Float32Array;
}

const LIKE_LIGHTGBM: GbdtParametersInput = { trees: 60, leaves: 15, learningRate: 0.1, minRowsPerLeaf: 20, l2: 1 };

describe("softmax", () => {
  const { train, test } = referenceRows(classOf);
  const set = numericSet({ ...train, groups: null });

  it("reaches LightGBM 4.7.0's multi-class log-loss on the same rows (0.7957)", async () => {
    const { model } = await fitGbdt(set, { ...LIKE_LIGHTGBM, objective: "softmax" }, 1);
    const p = scoreRows(model, test.columns, 3000);
    let loss = 0;
    for (const [row, label] of [...test.labels].entries()) loss -= Math.log(p[row * 3 + label] ?? 0) / 3000;
    expect(Math.abs(loss - 0.7957316674197982)).toBeLessThan(0.005);
  });

  it("exports probabilities per class that add up to one and equal the trainer's on both engines", async () => {
    const { graph, rawModel } = await gbdtTrainer(set, { trees: 15, objective: "softmax" }, 1, silent);
    const expected = scoreRows(rawModel, test.columns, 3000);
    const scores = await graphScores(graph, test);
    for (const [i, score] of scores.entries()) expect(Math.abs(score - (expected[i] ?? 0))).toBeLessThan(1e-6);
    expect((scores[0] ?? 0) + (scores[1] ?? 0) + (scores[2] ?? 0)).toBeCloseTo(1, 5);
    const row = Float32Array.from(test.columns, (column) => column[0] ?? 0);
    for (const [k, p] of compileSession(graph).run(row, 1).entries()) expect(p).toBeCloseTo(expected[k] ?? 0, 5);
  });

  it("is the same for one and four threads, and refuses classes with gaps", async () => {
    const bytes = async (threads: number): Promise<Uint8Array> =>
      writeModel((await gbdtTrainer(set, { trees: 5, objective: "softmax", threads }, 1, silent)).graph);
    expect(Buffer.compare(await bytes(1), await bytes(4))).toBe(0);
    const gap = numericSet({ ...train, groups: null, labels: train.labels.map((label) => label * 2) });
    await expect(fitGbdt(gap, { objective: "softmax" }, 1)).rejects.toThrow(/label 4 in the training rows; softmax/);
  });
});

describe("LambdaRank", () => {
  const { train, test } = referenceRows(gradeOf);
  const set = numericSet(train, test);

  it("reaches LightGBM 4.7.0's NDCG@10 on the same groups (0.9248; the best column alone 0.8687)", async () => {
    const { model } = await fitGbdt(set, { ...LIKE_LIGHTGBM, objective: "lambdarank" }, 1);
    const scores = scoreRows(model, test.columns, 3000);
    const labels = Float32Array.from(test.labels);
    let ndcg = 0;
    for (let begin = 0; begin < 3000; begin += 20) {
      const group = { begin, scores: scores.slice(begin, begin + 20), labels: labels.slice(begin, begin + 20) };
      ndcg += normalisedGain(group, 10) / 150;
    }
    expect(ndcg).toBeGreaterThan(0.9248045695520863 - 0.004);
  });

  it("stops on the validation NDCG and exports the score to rank by", async () => {
    const parameters: GbdtParametersInput = { trees: 100, objective: "lambdarank", earlyStoppingRounds: 10 };
    const { graph, rawModel, metrics } = await gbdtTrainer(set, parameters, 1, silent);
    expect(metrics["rounds"]).toBeLessThan(100);
    const expected = scoreRows(rawModel, test.columns, 3000);
    const scores = await graphScores(graph, test);
    for (const [i, score] of scores.entries()) expect(Math.abs(score - (expected[i] ?? 0))).toBeLessThan(1e-5);
  });

  it("gradients of a group cancel out and follow the definition for a single pair", () => {
    const pairs = new Float32Array(6);
    const group = { begin: 0, scores: Float64Array.of(0.2, 1, -0.5), labels: Float32Array.of(2, 0, 0) };
    lambdaRankGroup(group, 30, 1, pairs);
    expect((pairs[0] ?? 0) + (pairs[2] ?? 0) + (pairs[4] ?? 0)).toBeCloseTo(0, 6);
    // Row 0 (grade 2, gain 3, ideal gain 3) ranks second: against row 1 the discounts of ranks 1 and 2 are swapped.
    const delta = 1 - 1 / Math.log2(3);
    const p = 1 / (1 + Math.exp(0.2 - 1));
    expect(pairs[2]).toBeCloseTo(p * delta, 6);
    expect(pairs[3]).toBeCloseTo(p * (1 - p) * delta, 6);
  });

  it("needs groups and whole grades", async () => {
    const without = numericSet({ ...train, groups: null });
    await expect(fitGbdt(without, { objective: "lambdarank" }, 1)).rejects.toThrow(/have no groups/);
    const half = numericSet({ ...train, labels: train.labels.map((label) => label / 2) });
    await expect(fitGbdt(half, { objective: "lambdarank" }, 1)).rejects.toThrow(/grades are whole numbers/);
  });
});

describe("isotonic calibration", () => {
  it("is the pooled-adjacent-violators solution on a known example", () => {
    // scikit-learn 1.9.1, IsotonicRegression().fit_transform([1..8], labels): 0, 1/3 x 3, 2/3 x 3, 1.
    const fit = fitIsotonic([1, 2, 3, 4, 5, 6, 7, 8], [0, 1, 0, 0, 1, 1, 0, 1], null);
    expect(fit.thresholds).toEqual([1.5, 4.5, 7.5]);
    // The pools of one class take (positives + 1) / (rows + 2); the running maximum keeps the order.
    expect(fit.values).toEqual([1 / 3, 1 / 3, 2 / 3, 2 / 3].map(Math.fround));
  });

  it("brings weighted probabilities back and is part of the exported graph", async () => {
    const set = numericSet(generateRows(10_000, 9, 1), generateRows(6000, 9, 2));
    const parameters: GbdtParametersInput = { trees: 40, classWeight: "balanced", calibration: "isotonic" };
    const { graph, rawModel, metrics } = await gbdtTrainer(set, parameters, 1, silent);
    expect(metrics["validationCalibrationError"]).toBeLessThan(0.02);
    const test = generateRows(2000, 9, 3);
    const expected = scoreRows(rawModel, test.columns, 2000);
    const scores = await graphScores(graph, test);
    // A sum rounded in float32 may fall on the other side of a step; it is a rare row.
    const wrong = [...scores].filter((score, i) => Math.abs(score - (expected[i] ?? 0)) > 1e-6);
    expect(wrong.length).toBeLessThan(5);
  });
});

describe("bags", () => {
  it("average the margins of models with seeds of their own, in one ensemble", async () => {
    const set = numericSet(generateRows(3000, 6, 1));
    const parameters: GbdtParametersInput = { trees: 5, rowFraction: 0.5 };
    const bagged = await fitGbdt(set, { ...parameters, bags: 3 }, 7);
    const single = await Promise.all([7, 8, 9].map(async (seed) => (await fitGbdt(set, parameters, seed)).model));
    const margin = (model: (typeof single)[0]): number => {
      const p = scoreRows(model, set.train.columns, 1)[0] ?? 0;
      return Math.log(p / (1 - p));
    };
    const mean = single.reduce((sum, model) => sum + margin(model) / 3, 0);
    expect(margin(bagged.model)).toBeCloseTo(mean, 6);
  });
});

describe("forests", () => {
  const parameters: GbdtParametersInput = {
    ensemble: "forest",
    objective: "squared",
    learningRate: 1,
    l2: 0,
    minRowsPerLeaf: 1,
    minHessianPerLeaf: 0,
    leaves: 400,
    trees: 30,
    rowFraction: 0.632,
    nodeFeatureFraction: 0.4,
  };
  const set = numericSet(generateRows(2000, 6, 1));
  const test = generateRows(2000, 6, 2);

  it("are the mean of trees of which none knows the others: a longer one begins with the same trees", async () => {
    const [short, long] = await Promise.all(
      [10, 30].map(async (trees) => (await fitGbdt(set, { ...parameters, trees }, 7)).model),
    );
    for (const [t, tree] of (short?.trees ?? []).entries()) {
      expect(tree.threshold).toEqual(long?.trees[t]?.threshold);
      expect(tree.leafValue[0]).toBeCloseTo(3 * (long?.trees[t]?.leafValue[0] ?? 0), 6);
    }
  });

  it("leaves hold the share of positives of the drawn rows, so scores are probabilities; any number of threads", async () => {
    const { model } = await fitGbdt(set, { ...parameters, threads: 1 }, 7);
    const scores = scoreRows(model, test.columns, 2000);
    expect(Math.min(...scores)).toBeGreaterThan(-1e-6);
    expect(Math.max(...scores)).toBeLessThan(1 + 1e-6);
    const [base = 0] = model.bases;
    for (const tree of model.trees)
      for (const value of tree.leafValue) {
        expect(30 * value + base).toBeGreaterThan(-1e-5);
        expect(30 * value + base).toBeLessThan(1 + 1e-5);
      }
    expect((await fitGbdt(set, { ...parameters, threads: 3 }, 7)).model).toEqual(model);
  });

  it("rank unseen rows as scikit-learn 1.9.1's RandomForestClassifier does (0.727 with 100 trees, max_features 0.4)", async () => {
    const { model } = await fitGbdt(set, { ...parameters, leaves: 2048, trees: 100 }, 7);
    expect(rocAuc(test.labels, scoreRows(model, test.columns, 2000))).toBeGreaterThan(0.72);
  });

  it("neither stop early nor rank", async () => {
    await expect(fitGbdt(numericSet(set.train, test), { ...parameters, earlyStoppingRounds: 5 }, 7)).rejects.toThrow(
      "a forest neither stops early nor ranks",
    );
  });
});
