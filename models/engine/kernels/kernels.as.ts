/**
 * The inner loops of the compact engine: AssemblyScript, compiled to `kernels.wasm` by
 * `node test/support/build-engine-kernels.ts`.
 *
 * Laws. No state of its own and no static data: every byte lies in the imported memory at addresses the caller gives.
 * Layouts are those of `trees/packed-trees.ts`, `trees/tree-shap.ts` and `operators/dense.ts`.
 */

/** Bytes of a packed node: float32 threshold or leaf value, then slot << 16 | distance to the right child. */
const NODE: usize = 8;
/** Trees, or rows, that are walked side by side so that their loads overlap. */
const GROUP: usize = 8;
/** Bytes of a group in the tree table: eight addresses of roots, shortest path, longest path. */
const GROUP_BYTES: usize = 40;

// ---- Trees ---------------------------------------------------------------------------------------------------------

/** A prepared row: the features, the features with -infinity for NaN (if `copies` is 2), and -infinity. */
export function prepareRow(x: usize, features: u32, copies: u32, out: usize): void {
  const bytes = <usize>features << 2;
  const last = out + (bytes << 1);
  for (let at: usize = 0; at < bytes; at += 4) {
    const value = load<f32>(x + at);
    store<f32>(out + at, value);
    if (copies == 2) store<f32>(out + bytes + at, value == value ? value : -Infinity);
  }
  store<f32>(last, -Infinity);
}

/** Eight prepared rows side by side: slot s of row r at (s * 8 + r). */
export function prepareEight(x: usize, features: u32, copies: u32, out: usize): void {
  const bytes = <usize>features << 2;
  const half = bytes << 3;
  for (let row: usize = 0; row < GROUP; row++) {
    const source = x + row * bytes;
    let target = out + (row << 2);
    for (let at: usize = 0; at < bytes; at += 4, target += 32) {
      const value = load<f32>(source + at);
      store<f32>(target, value);
      if (copies == 2) store<f32>(target + half, value == value ? value : -Infinity);
    }
    store<f32>(out + (half << 1) + (row << 2), -Infinity);
  }
}

// @ts-ignore: decorator
@inline
function next(node: usize, row: usize): usize {
  const word = load<u32>(node, 4);
  const goesLeft = load<f32>(row + <usize>((word >>> 14) & 0x3fffc)) <= load<f32>(node);
  return node + <usize>((word & 0xffff) << 3) - (<usize>goesLeft << 3);
}

/**
 * The leaves that one prepared row reaches in all trees: their values summed in order, or with `leaves` not 0 written
 * there, one word per tree.
 */
export function walkRow(row: usize, table: usize, groups: u32, leaves: usize): f32 {
  let sum: f32 = 0;
  for (const end = table + <usize>groups * GROUP_BYTES; table < end; table += GROUP_BYTES) {
    let n0: usize = load<u32>(table, 0);
    let n1: usize = load<u32>(table, 4);
    let n2: usize = load<u32>(table, 8);
    let n3: usize = load<u32>(table, 12);
    let n4: usize = load<u32>(table, 16);
    let n5: usize = load<u32>(table, 20);
    let n6: usize = load<u32>(table, 24);
    let n7: usize = load<u32>(table, 28);
    let steps = load<u32>(table, 32);
    let rest = load<u32>(table, 36) - steps;
    for (; steps > 0; steps--) {
      n0 = next(n0, row);
      n1 = next(n1, row);
      n2 = next(n2, row);
      n3 = next(n3, row);
      n4 = next(n4, row);
      n5 = next(n5, row);
      n6 = next(n6, row);
      n7 = next(n7, row);
    }
    // Some trees have leaves from here on: stop as soon as no walk moves. Addresses only grow, so the sum tells.
    for (; rest > 0; rest--) {
      const before = n0 + n1 + n2 + n3 + n4 + n5 + n6 + n7;
      n0 = next(n0, row);
      n1 = next(n1, row);
      n2 = next(n2, row);
      n3 = next(n3, row);
      n4 = next(n4, row);
      n5 = next(n5, row);
      n6 = next(n6, row);
      n7 = next(n7, row);
      if (n0 + n1 + n2 + n3 + n4 + n5 + n6 + n7 == before) break;
    }
    if (leaves != 0) {
      store<u32>(leaves, load<u32>(n0), 0);
      store<u32>(leaves, load<u32>(n1), 4);
      store<u32>(leaves, load<u32>(n2), 8);
      store<u32>(leaves, load<u32>(n3), 12);
      store<u32>(leaves, load<u32>(n4), 16);
      store<u32>(leaves, load<u32>(n5), 20);
      store<u32>(leaves, load<u32>(n6), 24);
      store<u32>(leaves, load<u32>(n7), 28);
      leaves += 32;
    } else {
      sum += load<f32>(n0);
      sum += load<f32>(n1);
      sum += load<f32>(n2);
      sum += load<f32>(n3);
      sum += load<f32>(n4);
      sum += load<f32>(n5);
      sum += load<f32>(n6);
      sum += load<f32>(n7);
    }
  }
  return sum;
}

