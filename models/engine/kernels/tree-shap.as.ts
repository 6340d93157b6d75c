/** TreeSHAP and path attribution over packed trees. Laws: `kernels.as.ts`. */

/*
 * The algorithm is told in `../trees/tree-shap.ts`. A node's record in `scratch`: `pairs` vectors of two products, `pairs`
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
