/** The three tree operators of ai.onnx.ml as one `Ensemble`; everything that a walk relies on is checked here. */
import { decodeTreeCover, treeCoverKey } from "../../onnx/tree-cover.ts";
import type { NodeContext } from "../operator.ts";
import { POST_TRANSFORMS, type PostTransform } from "../post-transform.ts";
import type { NumericArray } from "../value.ts";
import { type Aggregate, type Ensemble, Mode } from "./ensemble.ts";

const MODES: Readonly<Record<string, number>> = {
  BRANCH_LEQ: Mode.LEQ,
  BRANCH_LT: Mode.LT,
  BRANCH_GTE: Mode.GTE,
  BRANCH_GT: Mode.GT,
  BRANCH_EQ: Mode.EQ,
  BRANCH_NEQ: Mode.NEQ,
  LEAF: Mode.LEAF,
};

const AGGREGATES: readonly Aggregate[] = ["AVERAGE", "SUM", "MIN", "MAX"];

/**
 * As ONNX Runtime numbers them in version 5. The ONNX text has SOFTMAX as 1 and LOGISTIC as 2; what counts is that a model
 * answers alike on both engines, and publication compares it with its trainer.
 */
const V5_TRANSFORMS: readonly PostTransform[] = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"];

/** What the attributes of `TreeEnsembleRegressor` and `TreeEnsembleClassifier` are called. */
export interface V3Names {
  readonly targets: number;
  /** "target" or "class". */
  readonly prefix: string;
}

type Ints = ArrayLike<number>;

export function readV3(context: NodeContext, { targets, prefix }: V3Names): Ensemble {
  const treeIds = context.ints("nodes_treeids") ?? [];
  const nodeIds = context.ints("nodes_nodeids") ?? [];
  const modes = context.strings("nodes_modes") ?? [];
  const feature = context.ints("nodes_featureids") ?? [];
  const trueIds = context.ints("nodes_truenodeids") ?? [];
  const falseIds = context.ints("nodes_falsenodeids") ?? [];
  const threshold = numbers(context, "nodes_values") ?? new Float32Array(0);
  const missing = context.ints("nodes_missing_value_tracks_true");
  const count = treeIds.length;
  for (const column of [nodeIds, modes, feature, trueIds, falseIds, threshold])
    if (column.length !== count) throw context.bad(`node attributes of ${column.length} and ${count} entries`);
  const positions = new NodePositions(context, treeIds, nodeIds);
  const mode = new Uint8Array(count);
  const whenTrue = new Int32Array(count);
  const whenFalse = new Int32Array(count);
  for (let node = 0; node < count; node++) {
    const name = modes[node] ?? "";
    const known = Object.hasOwn(MODES, name) ? MODES[name] : undefined;
    if (known === undefined) throw context.unsupported(`node mode "${name}"`);
    mode[node] = known;
    if (known === Mode.LEAF) continue;
    whenTrue[node] = positions.of(treeIds[node] ?? 0, trueIds[node] ?? 0);
    whenFalse[node] = positions.of(treeIds[node] ?? 0, falseIds[node] ?? 0);
  }
  const weights = collectWeights(context, {
    count,
    mode,
    positions: leafPositions(context, positions, prefix),
    targets: context.ints(`${prefix}_ids`) ?? [],
    weights: numbers(context, `${prefix}_weights`) ?? [],
    limit: targets,
  });
  return checked(context, {
    roots: positions.roots,
    mode,
    feature: Int32Array.from(feature),
    threshold: Float64Array.from(threshold),
    whenTrue,
    whenFalse,
    missingTrue: Uint8Array.from({ length: count }, (_, node) => (missing?.[node] === 1 ? 1 : 0)),
    members: new Map(),
    ...weights,
    targets,
    base: Float64Array.from(numbers(context, "base_values") ?? []),
    aggregate: oneOf(context, "aggregate_function", AGGREGATES, "SUM"),
    transform: oneOf(context, "post_transform", POST_TRANSFORMS, "NONE"),
  });
}