// @ts-ignore: decorator
@inline
function nextOf(node: usize, rows: usize, row: usize): usize {
  const word = load<u32>(node, 4);
  const goesLeft = load<f32>(rows + <usize>((word >>> 11) & 0x1fffe0) + row) <= load<f32>(node);
  return node + <usize>((word & 0xffff) << 3) - (<usize>goesLeft << 3);
}

/**
 * As `walkRow` for `blocks` blocks of eight prepared rows each: every tree is walked for all rows before the next one, so
 * that it stays in the nearest cache. Sums go to `sums`, one float per row; leaves to (tree * 8 + row) of one block.
 */
export function walkEights(rows: usize, blocks: u32, blockBytes: u32, table: usize, groups: u32, sums: usize, leaves: usize): void {
  if (leaves == 0) memory.fill(sums, 0, <usize>blocks << 5);
  for (const end = table + <usize>groups * GROUP_BYTES; table < end; table += GROUP_BYTES)
    for (let member: usize = 0; member < GROUP; member++) {
      const root: usize = load<u32>(table + (member << 2));
      const shortest = load<u32>(table, 32);
      const longest = load<u32>(table, 36);
      let block = rows;
      let sum = sums;
      for (let index: u32 = 0; index < blocks; index++, block += <usize>blockBytes, sum += 32) {
        let n0 = root;
        let n1 = root;
        let n2 = root;
        let n3 = root;
        let n4 = root;
        let n5 = root;
        let n6 = root;
        let n7 = root;
        for (let steps = shortest; steps > 0; steps--) {
          n0 = nextOf(n0, block, 0);
          n1 = nextOf(n1, block, 4);
          n2 = nextOf(n2, block, 8);
          n3 = nextOf(n3, block, 12);
          n4 = nextOf(n4, block, 16);
          n5 = nextOf(n5, block, 20);
          n6 = nextOf(n6, block, 24);
          n7 = nextOf(n7, block, 28);
        }
        for (let rest = longest - shortest; rest > 0; rest--) {
          const before = n0 + n1 + n2 + n3 + n4 + n5 + n6 + n7;
          n0 = nextOf(n0, block, 0);
          n1 = nextOf(n1, block, 4);
          n2 = nextOf(n2, block, 8);
          n3 = nextOf(n3, block, 12);
          n4 = nextOf(n4, block, 16);
          n5 = nextOf(n5, block, 20);
          n6 = nextOf(n6, block, 24);
          n7 = nextOf(n7, block, 28);
          if (n0 + n1 + n2 + n3 + n4 + n5 + n6 + n7 == before) break;
        }
        if (leaves != 0) {
          store<u32>(leaves, load<u32>(n0), 0);
          store<u32>(leaves, load<u32>(n1), 4);
          store<u32>(leaves, load<u32>(n2), 8);
          store<u32>(leaves, load<u32>(n3), 12);
          store<u32>(leaves, load<u32>(n4), 16);
          store<u32>(leaves, load<u32>(n5), 20);
          store<u32>(leaves, load<u32>(n6), 24);
          store<u32>(leaves, load<u32>(n7), 28);
          leaves += 32;
        } else {
          store<f32>(sum, load<f32>(sum, 0) + load<f32>(n0), 0);
          store<f32>(sum, load<f32>(sum, 4) + load<f32>(n1), 4);
          store<f32>(sum, load<f32>(sum, 8) + load<f32>(n2), 8);
          store<f32>(sum, load<f32>(sum, 12) + load<f32>(n3), 12);
          store<f32>(sum, load<f32>(sum, 16) + load<f32>(n4), 16);
          store<f32>(sum, load<f32>(sum, 20) + load<f32>(n5), 20);
          store<f32>(sum, load<f32>(sum, 24) + load<f32>(n6), 24);
          store<f32>(sum, load<f32>(sum, 28) + load<f32>(n7), 28);
        }
      }
    }
}

// ---- Packing -------------------------------------------------------------------------------------------------------

/** The largest float32 below `x`; NaN below -infinity. */
function below(x: f32): f32 {
  if (x == -Infinity) return NaN;
  if (x == 0) return reinterpret<f32>(0x80000001);
  const bits = reinterpret<u32>(x);
  return reinterpret<f32>(x > 0 ? bits - 1 : bits + 1);
}

