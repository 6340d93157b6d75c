/** Packing the trees of an ONNX file into the layout of `../trees/packed-trees.ts`. Laws: `kernels.as.ts`. */

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
