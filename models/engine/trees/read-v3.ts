/** `TreeEnsembleRegressor` and `TreeEnsembleClassifier` of ai.onnx.ml as an `Ensemble`. */
import type { IntArray } from "../../onnx/model.ts";
import type { NodeContext } from "../operator.ts";
import { POST_TRANSFORMS } from "../post-transform.ts";
import type { NumericArray } from "../value.ts";
import { checkBase, checkedEnsemble, collectWeights, readCover } from "./check-ensemble.ts";
import { type Aggregate, type Ensemble, Mode } from "./ensemble.ts";
import { packByKernel } from "./kernel-pack.ts";
import { LARGEST_SLOT, type PackedTrees } from "./packed-trees.ts";

const MODES: Readonly<Record<string, number>> = {
  BRANCH_LEQ: Mode.LEQ,
  BRANCH_LT: Mode.LT,
  BRANCH_GTE: Mode.GTE,
  BRANCH_GT: Mode.GT,
  BRANCH_EQ: Mode.EQ,
  BRANCH_NEQ: Mode.NEQ,
  LEAF: Mode.LEAF,
};

const AGGREGATES: readonly Aggregate[] = ["SUM", "AVERAGE", "MIN", "MAX"];

const NO_INTS: IntArray = new Int32Array(0);

/** What the attributes of the two operators are called. */
export interface V3Names {
  readonly targets: number;
  readonly prefix: "target" | "class";
}

// The loops here run once per node in code that is not yet optimised: a fresh isolate waits for them. They make no
// objects and call no function per node.

/** An ensemble, and its packed form where the kernels made it: its arrays by node are then empty. */
export interface ReadTrees {
  readonly ensemble: Ensemble;
  readonly packed: PackedTrees | null;
}

/** The common form by the kernels where there are any; every other form, and every refusal, by the general reader. */
export function readV3(context: NodeContext, names: V3Names): ReadTrees {
  return commonV3(context, names) ?? { ensemble: generalV3(context, names), packed: null };
}

const EMPTY: Omit<
  Ensemble,
  "roots" | "weightTarget" | "weight" | "targets" | "base" | "aggregate" | "transform" | "cover"
> = {
  mode: new Uint8Array(0),
  feature: new Int32Array(0),
  threshold: new Float64Array(0),
  whenTrue: new Int32Array(0),
  whenFalse: new Int32Array(0),
  missingTrue: new Uint8Array(0),
  members: new Map(),
  weightStart: new Int32Array(0),
  shared: false,
  features: 0,
};

function commonV3(context: NodeContext, { targets, prefix }: V3Names): ReadTrees | null {
  const { kernelModule } = context.arena;
  const input = context.input(0);
  const width = input.dims.at(-1) ?? 0;
  const names = ["nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids"];
  const leafNames = [`${prefix}_treeids`, `${prefix}_nodeids`, `${prefix}_ids`];
  const [treeIds, nodeIds, feature, whenTrue, whenFalse] = names.map((name) => context.ints(name));
  const [weightTree, weightNode, weightTarget] = leafNames.map((name) => context.ints(name));
  const threshold = context.floats("nodes_values");
  const weight = context.floats(`${prefix}_weights`);
  const missing = context.ints("nodes_missing_value_tracks_true");
  const nodes = treeIds?.length ?? 0;
  if (kernelModule === null || input.type !== "float32" || !(width > 0 && 2 * width + 1 <= LARGEST_SLOT)) return null;
  if (!isColumn(treeIds, nodes) || !isColumn(nodeIds, nodes) || !isColumn(feature, nodes)) return null;
  if (!isColumn(whenTrue, nodes) || !isColumn(whenFalse, nodes) || threshold?.length !== nodes) return null;
  if (missing !== null && !isColumn(missing, nodes)) return null;
  const weights = weight?.length ?? 0;
  if (weight === null || !isColumn(weightTree, weights) || !isColumn(weightNode, weights)) return null;
  if (!isColumn(weightTarget, weights)) return null;
  const modes = readModes(context, nodes);
  const columns = { treeIds, nodeIds, modes, feature, threshold, whenTrue, whenFalse, missing, weight };
  const packed = packByKernel(kernelModule, { ...columns, weightTree, weightNode, weightTarget }, width);
  const target = packed?.target ?? null;
  if (packed === null || target === null || target.some((index) => index >= targets)) return null;
  const base = new Float64Array(numbers(context, "base_values") ?? new Float64Array(0));
  checkBase(context, { base, targets });
  const ensemble: Ensemble = {
    ...EMPTY,
    roots: packed.first.subarray(0, packed.trees),
    weightTarget,
    weight: new Float64Array(weight),
    targets,
    base,
    aggregate: oneOf(context, "aggregate_function", AGGREGATES, "SUM"),
    transform: oneOf(context, "post_transform", POST_TRANSFORMS, "NONE"),
    cover: readCover(context, nodes),
  };
  return { ensemble, packed };
}

