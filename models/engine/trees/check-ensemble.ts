/** What a walk relies on: weights for every leaf, features and children in range, no cycles. */
import { decodeTreeCover, treeCoverKey } from "../../onnx/tree-cover.ts";
import type { NodeContext } from "../operator.ts";
import { type Ensemble, Mode } from "./ensemble.ts";

export interface WeightFields {
  readonly count: number;
  readonly mode: Uint8Array;
  /** Node of each weight. */
  readonly positions: Int32Array;
  readonly targets: ArrayLike<number>;
  readonly weights: ArrayLike<number>;
  /** Number of targets. */
  readonly limit: number;
}

type Weights = Pick<Ensemble, "weightStart" | "weightTarget" | "weight">;

/** Weights by leaf, in file order within a leaf; those of split nodes are ignored, as ONNX Runtime does. */
export function collectWeights(context: NodeContext, fields: WeightFields): Weights {
  const { count, mode, positions, targets, weights, limit } = fields;
  if (targets.length !== positions.length || weights.length !== positions.length)
    throw context.bad(`${weights.length} weights and ${targets.length} targets for ${positions.length} leaves`);
  if (!(limit >= 1)) throw context.bad(`${limit} targets`);
  const ordered = orderedWeights(context, fields);
  if (ordered !== null) return ordered;
  const weightStart = new Int32Array(count + 1);
  for (let index = 0; index < positions.length; index++) {
    const node = positions[index] ?? 0;
    if (mode[node] === Mode.LEAF) weightStart[node + 1] = (weightStart[node + 1] ?? 0) + 1;
  }
  let total = 0;
  for (let node = 0; node < count; node++) {
    const own = weightStart[node + 1] ?? 0;
    // ONNX Runtime runs such a file, so it is not broken; it is left to that engine.
    if (own === 0 && mode[node] === Mode.LEAF) throw context.unsupported(`leaf ${node} without a weight`);
    total += own;
    weightStart[node + 1] = total;
  }
  const weightTarget = new Int32Array(total);
  const weight = new Float64Array(total);
  const next = weightStart.slice();
  for (let index = 0; index < positions.length; index++) {
    const node = positions[index] ?? 0;
    if (mode[node] !== Mode.LEAF) continue;
    const target = targets[index] ?? -1;
    if (!(target >= 0 && target < limit)) throw context.bad(`target ${target} of ${limit}`);
    const at = next[node] ?? 0;
    next[node] = at + 1;
    weightTarget[at] = target;
    weight[at] = weights[index] ?? 0;
  }
  return { weightStart, weightTarget, weight };
}

/** One weight per leaf, in the order of the leaves: what every exporter of boosted trees writes. null otherwise. */
function orderedWeights(context: NodeContext, fields: WeightFields): Weights | null {
  const { count, mode, positions, targets, weights, limit } = fields;
  const weightStart = new Int32Array(count + 1);
  let index = 0;
  for (let node = 0; node < count; node++) {
    weightStart[node] = index;
    if (mode[node] !== Mode.LEAF) continue;
    if (positions[index] !== node) return null;
    const target = targets[index] ?? -1;
    if (!(target >= 0 && target < limit)) throw context.bad(`target ${target} of ${limit}`);
    index++;
  }
  weightStart[count] = index;
  if (index !== positions.length) return null;
  return { weightStart, weightTarget: new Int32Array(targets), weight: new Float64Array(weights) };
}

/** The ensemble with what follows from its arrays. @throws OnnxError where it cannot be walked */
export function checkedEnsemble(context: NodeContext, raw: Omit<Ensemble, "cover" | "shared" | "features">): Ensemble {
  const { mode, feature, whenTrue, whenFalse, roots } = raw;
  let highest = -1;
  const parents = new Uint8Array(mode.length);
  let shared = false;
  for (let node = 0; node < mode.length; node++) {
    if (mode[node] === Mode.LEAF) continue;
    const index = feature[node] ?? -1;
    if (index < 0) throw context.bad(`node ${node} reads feature ${index}`);
    if (index > highest) highest = index;
    const [yes, no] = [whenTrue[node] ?? 0, whenFalse[node] ?? 0];
    if (parents[yes] === 1 || parents[no] === 1 || yes === no) shared = true;
    parents[yes] = 1;
    parents[no] = 1;
  }
  for (const root of roots) if (parents[root] === 1) shared = true;
  // Where every node has one parent at most and roots have none, nothing that a root reaches can be a cycle.
  if (shared) refuseCycles(context, raw);
  checkBase(context, raw);
  return { ...raw, cover: readCover(context, mode.length), shared, features: highest + 1 };
}

/** Covers of the node's trees, from the model's metadata. */
export function readCover({ node, model }: NodeContext, nodes: number): Float64Array | null {
  const text = model.metadata.get(treeCoverKey(node.outputs.find((output) => output !== "") ?? ""));
  return text === undefined ? null : decodeTreeCover(text, nodes);
}

export function checkBase(context: NodeContext, { base, targets }: Pick<Ensemble, "base" | "targets">): void {
  if (base.length > 0 && base.length !== targets && targets > 2)
    throw context.bad(`${base.length} base values for ${targets} targets`);
}

const UNSEEN = 0;
const OPEN = 1;
const DONE = 2;

type Links = Pick<Ensemble, "mode" | "whenTrue" | "whenFalse" | "roots">;

function refuseCycles(context: NodeContext, { mode, whenTrue, whenFalse, roots }: Links): void {
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