export function readV5(context: NodeContext): Ensemble {
  const nodeModes = context.tensorNumbers("nodes_modes") ?? [];
  const splits = context.tensorNumbers("nodes_splits") ?? new Float32Array(0);
  const leafWeights = context.tensorNumbers("leaf_weights") ?? new Float32Array(0);
  const leafTargets = context.ints("leaf_targetids") ?? [];
  const [nodes, leaves] = [nodeModes.length, leafWeights.length];
  const count = nodes + leaves;
  const targets = context.int("n_targets", 1);
  const feature = context.ints("nodes_featureids") ?? [];
  const columns = ["true", "false"].map((side) => ({
    ids: context.ints(`nodes_${side}nodeids`) ?? [],
    leafs: context.ints(`nodes_${side}leafs`) ?? [],
  }));
  for (const column of [splits, feature, ...columns.flatMap(({ ids, leafs }) => [ids, leafs])])
    if (column.length !== nodes) throw context.bad(`node attributes of ${column.length} and ${nodes} entries`);
  if (leafTargets.length !== leaves) throw context.bad(`${leafTargets.length} leaf targets for ${leaves} leaves`);
  // Leaves follow the nodes: a child is a leaf where its flag says so.
  const [whenTrue, whenFalse] = columns.map(({ ids, leafs }) => {
    const children = new Int32Array(count);
    for (let node = 0; node < nodes; node++) {
      const id = ids[node] ?? -1;
      if (!Number.isInteger(id) || id < 0 || id >= (leafs[node] === 0 ? nodes : leaves))
        throw context.bad(`node ${node} has child ${id}`);
      children[node] = leafs[node] === 0 ? id : nodes + id;
    }
    return children;
  }) as [Int32Array, Int32Array];
  const mode = new Uint8Array(count).fill(Mode.LEAF);
  for (let node = 0; node < nodes; node++) {
    const known = nodeModes[node] ?? 0;
    if (known < Mode.LEQ || known > Mode.MEMBER) throw context.unsupported(`node mode ${known}`);
    mode[node] = known;
  }
  const missing = context.ints("nodes_missing_value_tracks_true");
  const roots = Int32Array.from(context.ints("tree_roots") ?? [], (root) => {
    if (!(root >= 0 && root < nodes)) throw context.bad(`tree root ${root} of ${nodes} nodes`);
    // A tree of one leaf is a node both of whose children are that leaf.
    const single = whenTrue[root] === whenFalse[root] && (whenTrue[root] ?? 0) >= nodes;
    return single ? (whenTrue[root] ?? 0) : root;
  });
  const weights = collectWeights(context, {
    count,
    mode,
    positions: Int32Array.from({ length: leaves }, (_, leaf) => nodes + leaf),
    targets: leafTargets,
    weights: leafWeights,
    limit: targets,
  });
  const padded = <T extends Int32Array | Float64Array | Uint8Array>(array: T, from: ArrayLike<number>): T => {
    for (let node = 0; node < nodes; node++) array[node] = from[node] ?? 0;
    return array;
  };
  return checked(context, {
    roots,
    mode,
    feature: padded(new Int32Array(count), feature),
    threshold: padded(new Float64Array(count), splits),
    whenTrue,
    whenFalse,
    missingTrue: padded(
      new Uint8Array(count),
      Array.from(missing ?? [], (flag) => (flag === 1 ? 1 : 0)),
    ),
    members: readMembers(context, mode),
    ...weights,
    targets,
    base: new Float64Array(0),
    aggregate: AGGREGATES[context.int("aggregate_function", 1)] ?? "SUM",
    transform: V5_TRANSFORMS[context.int("post_transform", 0)] ?? "NONE",
  });
}

