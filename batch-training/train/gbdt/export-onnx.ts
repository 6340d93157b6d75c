import { model, node, valueInfo } from "../../../models/onnx/build-graph.ts";
import type { Model } from "../../../models/onnx/model.ts";
import { type Regressor, treeEnsembleRegressor } from "../../../models/onnx/tree-ensemble.ts";
import { type MemberTree, memberTreeEnsemble } from "../../../models/onnx/tree-ensemble-v5.ts";
import type { GbdtModel, Tree } from "./tree.ts";

/**
 * The serving graph: `features` [rows, features] float32 to `score` [rows, 1], and the calibrated margin as second output
 * `raw` [rows, 1]. Calibration scales every leaf and the base, so attributions of the trees add up to what is served.
 */
export function exportGbdt(fitted: GbdtModel): Model {
  const logistic = fitted.objective === "logistic";
  const categorical = fitted.trees.some((tree) => tree.members.some((members) => members !== null));
  const raw = logistic ? "raw" : "score";
  const regressor = categorical ? exportMembers(fitted, raw) : exportThresholds(fitted, raw);
  const nodes = logistic
    ? [regressor.node, node("Sigmoid", { inputs: ["raw"], outputs: ["score"] })]
    : [regressor.node];
  const outputs = logistic ? ["score", "raw"] : ["score"];
  return model({
    nodes,
    inputs: [valueInfo("features", "float32", ["rows", fitted.features.length])],
    outputs: outputs.map((name) => valueInfo(name, "float32", ["rows", 1])),
    metadata: new Map([...regressor.metadata, ["edgewise.features", JSON.stringify(fitted.features)]]),
    ...(categorical ? { mlOpset: 5 } : {}),
  });
}

function exportThresholds(fitted: GbdtModel, output: string): Regressor {
  const { scale, offset } = fitted.calibration;
  return treeEnsembleRegressor({
    input: "features",
    output,
    trees: fitted.trees.length > 0 ? fitted.trees.map((tree) => exportTree(tree, scale, 0)) : [exportTree(EMPTY, 1, 0)],
    baseValues: [fitted.base * scale + offset],
  });
}

/** Set splits need `TreeEnsemble`, which has no base: the first tree's leaves carry it, and trees of one leaf too. */
function exportMembers(fitted: GbdtModel, output: string): Regressor {
  const { scale, offset } = fitted.calibration;
  const grown = fitted.trees.filter((tree) => tree.feature.length > 0);
  const constants = fitted.trees.filter((tree) => tree.feature.length === 0).map((tree) => tree.leafValue[0] ?? 0);
  const base = constants.reduce((sum, value) => sum + value, fitted.base) * scale + offset;
  const trees = grown.map((tree, i) => exportTree(tree, scale, i === 0 ? base : 0));
  return memberTreeEnsemble({ input: "features", output, trees });
}

/** A model without trees still is a graph: one leaf of value 0. */
const EMPTY: Tree = {
  feature: new Int32Array(0),
  threshold: new Float64Array(0),
  missingLeft: new Uint8Array(0),
  members: [],
  left: new Int32Array(0),
  right: new Int32Array(0),
  gain: new Float64Array(0),
  cover: new Float64Array(0),
  leafValue: new Float64Array(1),
  leafCover: new Float64Array(1),
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
