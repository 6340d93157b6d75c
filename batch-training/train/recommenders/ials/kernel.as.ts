/**
 * The inner loops of iALS: AssemblyScript, compiled to `kernel.wasm` by `build-kernel.ts`.
 *
 * Laws. No state and no static data: every byte lies in the imported shared memory at offsets the caller gives, so any number
 * of threads may instantiate this module on one memory. `d` is a multiple of 8. Only IEEE basic operations (no fused multiply-add), in an
 * order that does not depend on how rows are split over threads, so results are the same bits on every machine.
 */

/** Rows gathered at a time: 256 rows of 64 floats are 64 KiB, which stays in the second-level cache. */
const CHUNK: i32 = 256;

/** `matrix` (d x d, lower block triangle) += Zᵀ Z for the `n` rows of `z`, in tiles of 4 x 8. */
export function addGram(z: usize, n: i32, d: i32, matrix: usize): void {
  const stride = <usize>d << 2;
  for (let r: i32 = 0; r < d; r += 4) {
    for (let c: i32 = 0; c <= r; c += 8) addTile(z, n, stride, <usize>r << 2, <usize>c << 2, matrix);
  }
}

// @ts-ignore: decorator
@inline
function addTile(z: usize, n: i32, stride: usize, r: usize, c: usize, matrix: usize): void {
  const to = matrix + (r >> 2) * stride + c;
  let a0 = v128.load(to), b0 = v128.load(to, 16);
  let a1 = v128.load(to + stride), b1 = v128.load(to + stride, 16);
  let a2 = v128.load(to + 2 * stride), b2 = v128.load(to + 2 * stride, 16);
  let a3 = v128.load(to + 3 * stride), b3 = v128.load(to + 3 * stride, 16);
  let row = z;
  for (let i: i32 = 0; i < n; i++) {
    const x = v128.load(row + c), y = v128.load(row + c, 16);
    const left = row + r;
    let s = v128.load32_splat(left);
    a0 = f32x4.add(a0, f32x4.mul(s, x));
    b0 = f32x4.add(b0, f32x4.mul(s, y));
    s = v128.load32_splat(left, 4);
    a1 = f32x4.add(a1, f32x4.mul(s, x));
    b1 = f32x4.add(b1, f32x4.mul(s, y));
    s = v128.load32_splat(left, 8);
    a2 = f32x4.add(a2, f32x4.mul(s, x));
    b2 = f32x4.add(b2, f32x4.mul(s, y));
    s = v128.load32_splat(left, 12);
    a3 = f32x4.add(a3, f32x4.mul(s, x));
    b3 = f32x4.add(b3, f32x4.mul(s, y));
    row += stride;
  }
  v128.store(to, a0);
  v128.store(to, b0, 16);
  v128.store(to + stride, a1);
  v128.store(to + stride, b1, 16);
  v128.store(to + 2 * stride, a2);
  v128.store(to + 2 * stride, b2, 16);
  v128.store(to + 3 * stride, a3);
  v128.store(to + 3 * stride, b3, 16);
}

/** Sum of the four lanes in a fixed order. */
// @ts-ignore: decorator
@inline
function lanes(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** Dot product of `n` floats. */
// @ts-ignore: decorator
@inline
function dot(a: usize, b: usize, n: i32): f32 {
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0);
  let i: i32 = 0;
  for (; i + 8 <= n; i += 8) {
    const at = <usize>i << 2;
    s0 = f32x4.add(s0, f32x4.mul(v128.load(a + at), v128.load(b + at)));
    s1 = f32x4.add(s1, f32x4.mul(v128.load(a + at, 16), v128.load(b + at, 16)));
  }
  let sum = lanes(f32x4.add(s0, s1));
  for (; i < n; i++) sum += load<f32>(a + (<usize>i << 2)) * load<f32>(b + (<usize>i << 2));
  return sum;
}

/** target += factor * source, `n` floats, `n` a multiple of 4. */
// @ts-ignore: decorator
@inline
function addScaled(target: usize, source: usize, factor: f32, n: i32): void {
  const f = f32x4.splat(factor);
  for (let i: i32 = 0; i < n; i += 4) {
    const at = <usize>i << 2;
    v128.store(target + at, f32x4.add(v128.load(target + at), f32x4.mul(f, v128.load(source + at))));
  }
}

