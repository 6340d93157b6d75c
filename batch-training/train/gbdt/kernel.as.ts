/**
 * The inner loops of the boosted-tree trainer: AssemblyScript, compiled to `kernel.wasm` by `build-kernel.ts`.
 *
 * Laws. No state of its own and no static data: every byte lies in the imported shared memory at offsets the caller
 * gives, so any number of threads may instantiate this module on one memory. Gradients are fixed-point integers and
 * histograms are sums of integers, hence exact and independent of the order of rows and threads. Only IEEE basic
 * operations are used on floats (no fused multiply-add), so results are the same bits on every machine.
 *
 * One histogram cell is 16 bytes: i64 sum of gradients, then i64 with the hessian sum in the low `countBit` bits and the
 * row count above. A feature has 256 cells (bin 0 = missing), a block is eight features, 32 KiB.
 */

const CELL: usize = 16;
const FEATURE_BYTES: usize = 4096;
const BLOCK_BYTES: usize = 32768;

/** Sorts `n` float32 (no NaN) ascending in place: radix on the order-preserving key, three passes of 11 bits. */
export function sortFloats(values: usize, scratch: usize, counts: usize, n: u32): void {
  memory.fill(counts, 0, 3 * 2048 * 4);
  for (let i: u32 = 0; i < n; i++) {
    const bits = load<u32>(values + (<usize>i << 2));
    const key = bits ^ ((<u32>(<i32>bits >> 31)) | 0x80000000);
    store<u32>(values + (<usize>i << 2), key);
    bump(counts + (<usize>(key & 2047) << 2));
    bump(counts + 8192 + (<usize>((key >> 11) & 2047) << 2));
    bump(counts + 16384 + (<usize>(key >> 22) << 2));
  }
  for (let pass: usize = 0; pass < 3; pass++) {
    let sum: u32 = 0;
    const base = counts + pass * 8192;
    for (let i: usize = 0; i < 2048; i++) {
      const c = load<u32>(base + (i << 2));
      store<u32>(base + (i << 2), sum);
      sum += c;
    }
  }
  scatter(values, scratch, counts, n, 0);
  scatter(scratch, values, counts + 8192, n, 11);
  scatter(values, scratch, counts + 16384, n, 22);
  for (let i: u32 = 0; i < n; i++) {
    const key = load<u32>(scratch + (<usize>i << 2));
    store<u32>(values + (<usize>i << 2), key ^ ((<u32>(~(<i32>key >> 31))) | 0x80000000));
  }
}

// @ts-ignore: decorator
@inline
function bump(at: usize): void {
  store<u32>(at, load<u32>(at) + 1);
}

function scatter(from: usize, to: usize, offsets: usize, n: u32, shift: u32): void {
  for (let i: u32 = 0; i < n; i++) {
    const key = load<u32>(from + (<usize>i << 2));
    const at = offsets + (<usize>((key >> shift) & 2047) << 2);
    const place = load<u32>(at);
    store<u32>(at, place + 1);
    store<u32>(to + (<usize>place << 2), key);
  }
}

/**
 * Bin of each value: 0 for NaN, else 1 + the number of edges strictly below it. `edges` holds 255 float32, ascending,
 * padded with +infinity.
 */
export function binColumn(values: usize, n: u32, edges: usize, out: usize): void {
  for (let i: usize = 0; i < <usize>n; i++) {
    const v = load<f32>(values + (i << 2));
    let at: usize = 0;
    at += select<usize>(512, 0, load<f32>(edges + at, 508) < v);
    at += select<usize>(256, 0, load<f32>(edges + at, 252) < v);
    at += select<usize>(128, 0, load<f32>(edges + at, 124) < v);
    at += select<usize>(64, 0, load<f32>(edges + at, 60) < v);
    at += select<usize>(32, 0, load<f32>(edges + at, 28) < v);
    at += select<usize>(16, 0, load<f32>(edges + at, 12) < v);
    at += select<usize>(8, 0, load<f32>(edges + at, 4) < v);
    at += select<usize>(4, 0, load<f32>(edges + at) < v);
    store<u8>(out + i, select<u32>((<u32>at >> 2) + 1, 0, v == v));
  }
}