function isColumn(ints: IntArray | null | undefined, length: number): ints is Int32Array {
  return ints instanceof Int32Array && ints.length === length;
}

function generalV3(context: NodeContext, { targets, prefix }: V3Names): Ensemble {
  const treeIds = context.ints("nodes_treeids") ?? NO_INTS;
  const nodeIds = context.ints("nodes_nodeids") ?? NO_INTS;
  const feature = context.ints("nodes_featureids") ?? NO_INTS;
  const threshold = numbers(context, "nodes_values") ?? new Float32Array(0);
  const count = treeIds.length;
  for (const column of [nodeIds, feature, threshold])
    if (column.length !== count) throw context.bad(`node attributes of ${column.length} and ${count} entries`);
  if (feature instanceof Float64Array && feature.some((index) => index !== (index | 0)))
    throw context.bad("a feature index beyond 32 bits");
  const positions = new NodePositions(context, treeIds, nodeIds);
  const mode = readModes(context, count);
  const weights = collectWeights(context, {
    count,
    mode,
    positions: positions.all(
      context.ints(`${prefix}_treeids`) ?? NO_INTS,
      context.ints(`${prefix}_nodeids`) ?? NO_INTS,
    ),
    targets: context.ints(`${prefix}_ids`) ?? NO_INTS,
    weights: numbers(context, `${prefix}_weights`) ?? new Float32Array(0),
    limit: targets,
  });
  return checkedEnsemble(context, {
    roots: positions.roots,
    mode,
    feature: feature instanceof Int32Array ? feature : new Int32Array(feature),
    threshold: new Float64Array(threshold),
    whenTrue: positions.children(context.ints("nodes_truenodeids") ?? NO_INTS, mode),
    whenFalse: positions.children(context.ints("nodes_falsenodeids") ?? NO_INTS, mode),
    missingTrue: flags(context.ints("nodes_missing_value_tracks_true"), count),
    members: new Map(),
    ...weights,
    targets,
    base: new Float64Array(numbers(context, "base_values") ?? new Float64Array(0)),
    aggregate: oneOf(context, "aggregate_function", AGGREGATES, "SUM"),
    transform: oneOf(context, "post_transform", POST_TRANSFORMS, "NONE"),
  });
}

function readModes(context: NodeContext, count: number): Uint8Array {
  const names = context.strings("nodes_modes") ?? [];
  if (names.length !== count) throw context.bad(`${names.length} modes for ${count} nodes`);
  const mode = new Uint8Array(count);
  let last = "";
  let code = -1;
  for (let node = 0; node < count; node++) {
    const name = names[node] ?? "";
    if (name !== last || code < 0) {
      code = Object.hasOwn(MODES, name) ? (MODES[name] ?? -1) : -1;
      if (code < 0) throw context.unsupported(`node mode "${name}"`);
      last = name;
    }
    mode[node] = code;
  }
  return mode;
}

/** 1 where the flag is 1; missing flags are 0. */
export function flags(given: IntArray | null, count: number): Uint8Array {
  const result = new Uint8Array(count);
  if (given === null) return result;
  const end = Math.min(count, given.length);
  for (let node = 0; node < end; node++) if (given[node] === 1) result[node] = 1;
  return result;
}

