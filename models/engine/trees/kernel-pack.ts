import { loadKernels } from "../kernels.ts";
import { GROUP, type PackedTrees } from "./packed-trees.ts";

/** Attributes of `TreeEnsembleRegressor` or `TreeEnsembleClassifier` in their common form: 32-bit columns. */
export interface V3Columns {
  readonly treeIds: Int32Array;
  readonly nodeIds: Int32Array;
  /** `Mode` by node. */
  readonly modes: Uint8Array;
  readonly feature: Int32Array;
  readonly threshold: Float32Array;
  readonly whenTrue: Int32Array;
  readonly whenFalse: Int32Array;
  readonly missing: Int32Array | null;
  readonly weightTree: Int32Array;
  readonly weightNode: Int32Array;
  readonly weightTarget: Int32Array;
  readonly weight: Float32Array;
}

const PAGE_BYTES = 65_536;
/** Words that the kernel writes per tree: first position, shortest and longest path, target. */
const TREE_WORDS = 4;

/**
 * Packs trees in WebAssembly, which runs fast from its first call: a fresh isolate would spend most of a load in code
 * that is not optimised yet. null where anything is uncommon or wrong: the general reader sorts that out.
 */
export function packByKernel(module: WebAssembly.Module, columns: V3Columns, features: number): PackedTrees | null {
  const nodes = columns.treeIds.length;
  const weights = columns.weight.length;
  const placed: { array: Int32Array | Float32Array | Uint8Array; offset: number }[] = [];
  let end = 64;
  const place = (bytes: number): number => {
    const offset = end;
    end = Math.ceil((end + bytes) / 16) * 16;
    return offset;
  };
  const put = (array: Int32Array | Float32Array | Uint8Array): number => {
    const offset = place(array.byteLength);
    placed.push({ array, offset });
    return offset;
  };
  const addresses = [
    put(columns.treeIds),
    put(columns.nodeIds),
    put(columns.modes),
    put(columns.feature),
    put(columns.threshold),
    put(columns.whenTrue),
    put(columns.whenFalse),
    columns.missing === null ? 0 : put(columns.missing),
    put(columns.weightTree),
    put(columns.weightNode),
    put(columns.weightTarget),
    put(columns.weight),
  ];
  const leafIndex = place(4 * nodes);
  const words = place(8 * (nodes + 1));
  const origin = place(4 * nodes);
  const trees = place(4 * TREE_WORDS * nodes);
  const memory = new WebAssembly.Memory({ initial: Math.ceil(end / PAGE_BYTES) });
  for (const { array, offset } of placed)
    new Uint8Array(memory.buffer, offset, array.byteLength).set(
      new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
    );
  const kernels = loadKernels(module, memory);
  const found = kernels.packV3(nodes, weights, features, ...addresses, leafIndex, words, origin, trees);
  if (found === 0) return null;
  const count = Math.abs(found);
  const table = new Int32Array(memory.buffer, trees, TREE_WORDS * count);
  return {
    ...paddedTable(table, count, nodes),
    words: withEmptyTree(new Uint32Array(memory.buffer, words, 2 * (nodes + 1)), nodes, features),
    trees: count,
    nodes,
    features,
    slots: 2 * features + 1,
    twoCopies: found < 0,
    origin: new Int32Array(memory.buffer, origin, nodes).slice(),
    leaves: null,
  };
}

type Table = Pick<PackedTrees, "first" | "shortest" | "longest"> & { readonly target: Int32Array };

/** Columns of the table, padded to a whole group by trees that start at the empty one. */
function paddedTable(table: Int32Array, count: number, empty: number): Table {
  const padded = Math.ceil(count / GROUP) * GROUP;
  const result = {
    first: new Int32Array(padded).fill(empty),
    shortest: new Int32Array(padded),
    longest: new Int32Array(padded),
    target: new Int32Array(count),
  };
  for (let tree = 0; tree < count; tree++) {
    result.first[tree] = table[TREE_WORDS * tree] ?? 0;
    result.shortest[tree] = table[TREE_WORDS * tree + 1] ?? 0;
    result.longest[tree] = table[TREE_WORDS * tree + 2] ?? 0;
    result.target[tree] = table[TREE_WORDS * tree + 3] ?? 0;
  }
  return result;
}

/** A copy of the packed words with the one-leaf tree of value 0 behind them. */
function withEmptyTree(words: Uint32Array, nodes: number, features: number): Uint32Array {
  const copy = words.slice();
  copy[2 * nodes] = 0;
  copy[2 * nodes + 1] = ((2 * features) << 16) | 1;
  return copy;
}