/**
 * Rows [begin, end) of up to eight columns (`stride` bytes apart) to eight bytes of each row's record, `width` bytes a
 * record.
 */
export function packBlock(
  columns: usize, stride: usize, features: u32, begin: u32, end: u32, records: usize, width: usize,
): void {
  for (let i: usize = begin; i < <usize>end; i++) {
    let word: u64 = 0;
    for (let f: u32 = 0; f < features; f++) {
      word |= <u64>load<u8>(columns + <usize>f * stride + i) << (<u64>f << 3);
    }
    store<u64>(records + i * width, word);
  }
}

/** Rows whose bins and gradients are gathered before their histograms are touched. */
const GATHER_ROWS: usize = 512;

/**
 * Clears and fills the histograms of `blocks` (at most 8) consecutive blocks from `count` rows: the listed ones, or where
 * `rows` is 0 those from `begin`. Scattered bins and gradients are first gathered for a few hundred rows (one cache line per row),
 * then each block is added up from that scratch with its histogram in the first-level cache.
 * `grads` holds (i32 gradient, i32 hessian) per row; `scratch` has room for 512 rows of 8 + 8 * blocks bytes.
 */
export function histogram(
  records: usize, width: usize, blocks: u32, rows: usize, begin: u32, count: u32, grads: usize, hist: usize,
  scratch: usize, countBit: u32,
): void {
  memory.fill(hist, 0, <usize>blocks * BLOCK_BYTES);
  const one = i64x2.replace_lane(i64x2.splat(0), 1, <i64>1 << <i64>countBit);
  const words = scratch + GATHER_ROWS * 8;
  for (let done: u32 = 0; done < count; done += <u32>GATHER_ROWS) {
    const n = <usize>min(<u32>GATHER_ROWS, count - done);
    if (rows) gatherRows(records, width, blocks, rows + (<usize>done << 2), n, grads, scratch, words);
    else gatherRange(records, width, blocks, <usize>(begin + done), n, grads, scratch, words);
    for (let block: u32 = 0; block < blocks; block++) {
      addGathered(words + <usize>block * (GATHER_ROWS * 8), scratch, n, hist + <usize>block * BLOCK_BYTES, one);
    }
  }
}

function gatherRows(
  records: usize, width: usize, blocks: u32, rows: usize, n: usize, grads: usize, scratch: usize, words: usize,
): void {
  if (blocks == 4) {
    for (let i: usize = 0; i < n << 3; i += 8) {
      const r = <usize>load<u32>(rows + (i >> 1));
      const record = records + r * width;
      store<u64>(scratch + i, load<u64>(grads + (r << 3)));
      store<u64>(words + i, load<u64>(record));
      store<u64>(words + i, load<u64>(record, 8), GATHER_ROWS * 8);
      store<u64>(words + i, load<u64>(record, 16), GATHER_ROWS * 16);
      store<u64>(words + i, load<u64>(record, 24), GATHER_ROWS * 24);
    }
    return;
  }
  if (blocks == 2) {
    for (let i: usize = 0; i < n << 3; i += 8) {
      const r = <usize>load<u32>(rows + (i >> 1));
      const record = records + r * width;
      store<u64>(scratch + i, load<u64>(grads + (r << 3)));
      store<u64>(words + i, load<u64>(record));
      store<u64>(words + i, load<u64>(record, 8), GATHER_ROWS * 8);
    }
    return;
  }
  for (let i: usize = 0; i < n; i++) {
    const r = <usize>load<u32>(rows + (i << 2));
    copyRecord(records + r * width, blocks, grads + (r << 3), i << 3, scratch, words);
  }
}

function gatherRange(
  records: usize, width: usize, blocks: u32, begin: usize, n: usize, grads: usize, scratch: usize, words: usize,
): void {
  for (let i: usize = 0; i < n; i++) {
    const r = begin + i;
    copyRecord(records + r * width, blocks, grads + (r << 3), i << 3, scratch, words);
  }
}

// @ts-ignore: decorator
@inline
function copyRecord(record: usize, blocks: u32, grad: usize, at: usize, scratch: usize, words: usize): void {
  store<u64>(scratch + at, load<u64>(grad));
  for (let block: u32 = 0; block < blocks; block++) {
    store<u64>(words + at, load<u64>(record));
    record += 8;
    at += GATHER_ROWS * 8;
  }
}

