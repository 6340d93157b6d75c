/**
 * The fast form of an ensemble: 8 bytes per node, a float32 threshold and a word of two 16-bit numbers: the slot of the
 * row to compare, and the distance to the right child; the left child precedes it. A row goes left where its slot is ≤ the
 * threshold. Every comparison becomes that one:
 *
 * - `x < t` is `x <= the float32 below t`; `>=` and `>` swap the children.
 * - A prepared row holds its features twice, then -infinity: first as they are (a missing value compares false, so it goes
 *   right), then with -infinity for a missing value (it goes left). A node reads the copy that sends missing values its way.
 * - A leaf compares the last slot (-infinity, always left) and is its own left child, so a walk of fixed length needs no
 *   test for leaves. The leaf's value (or its position in a table) stands where the threshold would.
 *
 * Nodes of a tree are in breadth-first order: the levels that every row visits share cache lines.
 */
import { type Ensemble, Mode } from "./ensemble.ts";

/** Distances and slots have 16 bits. */
const LARGEST_DISTANCE = 65_535;
export const LARGEST_SLOT = 16_383;

/** Trees walked together by the kernels; the table is padded to a multiple of it with empty trees. */
export const GROUP = 8;

export interface PackedTrees {
  /** Pairs of words: threshold or leaf payload (float32 bits), slot << 16 | distance to the right child. */
  readonly words: Uint32Array;
  /** Per tree: its first node, and the shortest and longest path to a leaf; padded with one-leaf trees to a whole group. */
  readonly first: Int32Array;
  readonly shortest: Int32Array;
  readonly longest: Int32Array;
  readonly trees: number;
  /** Nodes of the trees, without the padding. */
  readonly nodes: number;
  /** Columns of the ensemble's input. */
  readonly features: number;
  /** Floats of a prepared row. */
  readonly slots: number;
  /** Some node sends missing values left, so that prepared rows need the second copy. */
  readonly twoCopies: boolean;
  /** Node of the ensemble at each packed position. */
  readonly origin: Int32Array;
  /** The one target of each tree where payloads are leaf values; null where they are positions in `leaves`. */
  readonly target: Int32Array | null;
  readonly leaves: LeafTable | null;
}

/** Weights of leaf n: positions `start[n]` to `start[n + 1]`. */
export interface LeafTable {
  readonly start: Int32Array;
  readonly target: Int32Array;
  readonly weight: Float64Array;
}

/**
 * null where the ensemble does not fit this form.
 * @param indexed payloads are positions in a table; tried only where leaf values do not do
 */
export function packTrees(ensemble: Ensemble, features: number, indexed = false): PackedTrees | null {
  const { roots, mode, feature, threshold, missingTrue, whenTrue, whenFalse, weightStart, weightTarget, weight } =
    ensemble;
  const slots = 2 * features + 1;
  if (ensemble.shared || slots > LARGEST_SLOT) return null;
  const leaves = indexed ? newLeafTable(ensemble) : null;
  const target = indexed ? null : new Int32Array(roots.length).fill(-1);
  let leafCount = 0;
  const trees = roots.length;
  const padded = Math.ceil(trees / GROUP) * GROUP;
  const [first, shortest, longest] = [new Int32Array(padded), new Int32Array(padded), new Int32Array(padded)];
  const origin = new Int32Array(mode.length);
  const words = new Uint32Array(2 * (mode.length + 1));
  const floats = new Float32Array(words.buffer);
  const leafWord = ((slots - 1) << 16) | 1;
  let twoCopies = false;
  let end = 0;
  for (let tree = 0; tree < trees; tree++) {
    const start = end;
    first[tree] = start;
    origin[end++] = roots[tree] ?? 0;
    let levelEnd = end;
    let depth = 0;
    let shallow = -1;
    // `at` runs breadth-first over the nodes placed so far; each split places its two children.
    for (let at = start; at < end; at++) {
      if (at === levelEnd) {
        levelEnd = end;
        depth++;
      }
      const node = origin[at] ?? 0;
      if (mode[node] === Mode.LEAF) {
        if (shallow < 0) shallow = depth;
        words[2 * at + 1] = leafWord;
        if (target !== null) {
          const from = weightStart[node] ?? 0;
          if (!isSingleValue(ensemble, node, target[tree] ?? 0)) return packTrees(ensemble, features, true);
          target[tree] = weightTarget[from] ?? 0;
          floats[2 * at] = weight[from] ?? 0;
        } else if (leaves !== null) {
          words[2 * at] = leafCount;
          addLeaf(leaves, ensemble, node, leafCount++);
        }
        continue;
      }
      const comparison = mode[node] ?? 0;
      const bound = upperBound(comparison, threshold[node] ?? 0);
      const distance = end + 1 - at;
      if (Number.isNaN(bound) || distance > LARGEST_DISTANCE) return null;
      // Swapped children swap the side that missing values take.
      const swapped = comparison === Mode.GTE || comparison === Mode.GT;
      const missingLeft = (missingTrue[node] === 1) !== swapped;
      if (missingLeft) twoCopies = true;
      floats[2 * at] = bound;
      words[2 * at + 1] = (((feature[node] ?? 0) + (missingLeft ? features : 0)) << 16) | distance;
      origin[end++] = (swapped ? whenFalse[node] : whenTrue[node]) ?? 0;
      origin[end++] = (swapped ? whenTrue[node] : whenFalse[node]) ?? 0;
    }
    shortest[tree] = Math.max(0, shallow);
    longest[tree] = depth;
  }
  // The empty tree that pads the table: one leaf of value 0.
  words[2 * end + 1] = leafWord;
  first.fill(end, trees);
  return {
    words: words.subarray(0, 2 * (end + 1)),
    first,
    shortest,
    longest,
    trees,
    nodes: end,
    features,
    slots,
    twoCopies,
    origin: origin.subarray(0, end),
    target,
    leaves,
  };
}