/**
 * Packs the common form of `TreeEnsembleRegressor` and `TreeEnsembleClassifier`: trees one after the other, node ids that
 * count up, ordered comparisons, one weight per leaf in the order of the leaves, one target per tree. Attributes are
 * columns of words (modes are bytes), `weightTree` to `weight` one entry per leaf. Writes the packed nodes to `words`, the
 * node at each packed position to `origin`, and first position, shortest and longest path and target of each tree to
 * `trees`. Returns the number of trees, negated where some node sends missing values left; 0 where anything is uncommon
 * or wrong, which the general reader then sorts out.
 */
export function packV3(
  nodes: u32,
  weights: u32,
  columns: u32,
  treeIds: usize,
  nodeIds: usize,
  modes: usize,
  feature: usize,
  threshold: usize,
  whenTrue: usize,
  whenFalse: usize,
  missing: usize,
  weightTree: usize,
  weightNode: usize,
  weightTarget: usize,
  weight: usize,
  leafIndex: usize,
  words: usize,
  origin: usize,
  trees: usize,
): i32 {
  const leafWord = ((2 * columns) << 16) | 1;
  let count: i32 = 0;
  let leaves: u32 = 0;
  let end: u32 = 0;
  let missingLeft = false;
  for (let start: u32 = 0; start < nodes; count++, trees += 16) {
    const tree = load<u32>(treeIds + (<usize>start << 2));
    let stop = start;
    for (; stop < nodes && load<u32>(treeIds + (<usize>stop << 2)) == tree; stop++) {
      if (load<u32>(nodeIds + (<usize>stop << 2)) != stop - start) return 0;
      if (load<u8>(modes + <usize>stop) != 7) continue;
      const at = <usize>leaves << 2;
      if (leaves >= weights || load<u32>(weightTree + at) != tree || load<u32>(weightNode + at) != stop - start) return 0;
      store<u32>(leafIndex + (<usize>stop << 2), leaves++);
    }
    const size = stop - start;
    const first = end;
    store<u32>(origin + (<usize>(end++) << 2), start);
    let target: i32 = -1;
    let depth: u32 = 0;
    let shallow: u32 = 0xffff;
    let levelEnd = end;
    for (let at = first; at < end; at++) {
      if (at == levelEnd) {
        levelEnd = end;
        depth++;
      }
      const node = <usize>load<u32>(origin + (<usize>at << 2));
      const word = words + (<usize>at << 3);
      const mode = load<u8>(modes + node);
      if (mode == 7) {
        if (depth < shallow) shallow = depth;
        const leaf = <usize>load<u32>(leafIndex + (node << 2)) << 2;
        const own = load<i32>(weightTarget + leaf);
        const value = load<f32>(weight + leaf);
        if (value != value || own < 0 || (target >= 0 && own != target)) return 0;
        target = own;
        store<f32>(word, value);
        store<u32>(word, leafWord, 4);
        continue;
      }
      const column = load<u32>(feature + (node << 2));
      let bound = load<f32>(threshold + (node << 2));
      // 0: <=, 1: <, 2: >=, 3: >; a strict bound is the one below, and >= and > swap the children.
      if (mode == 1 || mode == 2) bound = below(bound);
      if (mode > 3 || bound != bound || column >= columns) return 0;
      const swapped = mode >= 2;
      const left = (missing != 0 && load<u32>(missing + (node << 2)) == 1) != swapped;
      if (left) missingLeft = true;
      const yes = load<u32>(whenTrue + (node << 2));
      const no = load<u32>(whenFalse + (node << 2));
      const distance = end + 1 - at;
      // A node that is reached twice makes more places than there are nodes: shared branches and cycles end here.
      if (yes >= size || no >= size || distance > 0xffff || end - first + 2 > size) return 0;
      store<f32>(word, bound);
      store<u32>(word, ((left ? column + columns : column) << 16) | distance, 4);
      store<u32>(origin + (<usize>(end++) << 2), start + (swapped ? no : yes));
      store<u32>(origin + (<usize>(end++) << 2), start + (swapped ? yes : no));
    }
    // Nodes that no path reaches.
    if (end != stop) return 0;
    store<u32>(trees, first, 0);
    store<u32>(trees, shallow, 4);
    store<u32>(trees, depth, 8);
    store<i32>(trees, target, 12);
    start = stop;
  }
  if (leaves != weights) return 0;
  return missingLeft ? -count : count;
}

// ---- TreeSHAP ------------------------------------------------------------------------------------------------------

/*
 * The algorithm is told in `trees/tree-shap.ts`. A node's record in `scratch`: `pairs` vectors of two products, `pairs`
 * vectors of 1 / factor of its feature (valid where `one` is 1), then `zero` and `one` (f64 each). A pair of quadrature
 * points in `points`: t, 1 - t, weight, -weight / (1 - t), two doubles each.
 */

// @ts-ignore: decorator
@inline
function coverOf(covers: usize, wide: bool, at: usize): f64 {
  return wide ? load<f64>(covers + (at << 3)) : <f64>load<u32>(covers + (at << 2));
}