/** Sets of MEMBER nodes, in node order, separated by NaN. */
function readMembers(context: NodeContext, mode: Uint8Array): Map<number, Float64Array> {
  const values = context.tensorNumbers("membership_values") ?? new Float32Array(0);
  const members = new Map<number, Float64Array>();
  let at = 0;
  for (let node = 0; node < mode.length; node++) {
    if (mode[node] !== Mode.MEMBER) continue;
    let end = at;
    while (end < values.length && !Number.isNaN(values[end])) end++;
    members.set(node, Float64Array.from(values.subarray(at, end)));
    at = end + 1;
  }
  return members;
}

/** Numbers as floats or, in double precision, as a tensor. */
function numbers(context: NodeContext, name: string): NumericArray | null {
  return context.floats(name) ?? context.tensorNumbers(`${name}_as_tensor`);
}

function oneOf<T extends PostTransform | Aggregate>(
  context: NodeContext,
  name: string,
  known: readonly T[],
  otherwise: T,
): T {
  const given = context.string(name, otherwise);
  const found = known.find((value) => value === given);
  if (found === undefined) throw context.unsupported(`${name} "${given}"`);
  return found;
}

/** Positions of nodes by tree id and node id. */
class NodePositions {
  readonly roots: Int32Array;
  readonly #context: NodeContext;
  /** First position of each tree id. */
  readonly #start = new Map<number, number>();
  readonly #nodeIds: Ints;
  readonly #treeIds: Ints;
  /** Filled for trees whose node ids do not simply count up. */
  readonly #odd = new Map<number, Map<number, number>>();

