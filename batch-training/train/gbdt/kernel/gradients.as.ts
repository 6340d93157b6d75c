/** Gradients and hessians of the losses as fixed-point pairs, and scores. Laws: `../kernel.as.ts`. */

/** exp(x) for |x| <= 700: range reduction by ln 2 and a Taylor polynomial of degree 9 (relative error below 1e-11). */
// @ts-ignore: decorator
@inline
function expPair(x: v128): v128 {
  const n = f64x2.nearest(f64x2.mul(x, f64x2.splat(1.4426950408889634)));
  let r = f64x2.sub(x, f64x2.mul(n, f64x2.splat(6.93147180369123816490e-1)));
  r = f64x2.sub(r, f64x2.mul(n, f64x2.splat(1.90821492927058770002e-10)));
  // Estrin's scheme: short chains, so that neighbouring rows overlap.
  const r2 = f64x2.mul(r, r);
  const r4 = f64x2.mul(r2, r2);
  const p01 = f64x2.add(f64x2.splat(1.0), r);
  const p23 = f64x2.add(f64x2.splat(0.5), f64x2.mul(f64x2.splat(1.0 / 6.0), r));
  const p45 = f64x2.add(f64x2.splat(1.0 / 24.0), f64x2.mul(f64x2.splat(1.0 / 120.0), r));
  const p67 = f64x2.add(f64x2.splat(1.0 / 720.0), f64x2.mul(f64x2.splat(1.0 / 5040.0), r));
  const p89 = f64x2.add(f64x2.splat(1.0 / 40320.0), f64x2.mul(f64x2.splat(1.0 / 362880.0), r));
  const low = f64x2.add(p01, f64x2.mul(p23, r2));
  const high = f64x2.add(f64x2.add(p45, f64x2.mul(p67, r2)), f64x2.mul(p89, r4));
  const p = f64x2.add(low, f64x2.mul(high, r4));
  // 2^n: the integer n sits in the low bits of n + 1.5 * 2^52.
  const bits = i64x2.add(f64x2.add(n, f64x2.splat(6755399441055744.0)), i64x2.splat(1023));
  return f64x2.mul(p, i64x2.shl(bits, 52));
}

/**
 * Gradient w(p - y) and hessian w p(1 - p) of the logistic loss for rows [begin, end) (begin even), as fixed-point pairs
 * in units of 1 / gScale and 1 / hScale. `weights` may be 0 (all one). Arrays may be read one row past `end`.
 */
export function gradientsLogistic(
  scores: usize, labels: usize, weights: usize, begin: u32, end: u32, gScale: f64, hScale: f64, grads: usize,
): void {
  const one = f64x2.splat(1.0);
  for (let i: usize = begin; i < <usize>end; i += 2) {
    const s = f64x2.min(f64x2.max(v128.load(scores + (i << 3)), f64x2.splat(-60.0)), f64x2.splat(60.0));
    const p = f64x2.div(one, f64x2.add(one, expPair(f64x2.neg(s))));
    const y = f64x2.promote_low_f32x4(v128.load64_zero(labels + (i << 2)));
    const w = weights ? f64x2.promote_low_f32x4(v128.load64_zero(weights + (i << 2))) : one;
    const g = f64x2.mul(w, f64x2.sub(p, y));
    const h = f64x2.mul(w, f64x2.mul(p, f64x2.sub(one, p)));
    storePair(grads + (i << 3), g, h, gScale, hScale);
  }
}

// @ts-ignore: decorator
@inline
function storePair(at: usize, g: v128, h: v128, gScale: f64, hScale: f64): void {
  const gi = i32x4.trunc_sat_f64x2_s_zero(f64x2.nearest(f64x2.mul(g, f64x2.splat(gScale))));
  const hi = i32x4.trunc_sat_f64x2_s_zero(f64x2.nearest(f64x2.mul(h, f64x2.splat(hScale))));
  v128.store(at, v128.shuffle<i32>(gi, hi, 0, 4, 1, 5));
}

/** Gradient w(s - y) and hessian w of the squared loss; otherwise as `gradientsLogistic`. */
export function gradientsSquared(
  scores: usize, labels: usize, weights: usize, begin: u32, end: u32, gScale: f64, hScale: f64, grads: usize,
): void {
  for (let i: usize = begin; i < <usize>end; i += 2) {
    const y = f64x2.promote_low_f32x4(v128.load64_zero(labels + (i << 2)));
    const w = weights ? f64x2.promote_low_f32x4(v128.load64_zero(weights + (i << 2))) : f64x2.splat(1.0);
    storePair(grads + (i << 3), f64x2.mul(w, f64x2.sub(v128.load(scores + (i << 3)), y)), w, gScale, hScale);
  }
}

/** Interleaved float32 (gradient, hessian) pairs to fixed point, in place over the same bytes. */
export function quantisePairs(pairs: usize, begin: u32, end: u32, gScale: f64, hScale: f64): void {
  for (let i: usize = begin; i < <usize>end; i++) {
    const at = pairs + (i << 3);
    store<i32>(at, <i32>nearest(<f64>load<f32>(at) * gScale));
    store<i32>(at, <i32>nearest(<f64>load<f32>(at, 4) * hScale), 4);
  }
}

/** scores[r] += value for the listed rows. */
export function addToRows(scores: usize, rows: usize, count: u32, value: f64): void {
  const end = rows + (<usize>count << 2);
  for (let p = rows; p < end; p += 4) {
    const at = scores + (<usize>load<u32>(p) << 3);
    store<f64>(at, load<f64>(at) + value);
  }
}

/**
 * Adds a tree's leaf values to the rows [begin, end), or to rows[begin..end) where `rows` is not 0. A node is 16 bytes:
 * u32 column offset, u32 table offset, i32 left, i32 right (negative: ~leaf). Leaf values are f64.
 */
export function addTree(
  columns: usize, nodes: usize, values: usize, rows: usize, begin: u32, end: u32, scores: usize,
): void {
  for (let i: u32 = begin; i < end; i++) {
    const r = rows ? <usize>load<u32>(rows + (<usize>i << 2)) : <usize>i;
    let node: i32 = 0;
    do {
      const at = nodes + (<usize>node << 4);
      const bin = <usize>load<u8>(columns + <usize>load<u32>(at) + r);
      node = load<u8>(<usize>load<u32>(at, 4) + bin) ? load<i32>(at, 8) : load<i32>(at, 12);
    } while (node >= 0);
    const at = scores + (r << 3);
    store<f64>(at, load<f64>(at) + load<f64>(values + (<usize>(~node) << 3)));
  }
}
