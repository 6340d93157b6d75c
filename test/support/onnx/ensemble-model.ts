/** Spells an ensemble as `TreeEnsembleRegressor`, `TreeEnsembleClassifier` (version 3) or `TreeEnsemble` (version 5). */
import { attribute, floatTensor, model, node, tensor, valueInfo } from "../../../models/onnx/build-graph.ts";
import type { Attribute } from "../../../models/onnx/model.ts";
import { encodeTreeCover, treeCoverKey } from "../../../models/onnx/tree-cover.ts";
import { writeModel } from "../../../models/onnx/write-model.ts";
import { type EnsembleShape, MODES, type TreeShape } from "./arbitrary-ensemble.ts";

export type PostTransform = "NONE" | "SOFTMAX" | "LOGISTIC" | "SOFTMAX_ZERO" | "PROBIT";
export const POST_TRANSFORMS: readonly PostTransform[] = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"];
export type Aggregate = "SUM" | "AVERAGE" | "MIN" | "MAX";
export const AGGREGATES: readonly Aggregate[] = ["AVERAGE", "SUM", "MIN", "MAX"];

interface Columns {
  readonly treeids: number[];
  readonly nodeids: number[];
  readonly featureids: number[];
  readonly values: number[];
  readonly modes: string[];
  readonly truenodeids: number[];
  readonly falsenodeids: number[];
  readonly missing: number[];
  readonly leafTree: number[];
  readonly leafNode: number[];
  readonly leafTarget: number[];
  readonly leafWeight: number[];
}

function columnsOf(shape: EnsembleShape): Columns {
  const columns: Columns = {
    treeids: [],
    nodeids: [],
    featureids: [],
    values: [],
    modes: [],
    truenodeids: [],
    falsenodeids: [],
    missing: [],
    leafTree: [],
    leafNode: [],
    leafTarget: [],
    leafWeight: [],
  };
  for (const [tree, root] of shape.trees.entries()) addNode(columns, { tree, next: 0 }, root);
  return columns;
}

/** Appends a node before its children (depth first), and answers its id. */
function addNode(columns: Columns, state: { tree: number; next: number }, shape: TreeShape): number {
  const id = state.next++;
  const at = columns.nodeids.length;
  columns.treeids.push(state.tree);
  columns.nodeids.push(id);
  const split = shape.kind === "split";
  columns.featureids.push(split ? shape.feature : 0);
  columns.values.push(split ? shape.threshold : 0);
  columns.modes.push(split ? `BRANCH_${shape.mode}` : "LEAF");
  columns.missing.push(split && shape.missingTrue ? 1 : 0);
  columns.truenodeids.push(0);
  columns.falsenodeids.push(0);
  if (split) {
    columns.truenodeids[at] = addNode(columns, state, shape.whenTrue);
    columns.falsenodeids[at] = addNode(columns, state, shape.whenFalse);
    return id;
  }
  for (const { target, eighths } of shape.weights) {
    columns.leafTree.push(state.tree);
    columns.leafNode.push(id);
    columns.leafTarget.push(target);
    columns.leafWeight.push(eighths / 8);
  }
  return id;
}

function nodeAttributes(columns: Columns): Record<string, Attribute> {
  return {
    nodes_treeids: attribute.ints(columns.treeids),
    nodes_nodeids: attribute.ints(columns.nodeids),
    nodes_featureids: attribute.ints(columns.featureids),
    nodes_values: attribute.floats(columns.values),
    nodes_modes: attribute.strings(columns.modes),
    nodes_truenodeids: attribute.ints(columns.truenodeids),
    nodes_falsenodeids: attribute.ints(columns.falsenodeids),
    nodes_missing_value_tracks_true: attribute.ints(columns.missing),
  };
}

export interface RegressorOptions {
  readonly aggregate: Aggregate;
  readonly post: PostTransform;
  readonly base: readonly number[] | null;
  /** One per node, in file order; without them the model cannot be explained. */
  readonly covers?: Float64Array;
}

/** x float32[n, width] → y float32[n, targets]. */
export function regressorBytes(shape: EnsembleShape, options: RegressorOptions): Uint8Array {
  const columns = columnsOf(shape);
  const trees = node("TreeEnsembleRegressor", {
    domain: "ai.onnx.ml",
    inputs: ["x"],
    outputs: ["y"],
    attributes: {
      ...nodeAttributes(columns),
      n_targets: attribute.int(shape.targets),
      target_treeids: attribute.ints(columns.leafTree),
      target_nodeids: attribute.ints(columns.leafNode),
      target_ids: attribute.ints(columns.leafTarget),
      target_weights: attribute.floats(columns.leafWeight),
      aggregate_function: attribute.string(options.aggregate),
      post_transform: attribute.string(options.post),
      ...(options.base ? { base_values: attribute.floats(options.base) } : {}),
    },
  });
  return writeModel(
    model({
      nodes: [trees],
      inputs: [valueInfo("x", "float32", ["n", shape.width])],
      outputs: [valueInfo("y", "float32", ["n", shape.targets])],
      metadata: new Map(options.covers ? [[treeCoverKey("y"), encodeTreeCover(options.covers)]] : []),
    }),
  );
}

