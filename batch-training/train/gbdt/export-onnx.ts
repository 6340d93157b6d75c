import { model, node, valueInfo } from "../../../models/onnx/build-graph.ts";
import type { Model, Node } from "../../../models/onnx/model.ts";
import { type RegressionTree, type Regressor, treeEnsembleRegressor } from "../../../models/onnx/tree-ensemble.ts";
import { type MemberTree, memberTreeEnsemble } from "../../../models/onnx/tree-ensemble-v5.ts";
import { attribute } from "../../../models/onnx/build-graph.ts";
import type { GbdtModel, Tree } from "./tree.ts";

/**
 * The serving graph: `features` [rows, features] float32 to `score`, and the calibrated margin as second output `raw`.
 * Linear calibration scales every leaf and the base, so attributions of the trees add up to what is served; a step function is a
 * second, one-feature tree on the margin.
 */
export function exportGbdt(fitted: GbdtModel): Model {
  const outputs = fitted.bases.length;
  const categorical = fitted.trees.some((tree) => tree.members.some((members) => members !== null));
  const link = linkNodes(fitted);
  const raw = link.length === 0 ? "score" : "raw";
  const regressor = categorical ? exportMembers(fitted, raw) : exportThresholds(fitted, raw);
  return model({
    nodes: [regressor.node, ...link],
    inputs: [valueInfo("features", "float32", ["rows", fitted.features.length])],
    outputs: (link.length === 0 ? ["score"] : ["score", "raw"]).map((name) =>
      valueInfo(name, "float32", ["rows", outputs]),
    ),
    metadata: new Map([...regressor.metadata, ["edgewise.features", JSON.stringify(fitted.features)]]),
    ...(categorical ? { mlOpset: 5 } : {}),
  });
}

/** From `raw` to `score`; none where the raw score is the answer. */
function linkNodes({ objective, calibration }: GbdtModel): Node[] {
  if (calibration.kind === "steps") {
    const steps = stepTree(calibration.thresholds, calibration.values);
    return [treeEnsembleRegressor({ input: "raw", output: "score", trees: [steps], baseValues: [0] }).node];
  }
  if (objective === "logistic") return [node("Sigmoid", { inputs: ["raw"], outputs: ["score"] })];
  if (objective !== "softmax") return [];
  return [node("Softmax", { inputs: ["raw"], outputs: ["score"], attributes: { axis: attribute.int(1) } })];
}

/** Scale and shift of the margin; a step function reads it as it is. */
function marginOf({ calibration }: GbdtModel): { scale: number; offset: number } {
  return calibration.kind === "linear" ? calibration : { scale: 1, offset: 0 };
}

function exportThresholds(fitted: GbdtModel, output: string): Regressor {
  const { scale, offset } = marginOf(fitted);
  const outputs = fitted.bases.length;
  const trees = fitted.trees.map((tree) => exportTree(tree, scale, 0));
  return treeEnsembleRegressor({
    input: "features",
    output,
    trees: trees.length > 0 ? trees : [EMPTY],
    targetOf: trees.length > 0 ? trees.map((_, t) => t % outputs) : [0],
    baseValues: fitted.bases.map((base) => base * scale + offset),
  });
}

/**
 * Set splits need `TreeEnsemble`, which has no base: the leaves of each output's first tree carry it, and what trees of
 * one leaf say.
 */
function exportMembers(fitted: GbdtModel, output: string): Regressor {
  const { scale, offset } = marginOf(fitted);
  const outputs = fitted.bases.length;
  const rest = fitted.bases.map((base) => base);
  const grown: { tree: Tree; target: number }[] = [];
  for (const [t, tree] of fitted.trees.entries()) {
    const target = t % outputs;
    if (tree.feature.length > 0) grown.push({ tree, target });
    else rest[target] = (rest[target] ?? 0) + (tree.leafValue[0] ?? 0);
  }
  for (const target of fitted.bases.keys()) {
    if (!grown.some((entry) => entry.target === target)) grown.push({ tree: NO_SPLIT, target });
  }
  const carried = new Set<number>();
  const trees = grown.map(({ tree, target }) => {
    const shift = carried.has(target) ? 0 : (rest[target] ?? 0) * scale + offset;
    carried.add(target);
    return exportTree(tree, scale, shift);
  });
  const targetOf = grown.map(({ target }) => target);
  return memberTreeEnsemble({ input: "features", output, trees, targets: outputs, targetOf });
}