  constructor(context: NodeContext, treeIds: Ints, nodeIds: Ints) {
    this.#context = context;
    this.#nodeIds = nodeIds;
    this.#treeIds = treeIds;
    const roots: number[] = [];
    for (let node = 0; node < treeIds.length; node++) {
      const tree = treeIds[node] ?? 0;
      if (node > 0 && treeIds[node - 1] === tree) continue;
      if (this.#start.has(tree)) throw context.unsupported(`the nodes of tree ${tree} are scattered`);
      this.#start.set(tree, node);
      roots.push(node);
    }
    this.roots = Int32Array.from(roots);
    for (const start of roots) this.#index(start);
  }

  of(tree: number, id: number): number {
    const start = this.#start.get(tree) ?? -1;
    const odd = this.#odd.get(start);
    const position = odd === undefined ? start + id : (odd.get(id) ?? -1);
    if (start < 0 || this.#treeIds[position] !== tree || this.#nodeIds[position] !== id)
      throw this.#context.bad(`tree ${tree} has no node ${id}`);
    return position;
  }

  #index(start: number): void {
    const tree = this.#treeIds[start];
    let end = start;
    while (end < this.#treeIds.length && this.#treeIds[end] === tree && this.#nodeIds[end] === end - start) end++;
    if (end === this.#treeIds.length || this.#treeIds[end] !== tree) return;
    const positions = new Map<number, number>();
    for (let node = start; node < this.#treeIds.length && this.#treeIds[node] === tree; node++) {
      const id = this.#nodeIds[node] ?? 0;
      if (positions.has(id)) throw this.#context.bad(`tree ${tree} has node ${id} twice`);
      positions.set(id, node);
    }
    this.#odd.set(start, positions);
  }
}

function leafPositions(context: NodeContext, positions: NodePositions, prefix: string): Int32Array {
  const treeIds = context.ints(`${prefix}_treeids`) ?? [];
  const nodeIds = context.ints(`${prefix}_nodeids`) ?? [];
  if (treeIds.length !== nodeIds.length) throw context.bad(`${prefix} attributes differ in length`);
  return Int32Array.from(treeIds, (tree, index) => positions.of(tree, nodeIds[index] ?? 0));
}

interface WeightFields {
  readonly count: number;
  readonly mode: Uint8Array;
  readonly positions: Int32Array;
  readonly targets: Ints;
  readonly weights: ArrayLike<number>;
  readonly limit: number;
}

type Weights = Pick<Ensemble, "weightStart" | "weightTarget" | "weight">;

/** Weights by leaf, in file order within a leaf; those of split nodes are ignored, as ONNX Runtime does. */
function collectWeights(context: NodeContext, fields: WeightFields): Weights {
  const { count, mode, positions, targets, weights, limit } = fields;
  if (targets.length !== positions.length || weights.length !== positions.length)
    throw context.bad(`${weights.length} weights and ${targets.length} targets for ${positions.length} leaves`);
  if (!(limit >= 1)) throw context.bad(`${limit} targets`);
  const weightStart = new Int32Array(count + 1);
  for (const node of positions) if (mode[node] === Mode.LEAF) weightStart[node + 1] = (weightStart[node + 1] ?? 0) + 1;
  for (let node = 0; node < count; node++)
    weightStart[node + 1] = (weightStart[node + 1] ?? 0) + (weightStart[node] ?? 0);
  const total = weightStart[count] ?? 0;
  const weightTarget = new Int32Array(total);
  const weight = new Float64Array(total);
  const next = weightStart.slice();
  positions.forEach((node, index) => {
    if (mode[node] !== Mode.LEAF) return;
    const target = targets[index] ?? -1;
    if (!Number.isInteger(target) || target < 0 || target >= limit) throw context.bad(`target ${target} of ${limit}`);
    const at = next[node] ?? 0;
    next[node] = at + 1;
    weightTarget[at] = target;
    weight[at] = weights[index] ?? 0;
  });
  for (let node = 0; node < count; node++)
    if (mode[node] === Mode.LEAF && weightStart[node] === weightStart[node + 1])
      throw context.unsupported(`leaf ${node} without a weight`);
  return { weightStart, weightTarget, weight };
}

function checked(context: NodeContext, raw: Omit<Ensemble, "cover" | "shared" | "features">): Ensemble {
  const { mode, feature, whenTrue, whenFalse, roots } = raw;
  let features = 0;
  const parents = new Uint8Array(mode.length);
  for (let node = 0; node < mode.length; node++) {
    if (mode[node] === Mode.LEAF) continue;
    const index = feature[node] ?? -1;
    if (index < 0) throw context.bad(`node ${node} reads feature ${index}`);
    features = Math.max(features, index + 1);
    for (const child of [whenTrue[node] ?? 0, whenFalse[node] ?? 0])
      parents[child] = Math.min(2, (parents[child] ?? 0) + 1);
  }
  for (const root of roots) if ((parents[root] ?? 0) > 0) parents[root] = 2;
  const shared = parents.includes(2);
  // Where every node has one parent at most and roots have none, nothing that a root reaches can be a cycle.
  if (shared) refuseCycles(context, raw);
  const { node } = context;
  const text = context.model.metadata.get(treeCoverKey(node.outputs.find((output) => output !== "") ?? ""));
  const cover = text === undefined ? null : decodeTreeCover(text, mode.length);
  if (raw.base.length > 0 && raw.base.length !== raw.targets && raw.targets > 2)
    throw context.bad(`${raw.base.length} base values for ${raw.targets} targets`);
  return { ...raw, cover, shared, features };
}

const UNSEEN = 0;
const OPEN = 1;
const DONE = 2;

function refuseCycles(
  context: NodeContext,
  { mode, whenTrue, whenFalse, roots }: Pick<Ensemble, "mode" | "whenTrue" | "whenFalse" | "roots">,
): void {
  const state = new Uint8Array(mode.length);
  for (const root of roots) {
    const stack = [root];
    while (stack.length > 0) {
      const node = stack.at(-1) ?? 0;
      if (state[node] !== UNSEEN) {
        state[node] = DONE;
        stack.pop();
        continue;
      }
      state[node] = OPEN;
      if (mode[node] === Mode.LEAF) continue;
      for (const child of [whenTrue[node] ?? 0, whenFalse[node] ?? 0]) {
        if (state[child] === OPEN) throw context.bad(`the tree at node ${root} has a cycle through node ${child}`);
        if (state[child] === UNSEEN) stack.push(child);
      }
    }
  }
}
