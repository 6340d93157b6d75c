import { attribute, node } from "./build-graph.ts";
import { OnnxError } from "./error.ts";
import type { Node } from "./model.ts";
import { encodeTreeCover, treeCoverKey } from "./tree-cover.ts";

/**
 * One regression tree as parallel arrays, one entry per node; node 0 is the root.
 * A row goes to `whenTrue` if its feature is ≤ `threshold` (compared as float32), to `whenFalse` otherwise.
 */
export interface RegressionTree {
  /** Feature index of a split; -1 marks a leaf. */
  readonly feature: ArrayLike<number>;
  readonly threshold: ArrayLike<number>;
  readonly whenTrue: ArrayLike<number>;
  readonly whenFalse: ArrayLike<number>;
  /** 1: a missing value (NaN) goes to `whenTrue`. */
  readonly missingTrue: ArrayLike<number>;
  /** Output of a leaf; ignored at splits. */
  readonly value: ArrayLike<number>;
  /** Training rows or hessian sums per node; without them the model cannot be explained exactly. */
  readonly cover?: ArrayLike<number>;
}

export interface RegressorFields {
  readonly input: string;
  /** Raw scores, `rows × targets`. */
  readonly output: string;
  readonly trees: readonly RegressionTree[];
  /** One per target; its length is the number of targets. */
  readonly baseValues: readonly number[];
  /** Target of each tree; default 0 for all. */
  readonly targetOf?: readonly number[];
  readonly aggregate?: "SUM" | "AVERAGE" | "MIN" | "MAX";
}

export interface Regressor {
  readonly node: Node;
  /** Covers for `Model.metadata`; empty where a tree states none. */
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Boosted trees as `TreeEnsembleRegressor` of ai.onnx.ml version 3 (`BRANCH_LEQ`, post-transform NONE): the form that
 * every ONNX Runtime answers alike; add a `Sigmoid` node for a probability. Thresholds and values are rounded to
 * float32; a trainer with double thresholds rounds them down first, or ties change sides.
 * @throws OnnxError for a child index out of range
 */
export function treeEnsembleRegressor(fields: RegressorFields): Regressor {
  const { trees, baseValues } = fields;
  const nodes = trees.reduce((total, tree) => total + tree.feature.length, 0);
  const columns = {
    treeids: new Int32Array(nodes),
    nodeids: new Int32Array(nodes),
    featureids: new Int32Array(nodes),
    truenodeids: new Int32Array(nodes),
    falsenodeids: new Int32Array(nodes),
    missing_value_tracks_true: new Int32Array(nodes),
  };
  const values = new Float32Array(nodes);
  const covers = new Float64Array(nodes);
  const modes: string[] = [];
  const leaves = { treeids: [] as number[], nodeids: [] as number[], ids: [] as number[], weights: [] as number[] };
  let at = 0;
  trees.forEach((tree, treeIndex) => {
    const size = tree.feature.length;
    for (let index = 0; index < size; index++, at++) {
      const feature = tree.feature[index] ?? -1;
      columns.treeids[at] = treeIndex;
      columns.nodeids[at] = index;
      covers[at] = tree.cover?.[index] ?? 0;
      modes.push(feature < 0 ? "LEAF" : "BRANCH_LEQ");
      if (feature < 0) {
        leaves.treeids.push(treeIndex);
        leaves.nodeids.push(index);
        leaves.ids.push(fields.targetOf?.[treeIndex] ?? 0);
        leaves.weights.push(tree.value[index] ?? 0);
        continue;
      }
      columns.featureids[at] = feature;
      values[at] = tree.threshold[index] ?? 0;
      columns.truenodeids[at] = child(tree.whenTrue[index], size, treeIndex);
      columns.falsenodeids[at] = child(tree.whenFalse[index], size, treeIndex);
      columns.missing_value_tracks_true[at] = tree.missingTrue[index] ?? 0;
    }
  });
  const built = node("TreeEnsembleRegressor", {
    domain: "ai.onnx.ml",
    inputs: [fields.input],
    outputs: [fields.output],
    attributes: {
      ...Object.fromEntries(Object.entries(columns).map(([name, column]) => [`nodes_${name}`, attribute.ints(column)])),
      nodes_values: attribute.floats(values),
      nodes_modes: attribute.strings(modes),
      target_treeids: attribute.ints(leaves.treeids),
      target_nodeids: attribute.ints(leaves.nodeids),
      target_ids: attribute.ints(leaves.ids),
      target_weights: attribute.floats(leaves.weights),
      n_targets: attribute.int(baseValues.length),
      base_values: attribute.floats(baseValues),
      aggregate_function: attribute.string(fields.aggregate ?? "SUM"),
      post_transform: attribute.string("NONE"),
    },
  });
  const covered = trees.every((tree) => tree.cover !== undefined);
  return { node: built, metadata: new Map(covered ? [[treeCoverKey(fields.output), encodeTreeCover(covers)]] : []) };
}

function child(index: number | undefined, size: number, tree: number): number {
  if (index === undefined || !Number.isInteger(index) || index < 1 || index >= size)
    throw new OnnxError("bad-graph", `tree ${tree}: child ${index} is not one of its ${size} nodes`);
  return index;
}