/** A split whose sides agree: an output without any split still needs a tree to carry its base. */
const NO_SPLIT: Tree = {
  feature: Int32Array.of(0),
  threshold: Float64Array.of(0),
  missingLeft: Uint8Array.of(1),
  members: [null],
  left: Int32Array.of(-1),
  right: Int32Array.of(-2),
  gain: Float64Array.of(0),
  cover: Float64Array.of(2),
  leafValue: new Float64Array(2),
  leafCover: Float64Array.of(1, 1),
};

/** A model without trees still is a graph: one leaf of value 0. */
const EMPTY: RegressionTree = {
  feature: [-1],
  threshold: [0],
  whenTrue: [0],
  whenFalse: [0],
  missingTrue: [0],
  value: [0],
  cover: [0],
};

/** Nodes keep their numbers; leaf l becomes node `splits + l`. */
function exportTree(tree: Tree, scale: number, shift: number): MemberTree {
  const splits = tree.feature.length;
  const place = (index: number): number => (index < 0 ? splits + ~index : index);
  const leaves = Array.from(tree.leafValue, () => 0);
  const whenTrue: number[] = [];
  const whenFalse: number[] = [];
  const missingTrue: number[] = [];
  for (let index = 0; index < splits; index++) {
    const missingLeft = tree.missingLeft[index] === 1;
    // Listed categories are true; missing and unlisted ones are false, wherever that lies.
    const trueIsLeft = tree.members[index] ? !missingLeft : true;
    const [left, right] = [place(tree.left[index] ?? -1), place(tree.right[index] ?? -1)];
    whenTrue.push(trueIsLeft ? left : right);
    whenFalse.push(trueIsLeft ? right : left);
    missingTrue.push(tree.members[index] ? 0 : Number(missingLeft));
  }
  return {
    feature: [...tree.feature, ...leaves.map(() => -1)],
    threshold: [...tree.threshold, ...leaves],
    members: [...tree.members, ...leaves.map(() => null)],
    whenTrue: [...whenTrue, ...leaves],
    whenFalse: [...whenFalse, ...leaves],
    missingTrue: [...missingTrue, ...leaves],
    value: [...Array.from(tree.feature, () => 0), ...Array.from(tree.leafValue, (value) => value * scale + shift)],
    cover: [...tree.cover, ...tree.leafCover],
  };
}

/** A step function as a balanced tree over one feature. */
function stepTree(thresholds: readonly number[], values: readonly number[]): RegressionTree {
  const tree = {
    feature: [] as number[],
    threshold: [] as number[],
    whenTrue: [] as number[],
    whenFalse: [] as number[],
  };
  const value: number[] = [];
  const build = (from: number, to: number): number => {
    const index = tree.feature.length;
    const middle = (from + to) >> 1;
    const leaf = from === to;
    tree.feature.push(leaf ? -1 : 0);
    tree.threshold.push(leaf ? 0 : (thresholds[middle] ?? 0));
    value.push(leaf ? (values[from] ?? 0) : 0);
    tree.whenTrue.push(0);
    tree.whenFalse.push(0);
    if (leaf) return index;
    tree.whenTrue[index] = build(from, middle);
    tree.whenFalse[index] = build(middle + 1, to);
    return index;
  };
  build(0, values.length - 1);
  return { ...tree, value, missingTrue: tree.feature.map(() => 0) };
}