function newLeafTable({ mode, weight }: Ensemble): LeafTable {
  let leaves = 0;
  for (let node = 0; node < mode.length; node++) if (mode[node] === Mode.LEAF) leaves++;
  return {
    start: new Int32Array(leaves + 1),
    target: new Int32Array(weight.length),
    weight: new Float64Array(weight.length),
  };
}

function addLeaf({ start, target, weight }: LeafTable, ensemble: Ensemble, node: number, leaf: number): void {
  let to = start[leaf] ?? 0;
  for (let at = ensemble.weightStart[node] ?? 0; at < (ensemble.weightStart[node + 1] ?? 0); at++, to++) {
    target[to] = ensemble.weightTarget[at] ?? 0;
    weight[to] = ensemble.weight[at] ?? 0;
  }
  start[leaf + 1] = to;
}

/** Whether a leaf has one float32 weight, for the target that the tree's other leaves have (-1: none known yet). */
function isSingleValue(ensemble: Ensemble, node: number, known: number): boolean {
  const from = ensemble.weightStart[node] ?? 0;
  const value = ensemble.weight[from] ?? 0;
  // Of several weights for one target ONNX Runtime takes the first.
  if (ensemble.targets > 1 && ensemble.weightStart[node + 1] !== from + 1) return false;
  // NaN would break the comparison that keeps a walk in its leaf.
  return (known === -1 || known === ensemble.weightTarget[from]) && Math.fround(value) === value;
}

/**
 * The bound of the comparison as "≤ bound" (of the opposite comparison for `>=` and `>`); NaN for comparisons that are no
 * order, for thresholds that float32 does not hold, and for "< -infinity", which nothing meets.
 */
function upperBound(comparison: number, threshold: number): number {
  if (comparison > Mode.GT || Math.fround(threshold) !== threshold) return Number.NaN;
  return comparison === Mode.LT || comparison === Mode.GTE ? float32Below(threshold) : threshold;
}

const BITS = new Int32Array(1);
const FLOAT = new Float32Array(BITS.buffer);

/** The largest float32 below `x`; NaN below -infinity. */
function float32Below(x: number): number {
  if (x === Number.NEGATIVE_INFINITY) return Number.NaN;
  FLOAT[0] = x === 0 ? 0 : x;
  const bits = BITS[0] ?? 0;
  // Of zero: the smallest negative denormal. Otherwise one step towards -infinity in the ordered bits.
  BITS[0] = x === 0 ? -0x7fff_ffff : x > 0 ? bits - 1 : bits + 1;
  return FLOAT[0] ?? 0;
}

type RowLayout = Pick<PackedTrees, "features" | "slots" | "twoCopies">;

/** Writes `rows` prepared rows to `out`. */
export function prepareRows(
  layout: RowLayout,
  x: ArrayLike<number>,
  from: number,
  rows: number,
  out: Float32Array,
): void {
  const { features, slots, twoCopies } = layout;
  for (let row = 0; row < rows; row++) {
    const source = from + row * features;
    const target = row * slots;
    for (let feature = 0; feature < features; feature++) {
      const value = x[source + feature] ?? 0;
      out[target + feature] = value;
      if (twoCopies) out[target + features + feature] = Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value;
    }
    out[target + slots - 1] = Number.NEGATIVE_INFINITY;
  }
}

/** Position of the leaf that a prepared row reaches in one tree. */
export function leafOf(
  words: Uint32Array,
  floats: Float32Array,
  root: number,
  row: Float32Array,
  from: number,
): number {
  let node = root;
  for (;;) {
    const word = words[2 * node + 1] ?? 0;
    const distance = word & 0xffff;
    if (distance === 1) return node;
    // A slot that is NaN compares false, so it goes right.
    node += (row[from + (word >>> 16)] ?? 0) <= (floats[2 * node] ?? 0) ? distance - 1 : distance;
  }
}