function addGathered(words: usize, grads: usize, n: usize, hist: usize, one: v128): void {
  for (let i: usize = 0; i < n << 3; i += 8) {
    const word = load<u64>(words + i);
    const gh = i64x2.add(i64x2.extend_low_i32x4_s(v128.load64_zero(grads + i)), one);
    // A byte times 16 is the offset of its cell; eight cells in eight features, so the additions are independent.
    const high = <usize>(word >> 32);
    const c0 = hist + ((<usize>word << 4) & 4080);
    v128.store(c0, i64x2.add(v128.load(c0, 0), gh), 0);
    const c1 = hist + ((<usize>word >> 4) & 4080);
    v128.store(c1, i64x2.add(v128.load(c1, 4096), gh), 4096);
    const c2 = hist + ((<usize>word >> 12) & 4080);
    v128.store(c2, i64x2.add(v128.load(c2, 8192), gh), 8192);
    const c3 = hist + ((<usize>word >> 20) & 4080);
    v128.store(c3, i64x2.add(v128.load(c3, 12288), gh), 12288);
    const c4 = hist + ((high << 4) & 4080);
    v128.store(c4, i64x2.add(v128.load(c4, 16384), gh), 16384);
    const c5 = hist + ((high >> 4) & 4080);
    v128.store(c5, i64x2.add(v128.load(c5, 20480), gh), 20480);
    const c6 = hist + ((high >> 12) & 4080);
    v128.store(c6, i64x2.add(v128.load(c6, 24576), gh), 24576);
    const c7 = hist + ((high >> 20) & 4080);
    v128.store(c7, i64x2.add(v128.load(c7, 28672), gh), 28672);
  }
}

/** into += from over one block. */
export function addBlock(into: usize, from: usize): void {
  for (let i: usize = 0; i < BLOCK_BYTES; i += CELL) {
    v128.store(into + i, i64x2.add(v128.load(into + i), v128.load(from + i)));
  }
}

/** into -= from over one block. */
export function subtractBlock(into: usize, from: usize): void {
  for (let i: usize = 0; i < BLOCK_BYTES; i += CELL) {
    v128.store(into + i, i64x2.sub(v128.load(into + i), v128.load(from + i)));
  }
}

/** Cells 0..bins of a feature as f64 triples: gradient sum, hessian sum, rows. */
export function readCells(hist: usize, bins: i32, params: usize, out: usize): void {
  const gu = load<f64>(params, P_GRADIENT_UNIT);
  const hu = load<f64>(params, P_HESSIAN_UNIT);
  const countBit = <i64>load<i32>(params, P_COUNT_BIT);
  const mask = (<i64>1 << countBit) - 1;
  for (let bin: i32 = 0; bin <= bins; bin++) {
    const cell = hist + (<usize>bin << 4);
    const hc = load<i64>(cell, 8);
    store<f64>(out, <f64>load<i64>(cell) * gu);
    store<f64>(out, <f64>(hc & mask) * hu, 8);
    store<f64>(out, <f64>(hc >> countBit), 16);
    out += 24;
  }
}

/** Sum of the cells whose bit is set in a 256-bit mask, into `out` (one cell). */
export function sumCells(hist: usize, mask: usize, out: usize): void {
  let sum = i64x2.splat(0);
  for (let bin: usize = 0; bin < 256; bin++) {
    if ((load<u8>(mask + (bin >> 3)) >> <u8>(bin & 7)) & 1) sum = i64x2.add(sum, v128.load(hist + (bin << 4)));
  }
  v128.store(out, sum);
}

/** Sum of a feature's 256 cells into `out` (one cell): the totals of the node. */
export function sumFeature(hist: usize, out: usize): void {
  let sum = i64x2.splat(0);
  for (let i: usize = 0; i < FEATURE_BYTES; i += CELL) sum = i64x2.add(sum, v128.load(hist + i));
  v128.store(out, sum);
}

// @ts-ignore: decorator
@inline
function shrink(g: f64, l1: f64): f64 {
  return g > l1 ? g - l1 : g < -l1 ? g + l1 : 0.0;
}

