import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileSession } from "../../../models/engine/compile-session.ts";
import type { Contributions } from "../../../models/engine/session.ts";
import { model, node, valueInfo } from "../../../models/onnx/build-graph.ts";
import type { Model } from "../../../models/onnx/model.ts";
import { type RegressionTree, treeEnsembleRegressor } from "../../../models/onnx/tree-ensemble.ts";
import { engineKernels } from "../../support/engine-kernels.ts";
import { generatedRows, generatedTrees } from "../../support/generated-trees.ts";

function boosted(
  trees: readonly RegressionTree[],
  features: number,
  more: { targetOf?: number[]; base?: number[] } = {},
): Model {
  const baseValues = more.base ?? [0.25];
  const built = treeEnsembleRegressor({
    input: "x",
    output: "raw",
    trees,
    baseValues,
    ...(more.targetOf === undefined ? {} : { targetOf: more.targetOf }),
  });
  return model({
    nodes: [built.node, node("Sigmoid", { inputs: ["raw"], outputs: ["p"] })],
    inputs: [valueInfo("x", "float32", [null, features])],
    outputs: [valueInfo("p", "float32", [null, baseValues.length])],
    metadata: built.metadata,
  });
}

/** Value of a coalition: known features are followed, unknown ones averaged over by cover. Straight from the definition. */
function coalitionValue(tree: RegressionTree, row: Float32Array, known: number, at = 0): number {
  const feature = tree.feature[at] ?? -1;
  if (feature < 0) return tree.value[at] ?? 0;
  const [yes, no] = [tree.whenTrue[at] ?? 0, tree.whenFalse[at] ?? 0];
  const value = row[feature] ?? 0;
  if ((known >> feature) & 1) {
    const goesTrue = Number.isNaN(value) ? tree.missingTrue[at] === 1 : value <= (tree.threshold[at] ?? 0);
    return coalitionValue(tree, row, known, goesTrue ? yes : no);
  }
  const whole = tree.cover?.[at] ?? 0;
  return (
    ((tree.cover?.[yes] ?? 0) / whole) * coalitionValue(tree, row, known, yes) +
    ((tree.cover?.[no] ?? 0) / whole) * coalitionValue(tree, row, known, no)
  );
}

/** Shapley values over every coalition. */
function naiveShapley(trees: readonly RegressionTree[], row: Float32Array, features: number): Float64Array {
  const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
  const values = new Float64Array(features);
  const worth = Array.from({ length: 1 << features }, (_, known) =>
    trees.reduce((sum, tree) => sum + coalitionValue(tree, row, known), 0),
  );
  for (let known = 0; known < 1 << features; known++) {
    const size = known.toString(2).replaceAll("0", "").length;
    const weight = (factorial(size) * factorial(features - size - 1)) / factorial(features);
    for (let feature = 0; feature < features; feature++)
      if (!((known >> feature) & 1))
        values[feature] =
          (values[feature] ?? 0) + weight * ((worth[known | (1 << feature)] ?? 0) - (worth[known] ?? 0));
  }
  return values;
}