/** Mean leaf values below each node of a tree, into `means`. */
function nodeMeans(nodes: usize, count: u32, covers: usize, wide: bool, means: usize): void {
  for (let at = <isize>count - 1; at >= 0; at--) {
    const node = nodes + (<usize>at << 3);
    const distance = <usize>(load<u32>(node, 4) & 0xffff);
    const mean = means + (<usize>at << 3);
    if (distance == 1) {
      store<f64>(mean, <f64>load<f32>(node));
      continue;
    }
    const right = <usize>at + distance;
    const whole = coverOf(covers, wide, <usize>at);
    const l = whole == 0 ? 0.5 : coverOf(covers, wide, right - 1) / whole;
    const r = whole == 0 ? 0.5 : coverOf(covers, wide, right) / whole;
    store<f64>(mean, l * load<f64>(means + ((right - 1) << 3)) + r * load<f64>(means + (right << 3)));
  }
}

/** Mean leaf value of a tree. */
export function treeMean(nodes: usize, count: u32, covers: usize, wide: bool, scratch: usize): f64 {
  nodeMeans(nodes, count, covers, wide, scratch);
  return load<f64>(scratch);
}

/**
 * For each split, the position of the node below the nearest split above on the same feature, on the way here; 0 where
 * there is none. `scratch` has room for two words a node: its feature and its parent.
 */
export function linkFeatures(nodes: usize, count: u32, features: u32, previous: usize, scratch: usize): void {
  for (let at: usize = 0; at < <usize>count; at++) {
    const word = load<u32>(nodes + (at << 3), 4);
    const distance = <usize>(word & 0xffff);
    if (distance == 1) continue;
    const slot = word >>> 16;
    const feature = slot >= features ? slot - features : slot;
    store<u32>(scratch + (at << 3), feature);
    let found = at;
    while (found != 0) {
      const parent = <usize>load<u32>(scratch + (found << 3), 4);
      if (load<u32>(scratch + (parent << 3)) == feature) break;
      found = parent;
    }
    store<u16>(previous + (at << 1), <u16>found);
    store<u32>(scratch + ((at + distance - 1) << 3), <u32>at, 4);
    store<u32>(scratch + ((at + distance) << 3), <u32>at, 4);
  }
}

/** Adds the path attribution of one tree to `values`; returns the value of the leaf that the row reaches. */
export function pathTree(
  nodes: usize,
  count: u32,
  covers: usize,
  wide: bool,
  row: usize,
  features: u32,
  scratch: usize,
  values: usize,
): f64 {
  nodeMeans(nodes, count, covers, wide, scratch);
  let at: usize = 0;
  for (;;) {
    const word = load<u32>(nodes + (at << 3), 4);
    const distance = <usize>(word & 0xffff);
    const mean = load<f64>(scratch + (at << 3));
    if (distance == 1) return mean;
    const slot = word >>> 16;
    const goesLeft = load<f32>(row + (<usize>slot << 2)) <= load<f32>(nodes + (at << 3));
    at += distance - <usize>goesLeft;
    const value = values + (<usize>(slot >= features ? slot - features : slot) << 3);
    store<f64>(value, load<f64>(value) + load<f64>(scratch + (at << 3)) - mean);
  }
  return 0;
}

