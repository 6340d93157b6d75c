/** `TreeEnsemble` of ai.onnx.ml version 5 as an `Ensemble`: its nodes, then its leaves. */
import type { IntArray } from "../../onnx/model.ts";
import type { NodeContext } from "../operator.ts";
import type { PostTransform } from "../post-transform.ts";
import { checkedEnsemble, collectWeights } from "./check-ensemble.ts";
import { type Aggregate, type Ensemble, Mode } from "./ensemble.ts";
import { flags } from "./read-v3.ts";

/** By the number of attribute `aggregate_function`. */
const AGGREGATES: readonly Aggregate[] = ["AVERAGE", "SUM", "MIN", "MAX"];

/**
 * By the number of attribute `post_transform`, as ONNX Runtime counts. The ONNX text has SOFTMAX as 1 and LOGISTIC as 2;
 * what counts is that a model answers alike on both engines, and publication compares it with its trainer.
 */
const TRANSFORMS: readonly PostTransform[] = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"];

const NO_INTS: IntArray = new Int32Array(0);

export function readV5(context: NodeContext): Ensemble {
  const nodeModes = context.tensorNumbers("nodes_modes") ?? NO_INTS;
  const splits = context.tensorNumbers("nodes_splits") ?? NO_INTS;
  const leafWeights = context.tensorNumbers("leaf_weights") ?? NO_INTS;
  const leafTargets = context.ints("leaf_targetids") ?? NO_INTS;
  const feature = context.ints("nodes_featureids") ?? NO_INTS;
  const [nodes, leaves] = [nodeModes.length, leafWeights.length];
  const count = nodes + leaves;
  for (const column of [splits, feature])
    if (column.length !== nodes) throw context.bad(`node attributes of ${column.length} and ${nodes} entries`);
  if (feature.some((index) => index !== (index | 0))) throw context.bad("a feature index beyond 32 bits");
  if (leafTargets.length !== leaves) throw context.bad(`${leafTargets.length} leaf targets for ${leaves} leaves`);
  const whenTrue = children(context, "true", nodes, leaves);
  const whenFalse = children(context, "false", nodes, leaves);
  const mode = new Uint8Array(count).fill(Mode.LEAF);
  for (let node = 0; node < nodes; node++) {
    const code = nodeModes[node] ?? 0;
    if (!(code >= Mode.LEQ && code <= Mode.MEMBER)) throw context.unsupported(`node mode ${code}`);
    mode[node] = code;
  }
  const targets = context.int("n_targets", 1);
  const positions = new Int32Array(leaves);
  for (let leaf = 0; leaf < leaves; leaf++) positions[leaf] = nodes + leaf;
  const weights = collectWeights(context, {
    count,
    mode,
    positions,
    targets: leafTargets,
    weights: leafWeights,
    limit: targets,
  });
  const aggregate = AGGREGATES[context.int("aggregate_function", 1)];
  const transform = TRANSFORMS[context.int("post_transform", 0)];
  if (aggregate === undefined || transform === undefined)
    throw context.unsupported("an unknown aggregate or transform");
  return checkedEnsemble(context, {
    roots: roots(context, whenTrue, whenFalse, nodes),
    mode,
    feature: lengthened(new Int32Array(count), feature),
    threshold: lengthened(new Float64Array(count), splits),
    whenTrue,
    whenFalse,
    missingTrue: flags(context.ints("nodes_missing_value_tracks_true"), count),
    members: members(context, mode),
    ...weights,
    targets,
    base: new Float64Array(0),
    aggregate,
    transform,
  });
}

/** Positions of one side's children: a leaf where its flag says so. */
function children(context: NodeContext, side: "true" | "false", nodes: number, leaves: number): Int32Array {
  const ids = context.ints(`nodes_${side}nodeids`) ?? NO_INTS;
  const isLeaf = context.ints(`nodes_${side}leafs`) ?? NO_INTS;
  if (ids.length !== nodes || isLeaf.length !== nodes)
    throw context.bad(`${ids.length} ${side} children for ${nodes} nodes`);
  const positions = new Int32Array(nodes + leaves);
  for (let node = 0; node < nodes; node++) {
    const id = ids[node] ?? -1;
    const leaf = isLeaf[node] !== 0;
    if (!(id >= 0 && id < (leaf ? leaves : nodes))) throw context.bad(`node ${node} has ${side} child ${id}`);
    positions[node] = leaf ? nodes + id : id;
  }
  return positions;
}

/** A tree of one leaf is a node both of whose children are that leaf. */
function roots(context: NodeContext, whenTrue: Int32Array, whenFalse: Int32Array, nodes: number): Int32Array {
  return Int32Array.from(context.ints("tree_roots") ?? NO_INTS, (root) => {
    if (!(root >= 0 && root < nodes)) throw context.bad(`tree root ${root} of ${nodes} nodes`);
    const child = whenTrue[root] ?? 0;
    return child === whenFalse[root] && child >= nodes ? child : root;
  });
}

function lengthened<T extends Int32Array | Float64Array>(array: T, from: ArrayLike<number>): T {
  array.set(from);
  return array;
}

/** Sets of MEMBER nodes, in node order, separated by NaN. */
function members(context: NodeContext, mode: Uint8Array): Map<number, Float64Array> {
  const values = context.tensorNumbers("membership_values") ?? new Float32Array(0);
  const sets = new Map<number, Float64Array>();
  let at = 0;
  for (let node = 0; node < mode.length; node++) {
    if (mode[node] !== Mode.MEMBER) continue;
    let end = at;
    while (end < values.length && !Number.isNaN(values[end])) end++;
    sets.set(node, new Float64Array(values.subarray(at, end)));
    at = end + 1;
  }
  return sets;
}
