import { model, node, valueInfo } from "../../../models/onnx/build-graph.ts";
import type { Model } from "../../../models/onnx/model.ts";
import { type RegressionTree, treeEnsembleRegressor } from "../../../models/onnx/tree-ensemble.ts";
import type { GbdtModel, Tree } from "./tree.ts";

/**
 * The serving graph: `features` [rows, features] float32 to `score` [rows, 1], and the calibrated margin as second output
 * `raw` [rows, 1]. Calibration scales every leaf and the base, so attributions of the trees add up to what is served.
 */
export function exportGbdt(fitted: GbdtModel): Model {
  const { scale, offset } = fitted.calibration;
  const logistic = fitted.objective === "logistic";
  const trees = fitted.trees.length > 0 ? fitted.trees.map((tree) => exportTree(tree, scale)) : [exportTree(EMPTY, 1)];
  const regressor = treeEnsembleRegressor({
    input: "features",
    output: logistic ? "raw" : "score",
    trees,
    baseValues: [Math.fround(fitted.base * scale + offset)],
  });
  const nodes = logistic
    ? [regressor.node, node("Sigmoid", { inputs: ["raw"], outputs: ["score"] })]
    : [regressor.node];
  const outputs = logistic ? ["score", "raw"] : ["score"];
  return model({
    nodes,
    inputs: [valueInfo("features", "float32", ["rows", fitted.features.length])],
    outputs: outputs.map((name) => valueInfo(name, "float32", ["rows", 1])),
    metadata: new Map([...regressor.metadata, ["edgewise.features", JSON.stringify(fitted.features)]]),
  });
}

/** A model without trees still is a graph: one leaf of value 0. */
const EMPTY: Tree = {
  feature: new Int32Array(0),
  threshold: new Float64Array(0),
  missingLeft: new Uint8Array(0),
  left: new Int32Array(0),
  right: new Int32Array(0),
  gain: new Float64Array(0),
  cover: new Float64Array(0),
  leafValue: new Float64Array(1),
  leafCover: new Float64Array(1),
};

/** Nodes keep their numbers; leaf l becomes node `splits + l`. */
function exportTree(tree: Tree, scale: number): RegressionTree {
  const splits = tree.feature.length;
  const place = (index: number): number => (index < 0 ? splits + ~index : index);
  const leaves = new Int32Array(tree.leafValue.length);
  const values = Array.from(tree.leafValue, (value) => Math.fround(value * scale));
  return {
    feature: [...tree.feature, ...leaves.map(() => -1)],
    threshold: [...tree.threshold, ...leaves],
    whenTrue: [...Array.from(tree.left, place), ...leaves],
    whenFalse: [...Array.from(tree.right, place), ...leaves],
    missingTrue: [...tree.missingLeft, ...leaves],
    value: [...Array.from(tree.feature, () => 0), ...values],
    cover: [...tree.cover, ...tree.leafCover],
  };
}