// @ts-ignore: decorator
@inline
function clamp(v: f64, low: f64, high: f64): f64 {
  return v < low ? low : v > high ? high : v;
}

// Offsets into the search parameters (see layout.ts, `SearchParameters`).
const P_GRADIENT_UNIT: usize = 0;
const P_HESSIAN_UNIT: usize = 8;
const P_L2: usize = 16;
const P_L1: usize = 24;
const P_MIN_HESSIAN: usize = 32;
const P_MIN_GAIN: usize = 40;
const P_COUNT_BIT: usize = 48;
const P_MIN_ROWS: usize = 52;

/**
 * Gain of a split, or -infinity where a limit forbids it. `monotone` is -1, 0 or 1; with it, or within finite bounds,
 * leaf values are clamped to [low, high] and the gain is that of the clamped values.
 */
// @ts-ignore: decorator
@inline
function splitGain(gl: f64, hl: f64, gr: f64, hr: f64, l1: f64, l2: f64, bounded: bool, monotone: i32, low: f64, high: f64): f64 {
  const a = hl + l2;
  const b = hr + l2;
  const x = shrink(gl, l1);
  const y = shrink(gr, l1);
  if (!bounded) return (x * x * b + y * y * a) / (a * b);
  const wl = clamp(-x / a, low, high);
  const wr = clamp(-y / b, low, high);
  if ((monotone > 0 && wl > wr) || (monotone < 0 && wl < wr)) return -Infinity;
  return -(2.0 * x * wl + a * wl * wl) - (2.0 * y * wr + b * wr * wr);
}

/**
 * Best threshold split of one feature. Out record: f64 gain over the unsplit node (or -infinity), i32 last bin of the left side, i32 whether
 * missing goes left, i64 gradient sum and i64 packed hessian and count of the left side.
 */
export function findSplit(
  hist: usize, bins: i32, totalG: i64, totalHc: i64, parentScore: f64, params: usize,
  monotone: i32, bounded: i32, low: f64, high: f64, out: usize,
): void {
  const gu = load<f64>(params, P_GRADIENT_UNIT);
  const hu = load<f64>(params, P_HESSIAN_UNIT);
  const l2 = load<f64>(params, P_L2);
  const l1 = load<f64>(params, P_L1);
  const minHessian = load<f64>(params, P_MIN_HESSIAN);
  const countBit = <i64>load<i32>(params, P_COUNT_BIT);
  const minRows = <i64>load<i32>(params, P_MIN_ROWS);
  const mask = (<i64>1 << countBit) - 1;
  const missingG = load<i64>(hist);
  const missingHc = load<i64>(hist, 8);
  const someMissing = missingHc != 0;
  const isBounded = bounded != 0;
  const lastBin = someMissing ? bins : bins - 1;
  let best: f64 = load<f64>(params, P_MIN_GAIN) + parentScore;
  let bestBin: i32 = -1;
  let bestMissingLeft: i32 = 0;
  let bestG: i64 = 0;
  let bestHc: i64 = 0;
  let g: i64 = 0;
  let hc: i64 = 0;
  for (let bin: i32 = 1; bin <= lastBin; bin++) {
    const cell = hist + (<usize>bin << 4);
    const cellHc = load<i64>(cell, 8);
    if (cellHc == 0) continue;
    g += load<i64>(cell);
    hc += cellHc;
    const rightHc = totalHc - hc;
    const rightRows = rightHc >> countBit;
    if (rightRows < minRows) break;
    if (hc >> countBit >= minRows) {
      const hl = <f64>(hc & mask) * hu;
      const hr = <f64>(rightHc & mask) * hu;
      if (hl >= minHessian && hr >= minHessian) {
        const gain = splitGain(<f64>g * gu, hl, <f64>(totalG - g) * gu, hr, l1, l2, isBounded, monotone, low, high);
        if (gain > best) {
          best = gain;
          bestBin = bin;
          bestG = g;
          bestHc = hc;
          // Never seen missing here: send it where most rows go.
          bestMissingLeft = someMissing ? 0 : i32(hc >> countBit > rightRows);
        }
      }
    }
    if (someMissing && bin < bins) {
      const leftHc = hc + missingHc;
      const otherHc = totalHc - leftHc;
      if (otherHc >> countBit >= minRows && leftHc >> countBit >= minRows) {
        const hl = <f64>(leftHc & mask) * hu;
        const hr = <f64>(otherHc & mask) * hu;
        if (hl >= minHessian && hr >= minHessian) {
          const leftG = g + missingG;
          const gain = splitGain(<f64>leftG * gu, hl, <f64>(totalG - leftG) * gu, hr, l1, l2, isBounded, monotone, low, high);
          if (gain > best) {
            best = gain;
            bestBin = bin;
            bestG = leftG;
            bestHc = leftHc;
            bestMissingLeft = 1;
          }
        }
      }
    }
  }
  store<f64>(out, bestBin < 0 ? -Infinity : best - parentScore);
  store<i32>(out, bestBin, 8);
  store<i32>(out, bestMissingLeft, 12);
  store<i64>(out, bestG, 16);
  store<i64>(out, bestHc, 24);
}

