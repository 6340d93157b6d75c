/** Histograms of gradients over bins: building, adding, subtracting, reading. Laws: `../kernel.as.ts`. */
import { CELL, FEATURE_BYTES, BLOCK_BYTES } from "./cells.as";
import { P_GRADIENT_UNIT, P_HESSIAN_UNIT, P_COUNT_BIT } from "./search-parameters.as";

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