export interface ClassifierOptions {
  readonly classes: number;
  /** Class of each leaf weight, given its target. */
  readonly classOf: (target: number) => number;
  readonly post: PostTransform;
  readonly base: readonly number[] | null;
  readonly labels: "strings" | "integers";
}

/** x float32[n, width] → label, probability float32[n, classes]. */
export function classifierBytes(shape: EnsembleShape, options: ClassifierOptions): Uint8Array {
  const columns = columnsOf(shape);
  const names = Array.from({ length: options.classes }, (_, index) => index);
  const labels: Record<string, Attribute> =
    options.labels === "strings"
      ? { classlabels_strings: attribute.strings(names.map((index) => `class ${index}`)) }
      : { classlabels_int64s: attribute.ints(names) };
  const trees = node("TreeEnsembleClassifier", {
    domain: "ai.onnx.ml",
    inputs: ["x"],
    outputs: ["label", "probability"],
    attributes: {
      ...nodeAttributes(columns),
      class_treeids: attribute.ints(columns.leafTree),
      class_nodeids: attribute.ints(columns.leafNode),
      class_ids: attribute.ints(columns.leafTarget.map(options.classOf)),
      class_weights: attribute.floats(columns.leafWeight),
      post_transform: attribute.string(options.post),
      ...labels,
      ...(options.base ? { base_values: attribute.floats(options.base) } : {}),
    },
  });
  return writeModel(
    model({
      nodes: [trees],
      inputs: [valueInfo("x", "float32", ["n", shape.width])],
      outputs: [
        valueInfo("label", options.labels === "strings" ? "string" : "int64", ["n"]),
        valueInfo("probability", "float32", ["n", options.classes]),
      ],
    }),
  );
}

/** Number of BRANCH_MEMBER in version 5. */
const MEMBER = 6;

/** `TreeEnsemble` of ai.onnx.ml 5: nodes and leaves apart, one weight per leaf. A tree that is one leaf gets a split. */
export function ensembleV5Bytes(
  shape: EnsembleShape,
  options: { readonly aggregate: Aggregate; readonly post: PostTransform },
): Uint8Array {
  const roots: number[] = [];
  const feature: number[] = [];
  const splits: number[] = [];
  const modes: number[] = [];
  const membership: number[] = [];
  const missing: number[] = [];
  const child = { true: [] as number[], false: [] as number[] };
  const isLeaf = { true: [] as number[], false: [] as number[] };
  const leafTarget: number[] = [];
  const leafWeight: number[] = [];
  const add = (split: Extract<TreeShape, { kind: "split" }>): number => {
    const at = feature.length;
    feature.push(split.feature);
    splits.push(split.threshold);
    modes.push(split.members ? MEMBER : MODES.indexOf(split.mode));
    if (split.members) membership.push(...split.members, Number.NaN);
    missing.push(split.missingTrue ? 1 : 0);
    for (const side of ["true", "false"] as const) {
      child[side].push(0);
      isLeaf[side].push(0);
    }
    for (const side of ["true", "false"] as const) {
      const next = side === "true" ? split.whenTrue : split.whenFalse;
      isLeaf[side][at] = next.kind === "leaf" ? 1 : 0;
      if (next.kind === "split") child[side][at] = add(next);
      else {
        const [weight = { target: 0, eighths: 0 }] = next.weights;
        child[side][at] = leafTarget.length;
        leafTarget.push(weight.target);
        leafWeight.push(weight.eighths / 8);
      }
    }
    return at;
  };
  for (const root of shape.trees) {
    const lone = { kind: "split", mode: "LEQ", feature: 0, threshold: 0, missingTrue: false } as const;
    roots.push(add(root.kind === "split" ? root : { ...lone, whenTrue: root, whenFalse: root }));
  }
  const trees = node("TreeEnsemble", {
    domain: "ai.onnx.ml",
    inputs: ["x"],
    outputs: ["y"],
    attributes: {
      tree_roots: attribute.ints(roots),
      n_targets: attribute.int(shape.targets),
      aggregate_function: attribute.int(AGGREGATES.indexOf(options.aggregate)),
      post_transform: attribute.int(POST_TRANSFORMS.indexOf(options.post)),
      nodes_featureids: attribute.ints(feature),
      nodes_splits: attribute.tensor(tensor("", "float32", [splits.length], Float32Array.from(splits))),
      nodes_modes: attribute.tensor(tensor("", "uint8", [modes.length], Uint8Array.from(modes))),
      ...(membership.length > 0
        ? { membership_values: attribute.tensor(floatTensor("", [membership.length], membership)) }
        : {}),
      nodes_missing_value_tracks_true: attribute.ints(missing),
      nodes_truenodeids: attribute.ints(child.true),
      nodes_trueleafs: attribute.ints(isLeaf.true),
      nodes_falsenodeids: attribute.ints(child.false),
      nodes_falseleafs: attribute.ints(isLeaf.false),
      leaf_targetids: attribute.ints(leafTarget),
      leaf_weights: attribute.tensor(tensor("", "float32", [leafWeight.length], Float32Array.from(leafWeight))),
    },
  });
  return writeModel(
    model({
      nodes: [trees],
      inputs: [valueInfo("x", "float32", ["n", shape.width])],
      outputs: [valueInfo("y", "float32", ["n", shape.targets])],
      mlOpset: 5,
    }),
  );
}