/**
 * Stable partition of `count` rows at `rows` by `table[bin]` (1 = left), in place with `spare` for the right side.
 * @returns the number of rows on the left.
 */
export function partitionInPlace(column: usize, table: usize, rows: usize, count: u32, spare: usize): u32 {
  let left: usize = rows;
  let right: usize = spare;
  const end = rows + (<usize>count << 2);
  for (let p = rows; p < end; p += 4) {
    const r = load<u32>(p);
    const goesLeft = <usize>load<u8>(table + <usize>load<u8>(column + <usize>r)) << 2;
    store<u32>(left, r);
    store<u32>(right, r);
    left += goesLeft;
    right += 4 - goesLeft;
  }
  memory.copy(left, spare, right - spare);
  return <u32>((left - rows) >> 2);
}

/** As above, but to `spare`: left rows ascending from its start, right rows descending from its end. */
export function partitionChunk(column: usize, table: usize, rows: usize, count: u32, spare: usize): u32 {
  let left: usize = spare;
  let right: usize = spare + (<usize>count << 2) - 4;
  const end = rows + (<usize>count << 2);
  for (let p = rows; p < end; p += 4) {
    const r = load<u32>(p);
    const goesLeft = <usize>load<u8>(table + <usize>load<u8>(column + <usize>r)) << 2;
    store<u32>(left, r);
    store<u32>(right, r);
    left += goesLeft;
    right -= 4 - goesLeft;
  }
  return <u32>((left - spare) >> 2);
}

/** Copies a chunk made by `partitionChunk` to its final places, the right side turned back to ascending. */
export function placeChunk(spare: usize, count: u32, leftCount: u32, leftOut: usize, rightOut: usize): void {
  memory.copy(leftOut, spare, <usize>leftCount << 2);
  let from = spare + (<usize>count << 2) - 4;
  const end = rightOut + (<usize>(count - leftCount) << 2);
  for (let p = rightOut; p < end; p += 4) {
    store<u32>(p, load<u32>(from));
    from -= 4;
  }
}

/** rows[i] = i. */
export function identityRows(rows: usize, begin: u32, end: u32): void {
  for (let i: u32 = begin; i < end; i++) store<u32>(rows + (<usize>i << 2), i);
}

/** Mixes 32 bits well (finaliser of MurmurHash3). */
// @ts-ignore: decorator
@inline
function mix(x: u32): u32 {
  x ^= x >> 16;
  x *= 0x85ebca6b;
  x ^= x >> 13;
  x *= 0xc2b2ae35;
  return x ^ (x >> 16);
}

/**
 * Row sampling: row i is drawn when the hash of (seed, i) is below `threshold`. Drawn rows ascend from the start of
 * `rows`, the others descend from its end. @returns the number drawn.
 */
export function sampleRows(rows: usize, n: u32, seed: u32, threshold: u32): u32 {
  let left: usize = rows;
  let right: usize = rows + (<usize>n << 2) - 4;
  for (let i: u32 = 0; i < n; i++) {
    const drawn = mix(mix(i + 0x9e3779b9) ^ seed) < threshold;
    store<u32>(drawn ? left : right, i);
    left += drawn ? 4 : 0;
    right -= drawn ? 0 : 4;
  }
  return <u32>((left - rows) >> 2);
}

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