function sumOf(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

function explained(made: Model, row: Float32Array): Contributions[] {
  return [compileSession(made), compileSession(made, { kernels: engineKernels })].map(({ explain }) => {
    if (explain === null) throw new Error("the model cannot be explained");
    return explain(row);
  });
}

describe("explain", () => {
  it("gives the Shapley values of the definition, with repeated features and missing values", () => {
    const cases = fc.record({
      seed: fc.integer(),
      features: fc.integer({ min: 1, max: 7 }),
      depth: fc.integer({ min: 0, max: 9 }),
      trees: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(cases, ({ seed, features, depth, trees: count }) => {
        const trees = generatedTrees({ trees: count, depth, features, seed, earlyLeaves: 0.3 });
        const row = generatedRows(1, features, seed + 1, 0.2);
        const expected = naiveShapley(trees, row, features);
        for (const { values, base, raw } of explained(boosted(trees, features), row)) {
          expected.forEach((value, feature) => expect(Math.abs((values[feature] ?? 0) - value)).toBeLessThan(1e-12));
          expect(base[0]).toBeCloseTo(0.25 + sumOf(trees.map((tree) => coalitionValue(tree, row, 0))), 12);
          expect(raw[0]).toBeCloseTo(
            0.25 + sumOf(trees.map((tree) => coalitionValue(tree, row, (1 << features) - 1))),
            12,
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it("adds up to the raw score for deep and wide models", () => {
    for (const [depth, features] of [
      [14, 40],
      [8, 30],
      [6, 2],
    ] as const) {
      const trees = generatedTrees({ trees: 20, depth, features, seed: depth, earlyLeaves: 0.15 });
      const made = boosted(trees, features);
      const batch = generatedRows(5, features, 9);
      for (let index = 0; index < 5; index++) {
        const row = batch.subarray(index * features, (index + 1) * features);
        for (const { values, base, raw } of explained(made, row)) {
          expect(Math.abs((base[0] ?? 0) + sumOf(values) - (raw[0] ?? 0))).toBeLessThan(1e-11);
          const score = compileSession(made, { output: "p" }).run(row, 1)[0] ?? 0;
          expect(1 / (1 + Math.exp(-(raw[0] ?? 0)))).toBeCloseTo(score, 5);
        }
      }
    }
  });

  it("explains each output of a model with several, and covers that are no integers", () => {
    const trees = generatedTrees({ trees: 6, depth: 4, features: 5, seed: 3 }).map((tree) => ({
      ...tree,
      cover: Array.from(tree.cover ?? [], (cover) => cover / 3),
    }));
    const row = generatedRows(1, 5, 4, 0);
    for (const { values, outputs } of explained(
      boosted(trees, 5, { targetOf: [0, 1, 2, 0, 1, 2], base: [0, 1, 2] }),
      row,
    )) {
      expect(outputs).toBe(3);
      for (let output = 0; output < 3; output++) {
        const own = trees.filter((_, tree) => tree % 3 === output);
        naiveShapley(own, row, 5).forEach((value, feature) =>
          expect(values[output * 5 + feature]).toBeCloseTo(value, 12),
        );
      }
    }
  });

  it("keeps its answer finite where no training row reached a branch", () => {
    const tree: RegressionTree = {
      feature: [0, 0, -1, -1, -1],
      threshold: [0, -1, 0, 0, 0],
      whenTrue: [1, 3, 0, 0, 0],
      whenFalse: [2, 4, 0, 0, 0],
      missingTrue: [0, 0, 0, 0, 0],
      value: [0, 0, 1, 2, 3],
      cover: [10, 0, 10, 0, 0],
    };
    for (const value of [-2, -0.5, 1])
      for (const { values, base, raw } of explained(boosted([tree], 1), Float32Array.of(value))) {
        expect((base[0] ?? 0) + sumOf(values)).toBeCloseTo(raw[0] ?? Number.NaN, 12);
        expect(base[0]).toBeCloseTo(1.25, 12);
      }
  });

  it("is null without covers and where features are mixed before the trees", () => {
    const trees = generatedTrees({ trees: 3, depth: 3, features: 4, seed: 1 });
    expect(compileSession({ ...boosted(trees, 4), metadata: new Map() }).explain).toBeNull();
    const mixed = boosted(trees, 4);
    const [ensemble, sigmoid] = mixed.graph.nodes;
    if (ensemble === undefined || sigmoid === undefined) throw new Error("no nodes");
    const nodes = [node("Softmax", { inputs: ["x"], outputs: ["s"] }), { ...ensemble, inputs: ["s"] }, sigmoid];
    expect(compileSession({ ...mixed, graph: { ...mixed.graph, nodes } }).explain).toBeNull();
  });
});

describe("preview", () => {
  it("gives each split's step in the mean to its feature, so that it adds up", () => {
    const trees = generatedTrees({ trees: 5, depth: 5, features: 6, seed: 11 });
    const made = boosted(trees, 6);
    const row = generatedRows(1, 6, 12);
    const expected = new Float64Array(6);
    for (const tree of trees)
      for (let at = 0; (tree.feature[at] ?? -1) >= 0;) {
        const feature = tree.feature[at] ?? 0;
        const value = row[feature] ?? 0;
        const goesTrue = Number.isNaN(value) ? tree.missingTrue[at] === 1 : value <= (tree.threshold[at] ?? 0);
        const next = (goesTrue ? tree.whenTrue[at] : tree.whenFalse[at]) ?? 0;
        expected[feature] =
          (expected[feature] ?? 0) + coalitionValue(tree, row, 0, next) - coalitionValue(tree, row, 0, at);
        at = next;
      }
    for (const session of [compileSession(made), compileSession(made, { kernels: engineKernels })]) {
      const preview = session.preview?.(row);
      expected.forEach((value, feature) => expect(preview?.values[feature]).toBeCloseTo(value, 12));
      expect((preview?.base[0] ?? 0) + sumOf(preview?.values ?? [])).toBeCloseTo(preview?.raw[0] ?? Number.NaN, 12);
    }
  });
});