/** Cholesky of the lower triangle in place, then solves for the right-hand side `b` in place. False if not positive definite. */
function solve(matrix: usize, d: i32, b: usize): bool {
  const stride = <usize>d << 2;
  for (let i: i32 = 0; i < d; i++) {
    const rowI = matrix + <usize>i * stride;
    for (let j: i32 = 0; j < i; j++) {
      const rowJ = matrix + <usize>j * stride;
      const at = rowI + (<usize>j << 2);
      store<f32>(at, (load<f32>(at) - dot(rowI, rowJ, j)) * load<f32>(rowJ + (<usize>j << 2)));
    }
    const pivot = load<f32>(rowI + (<usize>i << 2)) - dot(rowI, rowI, i);
    if (!(pivot > 0)) return false;
    // The diagonal holds the inverse, so that the loops multiply.
    store<f32>(rowI + (<usize>i << 2), 1 / sqrt<f32>(pivot));
    const to = b + (<usize>i << 2);
    store<f32>(to, (load<f32>(to) - dot(rowI, b, i)) * load<f32>(rowI + (<usize>i << 2)));
  }
  for (let i: i32 = d - 1; i >= 0; i--) {
    const rowI = matrix + <usize>i * stride;
    const to = b + (<usize>i << 2);
    const x = load<f32>(to) * load<f32>(rowI + (<usize>i << 2));
    store<f32>(to, x);
    for (let j: i32 = 0; j < i; j++) {
      const at = b + (<usize>j << 2);
      store<f32>(at, load<f32>(at) - x * load<f32>(rowI + (<usize>j << 2)));
    }
  }
  return true;
}

/**
 * Solves rows `begin` to `end` of one side against the fixed side:
 * x = (gram + sum w y yᵀ + ridge I)⁻¹ sum w y over the row's entries; a row without entries becomes 0.
 *
 * @param start i32 offsets of the rows; @param column i32 row numbers of the fixed side; @param weight f32
 * @param fixed f32 factors of the fixed side; @param gram f32 d x d (lower block triangle), the weight of the unobserved applied
 * @param ridge f32 per row; @param out f32 factors of this side
 * @param scratch (CHUNK * d + d * d + d) floats
 * @returns number of rows whose system was not positive definite (left at 0)
 */
export function solveRows(
  begin: i32,
  end: i32,
  d: i32,
  start: usize,
  column: usize,
  weight: usize,
  fixed: usize,
  gram: usize,
  ridge: usize,
  out: usize,
  scratch: usize,
): i32 {
  const stride = <usize>d << 2;
  const matrix = scratch + <usize>CHUNK * stride;
  const right = matrix + <usize>d * stride;
  let failed = 0;
  for (let row: i32 = begin; row < end; row++) {
    const target = out + <usize>row * stride;
    let at = load<i32>(start + (<usize>row << 2));
    const to = load<i32>(start + (<usize>row << 2), 4);
    memory.fill(target, 0, stride);
    if (at == to) continue;
    memory.copy(matrix, gram, <usize>d * stride);
    memory.fill(right, 0, stride);
    while (at < to) {
      const n = min(CHUNK, to - at);
      for (let i: i32 = 0; i < n; i++) {
        const w = load<f32>(weight + (<usize>(at + i) << 2));
        const y = fixed + <usize>load<i32>(column + (<usize>(at + i) << 2)) * stride;
        addScaled(right, y, w, d);
        const root = f32x4.splat(sqrt<f32>(w));
        const z = scratch + <usize>i * stride;
        for (let c: usize = 0; c < stride; c += 16) v128.store(z + c, f32x4.mul(root, v128.load(y + c)));
      }
      addGram(scratch, n, d, matrix);
      at += n;
    }
    const r = load<f32>(ridge + (<usize>row << 2));
    for (let i: i32 = 0; i < d; i++) {
      const diagonal = matrix + <usize>i * stride + (<usize>i << 2);
      store<f32>(diagonal, load<f32>(diagonal) + r);
    }
    if (solve(matrix, d, right)) memory.copy(target, right, stride);
    else failed++;
  }
  return failed;
}