/** Adds the exact contributions of one tree to `values`; returns the value of the leaf that the row reaches. */
export function shapTree(
  nodes: usize,
  count: u32,
  covers: usize,
  wide: bool,
  previous: usize,
  row: usize,
  features: u32,
  points: usize,
  pairs: u32,
  scratch: usize,
  values: usize,
): f64 {
  const vectors = <usize>pairs << 4;
  const record = (vectors << 1) + 16;
  const tail = vectors << 1;
  const ones = f64x2.splat(1);
  for (let at: usize = 0; at < vectors; at += 16) {
    v128.store(scratch + at, ones);
    v128.store(scratch + vectors + at, ones);
  }
  store<f64>(scratch + tail, 1, 0);
  store<f64>(scratch + tail, 1, 8);
  let own = scratch;
  for (let at: usize = 0; at < <usize>count; at++, own += record) {
    const word = load<u32>(nodes + (at << 3), 4);
    const distance = <usize>(word & 0xffff);
    const bound = load<f32>(nodes + (at << 3));
    if (distance == 1) {
      const value = f64x2.splat(<f64>bound);
      for (let k: usize = 0; k < vectors; k += 16) v128.store(own + k, f64x2.mul(v128.load(own + k), value));
      continue;
    }
    const goesLeft = load<f32>(row + (<usize>(word >>> 16) << 2)) <= bound;
    // Of a feature without an earlier split, the root's record stands in: zero and one are 1, and so is its factor.
    const before = scratch + <usize>load<u16>(previous + (at << 1)) * record;
    const zBefore = load<f64>(before + tail, 0);
    const oBefore = load<f64>(before + tail, 8);
    const whole = coverOf(covers, wide, at);
    const left = own + (distance - 1) * record;
    const right = left + record;
    const lPart = whole == 0 ? 0.5 : coverOf(covers, wide, at + distance - 1) / whole;
    const rPart = whole == 0 ? 0.5 : coverOf(covers, wide, at + distance) / whole;
    store<f64>(left + tail, zBefore * lPart, 0);
    store<f64>(right + tail, zBefore * rPart, 0);
    if (oBefore == 0) {
      store<f64>(left + tail, 0, 8);
      store<f64>(right + tail, 0, 8);
      const l = f64x2.splat(lPart);
      const r = f64x2.splat(rPart);
      for (let k: usize = 0; k < vectors; k += 16) {
        const product = v128.load(own + k);
        v128.store(left + k, f64x2.mul(product, l));
        v128.store(right + k, f64x2.mul(product, r));
      }
      continue;
    }
    const hot = goesLeft ? left : right;
    const cold = goesLeft ? right : left;
    store<f64>(hot + tail, 1, 8);
    store<f64>(cold + tail, 0, 8);
    const zHot = f64x2.splat(load<f64>(hot + tail));
    const zCold = f64x2.splat(load<f64>(cold + tail));
    let point = points;
    for (let k: usize = 0; k < vectors; k += 16, point += 64) {
      const t = v128.load(point);
      const rest = v128.load(point, 16);
      const product = f64x2.mul(v128.load(own + k), v128.load(before + vectors + k));
      const factor = f64x2.add(t, f64x2.mul(rest, zHot));
      v128.store(hot + k, f64x2.mul(product, factor));
      v128.store(hot + vectors + k, f64x2.div(ones, factor));
      v128.store(cold + k, f64x2.mul(product, f64x2.mul(rest, zCold)));
    }
  }
  own = scratch + record * <usize>count;
  for (let at = <isize>count - 1; at >= 0; at--) {
    own -= record;
    const word = load<u32>(nodes + (<usize>at << 3), 4);
    const distance = <usize>(word & 0xffff);
    if (distance == 1) continue;
    const before = scratch + <usize>load<u16>(previous + (<usize>at << 1)) * record;
    const left = own + (distance - 1) * record;
    const right = left + record;
    if (load<f64>(before + tail, 8) == 0) {
      // What failed above has had its say there: the terms of this split cancel.
      for (let k: usize = 0; k < vectors; k += 16)
        v128.store(own + k, f64x2.add(v128.load(left + k), v128.load(right + k)));
      continue;
    }
    const leftHot = load<f64>(left + tail, 8) == 1;
    const hot = leftHot ? left : right;
    const cold = leftHot ? right : left;
    const hotGain = f64x2.splat(1 - load<f64>(hot + tail));
    const replaced = f64x2.splat(1 - load<f64>(before + tail));
    let sum = f64x2.splat(0);
    let point = points;
    for (let k: usize = 0; k < vectors; k += 16, point += 64) {
      const h = v128.load(hot + k);
      const c = v128.load(cold + k);
      const both = f64x2.add(h, c);
      v128.store(own + k, both);
      const gain = f64x2.sub(
        f64x2.mul(f64x2.mul(h, hotGain), v128.load(hot + vectors + k)),
        f64x2.mul(f64x2.mul(both, replaced), v128.load(before + vectors + k)),
      );
      sum = f64x2.add(sum, f64x2.add(f64x2.mul(v128.load(point, 32), gain), f64x2.mul(v128.load(point, 48), c)));
    }
    const slot = word >>> 16;
    const value = values + (<usize>(slot >= features ? slot - features : slot) << 3);
    store<f64>(value, load<f64>(value) + f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
  }
  let at: usize = 0;
  for (;;) {
    const word = load<u32>(nodes + (at << 3), 4);
    const distance = <usize>(word & 0xffff);
    const bound = load<f32>(nodes + (at << 3));
    if (distance == 1) return <f64>bound;
    at += distance - <usize>(load<f32>(row + (<usize>(word >>> 16) << 2)) <= bound);
  }
  return 0;
}

// ---- Dense ---------------------------------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline
function fma(x: v128, y: v128, sum: v128): v128 {
  return f32x4.relaxed_madd(x, y, sum);
}

// @ts-ignore: decorator
@inline
function finish(value: v128, activation: u32): v128 {
  return activation == 1 ? f32x4.pmax(value, f32x4.splat(0)) : value;
}

/** Stores the first `columns` of eight. */
function storeTail(out: usize, low: v128, high: v128, columns: u32): void {
  if (columns >= 4) {
    v128.store(out, low);
    out += 16;
    columns -= 4;
    low = high;
  }
  if (columns >= 1) store<f32>(out, f32x4.extract_lane(low, 0), 0);
  if (columns >= 2) store<f32>(out, f32x4.extract_lane(low, 1), 4);
  if (columns >= 3) store<f32>(out, f32x4.extract_lane(low, 2), 8);
}

/** Stores eight columns, or as many as there are. */
function storeEight(out: usize, low: v128, high: v128, columns: u32): void {
  if (columns >= 8) {
    v128.store(out, low);
    v128.store(out, high, 16);
  } else storeTail(out, low, high, columns);
}

/** out = activation(x · packed + bias) over panels of eight columns: four rows at a time, then one. */
export function dense(
  x: usize,
  packed: usize,
  bias: usize,
  out: usize,
  height: u32,
  width: u32,
  depth: u32,
  activation: u32,
): void {
  const rowBytes = <usize>depth << 2;
  const outBytes = <usize>width << 2;
  const panelBytes = rowBytes << 3;
  for (let column: u32 = 0; column < width; column += 8, packed += panelBytes, bias += 32) {
    const low = v128.load(bias);
    const high = v128.load(bias, 16);
    const columns = width - column;
    let source = x;
    let target = out + (<usize>column << 2);
    let row: u32 = 0;
    for (; row + 4 <= height; row += 4) {
      let a0 = low;
      let b0 = high;
      let a1 = low;
      let b1 = high;
      let a2 = low;
      let b2 = high;
      let a3 = low;
      let b3 = high;
      let weight = packed;
      const s1 = source + rowBytes;
      const s2 = s1 + rowBytes;
      const s3 = s2 + rowBytes;
      for (let at: usize = 0; at < rowBytes; at += 4, weight += 32) {
        const w0 = v128.load(weight);
        const w1 = v128.load(weight, 16);
        let value = v128.load32_splat(source + at);
        a0 = fma(value, w0, a0);
        b0 = fma(value, w1, b0);
        value = v128.load32_splat(s1 + at);
        a1 = fma(value, w0, a1);
        b1 = fma(value, w1, b1);
        value = v128.load32_splat(s2 + at);
        a2 = fma(value, w0, a2);
        b2 = fma(value, w1, b2);
        value = v128.load32_splat(s3 + at);
        a3 = fma(value, w0, a3);
        b3 = fma(value, w1, b3);
      }
      a0 = finish(a0, activation);
      b0 = finish(b0, activation);
      a1 = finish(a1, activation);
      b1 = finish(b1, activation);
      a2 = finish(a2, activation);
      b2 = finish(b2, activation);
      a3 = finish(a3, activation);
      b3 = finish(b3, activation);
      if (columns >= 8) {
        v128.store(target, a0);
        v128.store(target, b0, 16);
        v128.store(target + outBytes, a1);
        v128.store(target + outBytes, b1, 16);
        v128.store(target + (outBytes << 1), a2);
        v128.store(target + (outBytes << 1), b2, 16);
        v128.store(target + outBytes * 3, a3);
        v128.store(target + outBytes * 3, b3, 16);
      } else {
        storeTail(target, a0, b0, columns);
        storeTail(target + outBytes, a1, b1, columns);
        storeTail(target + (outBytes << 1), a2, b2, columns);
        storeTail(target + outBytes * 3, a3, b3, columns);
      }
      source += rowBytes << 2;
      target += outBytes << 2;
    }
    for (; row < height; row++) {
      let a = low;
      let b = high;
      let weight = packed;
      for (let at: usize = 0; at < rowBytes; at += 4, weight += 32) {
        const value = v128.load32_splat(source + at);
        a = fma(value, v128.load(weight), a);
        b = fma(value, v128.load(weight, 16), b);
      }
      a = finish(a, activation);
      b = finish(b, activation);
      if (columns >= 8) {
        v128.store(target, a);
        v128.store(target, b, 16);
      } else storeTail(target, a, b, columns);
      source += rowBytes;
      target += outBytes;
    }
  }
}

/** Rows whose non-zero inputs are listed before the weights are read. */
const LISTED_ROWS: u32 = 32;

/**
 * Lists the non-zero inputs of a row: their values at `values`, the bytes from a panel's start to their weights at
 * `offsets`; returns how many. `moves` holds, for each pattern of four lanes that are kept, the bytes that bring those
 * lanes to the front.
 */
function listRow(x: usize, depth: u32, values: usize, offsets: usize, moves: usize): u32 {
  let listed: usize = 0;
  let offset = i32x4(0, 128, 256, 384);
  const zero = f32x4.splat(0);
  let left = depth;
  for (; left >= 4; left -= 4, x += 16) {
    const four = v128.load(x);
    const kept = i32x4.bitmask(f32x4.ne(four, zero));
    const move = v128.load(moves + (<usize>kept << 4));
    v128.store(values + (listed << 2), i8x16.relaxed_swizzle(four, move));
    v128.store(offsets + (listed << 2), i8x16.relaxed_swizzle(offset, move));
    offset = i32x4.add(offset, i32x4.splat(512));
    listed += <usize>popcnt(kept);
  }
  let next = i32x4.extract_lane(offset, 0);
  for (; left > 0; left--, x += 4, next += 128) {
    const value = load<f32>(x);
    store<f32>(values + (listed << 2), value);
    store<u32>(offsets + (listed << 2), next);
    listed += <usize>(value != 0);
  }
  return <u32>listed;
}

/**
 * As `dense` for inputs with many zeros (what a ReLU leaves): the non-zero inputs of each row are listed first, and only
 * their weights are read. Panels of 32 columns; `lists` has room for 32 rows of two times `depth` + 4 words, and for
 * their counts. Weights must be finite.
 */
export function denseSparse(
  x: usize,
  packed: usize,
  bias: usize,
  out: usize,
  height: u32,
  width: u32,
  depth: u32,
  activation: u32,
  lists: usize,
  moves: usize,
): void {
  const rowBytes = <usize>depth << 2;
  // Whole vectors are stored, so that a list may be overwritten by four words past its end.
  const halfBytes = rowBytes + 16;
  const listBytes = halfBytes << 1;
  const outBytes = <usize>width << 2;
  const panelBytes = rowBytes << 5;
  const counts = lists + listBytes * <usize>LISTED_ROWS;
  for (let first: u32 = 0; first < height; first += LISTED_ROWS) {
    const rows = min(LISTED_ROWS, height - first);
    for (let row: usize = 0; row < <usize>rows; row++, x += rowBytes) {
      const list = lists + row * listBytes;
      store<u32>(counts + (row << 2), listRow(x, depth, list, list + halfBytes, moves) << 2);
    }
    let panel = packed;
    let offset = bias;
    for (let column: u32 = 0; column < width; column += 32, panel += panelBytes, offset += 128) {
      let target = out + (<usize>column << 2);
      const columns = width - column;
      for (let row: usize = 0; row < <usize>rows; row++, target += outBytes) {
        let list = lists + row * listBytes;
        const end = list + <usize>load<u32>(counts + (row << 2));
        let s0 = v128.load(offset);
        let s1 = v128.load(offset, 16);
        let s2 = v128.load(offset, 32);
        let s3 = v128.load(offset, 48);
        let s4 = v128.load(offset, 64);
        let s5 = v128.load(offset, 80);
        let s6 = v128.load(offset, 96);
        let s7 = v128.load(offset, 112);
        for (; list < end; list += 4) {
          const value = v128.load32_splat(list);
          const weight = panel + <usize>load<u32>(list + halfBytes);
          s0 = fma(value, v128.load(weight), s0);
          s1 = fma(value, v128.load(weight, 16), s1);
          s2 = fma(value, v128.load(weight, 32), s2);
          s3 = fma(value, v128.load(weight, 48), s3);
          s4 = fma(value, v128.load(weight, 64), s4);
          s5 = fma(value, v128.load(weight, 80), s5);
          s6 = fma(value, v128.load(weight, 96), s6);
          s7 = fma(value, v128.load(weight, 112), s7);
        }
        storeEight(target, finish(s0, activation), finish(s1, activation), columns);
        if (columns > 8) storeEight(target + 32, finish(s2, activation), finish(s3, activation), columns - 8);
        if (columns > 16) storeEight(target + 64, finish(s4, activation), finish(s5, activation), columns - 16);
        if (columns > 24) storeEight(target + 96, finish(s6, activation), finish(s7, activation), columns - 24);
      }
    }
    out += outBytes * <usize>rows;
  }
}

// ---- Nearest by dot product ----------------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline
function laneSum(v: v128): f32 {
  const pairs = f32x4.add(v, i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

/** Puts a score in place of the smallest of a heap of `size` (smallest first), or of the free place at its end. */
function heapPush(scores: usize, indices: usize, size: u32, limit: u32, score: f32, index: u32): u32 {
  let at = size;
  if (size < limit) {
    // Up from the end.
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = load<f32>(scores + (<usize>parent << 2));
      if (above <= score) break;
      store<f32>(scores + (<usize>at << 2), above);
      store<u32>(indices + (<usize>at << 2), load<u32>(indices + (<usize>parent << 2)));
      at = parent;
    }
    size++;
  } else {
    // Down from the top, whose score is dropped.
    at = 0;
    for (;;) {
      let child: u32 = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && load<f32>(scores + (<usize>child << 2), 4) < load<f32>(scores + (<usize>child << 2))) child++;
      const below = load<f32>(scores + (<usize>child << 2));
      if (below >= score) break;
      store<f32>(scores + (<usize>at << 2), below);
      store<u32>(indices + (<usize>at << 2), load<u32>(indices + (<usize>child << 2)));
      at = child;
    }
  }
  store<f32>(scores + (<usize>at << 2), score);
  store<u32>(indices + (<usize>at << 2), index);
  return size;
}

/**
 * The `limit` items of the largest dot product with the query, as a heap; returns how many there are. Items are rows of
 * `vectors` times four floats; `count` is a multiple of four, the last rows may be padding beyond `real`.
 */
export function topK(
  items: usize,
  count: u32,
  real: u32,
  vectors: u32,
  query: usize,
  limit: u32,
  scores: usize,
  indices: usize,
): u32 {
  const bytes = <usize>vectors << 4;
  let size: u32 = 0;
  let least: f32 = -Infinity;
  let item = items;
  for (let index: u32 = 0; index < count; index += 4, item += bytes << 2) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    const i1 = item + bytes;
    const i2 = i1 + bytes;
    const i3 = i2 + bytes;
    for (let at: usize = 0; at < bytes; at += 16) {
      const q = v128.load(query + at);
      s0 = fma(v128.load(item + at), q, s0);
      s1 = fma(v128.load(i1 + at), q, s1);
      s2 = fma(v128.load(i2 + at), q, s2);
      s3 = fma(v128.load(i3 + at), q, s3);
    }
    const d0 = laneSum(s0);
    const d1 = laneSum(s1);
    const d2 = laneSum(s2);
    const d3 = laneSum(s3);
    if (size == limit && !(d0 > least || d1 > least || d2 > least || d3 > least)) continue;
    const left = real - index;
    if (size < limit ? d0 == d0 : d0 > least) {
      size = heapPush(scores, indices, size, limit, d0, index);
      if (size == limit) least = load<f32>(scores);
    }
    if (left > 1 && (size < limit ? d1 == d1 : d1 > least)) {
      size = heapPush(scores, indices, size, limit, d1, index + 1);
      if (size == limit) least = load<f32>(scores);
    }
    if (left > 2 && (size < limit ? d2 == d2 : d2 > least)) {
      size = heapPush(scores, indices, size, limit, d2, index + 2);
      if (size == limit) least = load<f32>(scores);
    }
    if (left > 3 && (size < limit ? d3 == d3 : d3 > least)) {
      size = heapPush(scores, indices, size, limit, d3, index + 3);
      if (size == limit) least = load<f32>(scores);
    }
  }
  return size;
}