/** Numbers as floats or, in double precision, as a tensor. */
function numbers(context: NodeContext, name: string): NumericArray | null {
  return context.floats(name) ?? context.tensorNumbers(`${name}_as_tensor`);
}

function oneOf<T extends string>(context: NodeContext, name: string, known: readonly T[], otherwise: T): T {
  const given = context.string(name, otherwise);
  const found = known.find((value) => value === given);
  if (found === undefined) throw context.unsupported(`${name} "${given}"`);
  return found;
}

interface TreeRange {
  readonly start: number;
  readonly end: number;
  /** Positions by node id, where ids do not simply count up from 0. */
  readonly odd: ReadonlyMap<number, number> | null;
}

/** Positions of nodes by tree id and node id. */
class NodePositions {
  readonly roots: Int32Array;
  readonly #context: NodeContext;
  readonly #ranges = new Map<number, TreeRange>();
  readonly #order: TreeRange[] = [];

  constructor(context: NodeContext, treeIds: IntArray, nodeIds: IntArray) {
    this.#context = context;
    for (let start = 0; start < treeIds.length;) {
      const tree = treeIds[start] ?? 0;
      let end = start;
      let counting = true;
      for (; end < treeIds.length && treeIds[end] === tree; end++) if (nodeIds[end] !== end - start) counting = false;
      if (this.#ranges.has(tree)) throw context.unsupported(`the nodes of tree ${tree} are scattered`);
      const range = { start, end, odd: counting ? null : this.#indexed(tree, nodeIds, start, end) };
      this.#ranges.set(tree, range);
      this.#order.push(range);
      start = end;
    }
    this.roots = Int32Array.from(this.#order, ({ start }) => start);
  }

  /** Positions of the children of every split, by their node ids. */
  children(ids: IntArray, mode: Uint8Array): Int32Array {
    if (ids.length !== mode.length) throw this.#context.bad(`${ids.length} children for ${mode.length} nodes`);
    const positions = new Int32Array(ids.length);
    for (const { start, end, odd } of this.#order) {
      const size = end - start;
      for (let node = start; node < end; node++) {
        if (mode[node] === Mode.LEAF) continue;
        const id = ids[node] ?? -1;
        const position = odd === null ? id : (odd.get(id) ?? start - 1) - start;
        if (!(position >= 0 && position < size)) throw this.#missing(start, id);
        positions[node] = start + position;
      }
    }
    return positions;
  }

  /** Positions of any nodes. */
  all(treeIds: IntArray, nodeIds: IntArray): Int32Array {
    if (treeIds.length !== nodeIds.length)
      throw this.#context.bad(`leaf attributes of ${treeIds.length} and ${nodeIds.length} entries`);
    const positions = new Int32Array(treeIds.length);
    let tree = Number.NaN;
    let range: TreeRange | undefined;
    for (let index = 0; index < treeIds.length; index++) {
      if (treeIds[index] !== tree) {
        tree = treeIds[index] ?? 0;
        range = this.#ranges.get(tree);
      }
      if (range === undefined) throw this.#context.bad(`a leaf is of tree ${tree}, which has no nodes`);
      const id = nodeIds[index] ?? -1;
      const position = range.odd === null ? range.start + id : (range.odd.get(id) ?? -1);
      if (!(position >= range.start && position < range.end)) throw this.#missing(range.start, id);
      positions[index] = position;
    }
    return positions;
  }

  #indexed(tree: number, nodeIds: IntArray, start: number, end: number): Map<number, number> {
    const positions = new Map<number, number>();
    for (let node = start; node < end; node++) {
      const id = nodeIds[node] ?? 0;
      if (positions.has(id)) throw this.#context.bad(`tree ${tree} has node ${id} twice`);
      positions.set(id, node);
    }
    return positions;
  }

  #missing(start: number, id: number): Error {
    return this.#context.bad(`the tree that starts at node ${start} has no node ${id}`);
  }
}