/** Dot products of `count` rows of `vectors` times four floats with the query, one after another. */
export function dotAll(items: usize, count: u32, vectors: u32, query: usize, out: usize): void {
  const bytes = <usize>vectors << 4;
  let item = items;
  let index: u32 = 0;
  for (; index + 4 <= count; index += 4, item += bytes << 2) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    const i1 = item + bytes;
    const i2 = i1 + bytes;
    const i3 = i2 + bytes;
    for (let at: usize = 0; at < bytes; at += 16) {
      const q = v128.load(query + at);
      s0 = fma(v128.load(item + at), q, s0);
      s1 = fma(v128.load(i1 + at), q, s1);
      s2 = fma(v128.load(i2 + at), q, s2);
      s3 = fma(v128.load(i3 + at), q, s3);
    }
    const target = out + (<usize>index << 2);
    store<f32>(target, laneSum(s0));
    store<f32>(target, laneSum(s1), 4);
    store<f32>(target, laneSum(s2), 8);
    store<f32>(target, laneSum(s3), 12);
  }
  for (; index < count; index++, item += bytes) {
    let sum = f32x4.splat(0);
    for (let at: usize = 0; at < bytes; at += 16) sum = fma(v128.load(item + at), v128.load(query + at), sum);
    store<f32>(out + (<usize>index << 2), laneSum(sum));
  }
}

/**
 * As `topK` over items of 8-bit integers: rows of `blocks` times sixteen, each with a scale; the query has 16-bit integers. The integer sum is exact; it
 * must stay below 2^31, which the caller's range of the query sees to.
 */
export function topKBytes(
  items: usize,
  count: u32,
  blocks: u32,
  query: usize,
  scales: usize,
  limit: u32,
  scores: usize,
  indices: usize,
): u32 {
  const bytes = <usize>blocks << 4;
  let size: u32 = 0;
  let least: f32 = -Infinity;
  let item = items;
  for (let index: u32 = 0; index < count; index++, item += bytes) {
    let sum = i32x4.splat(0);
    for (let at: usize = 0; at < bytes; at += 16) {
      const v = v128.load(item + at);
      const q = query + (at << 1);
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(v), v128.load(q)));
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(v), v128.load(q, 16)));
    }
    const total =
      i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3);
    const score = <f32>total * load<f32>(scales + (<usize>index << 2));
    if (size < limit ? score == score : score > least) {
      size = heapPush(scores, indices, size, limit, score, index);
      if (size == limit) least = load<f32>(scores);
    }
  }
  return size;
}
