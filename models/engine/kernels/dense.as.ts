/** Dense layers over packed weights. Layouts: `../operators/dense.ts`. Laws: `kernels.as.ts`. */
import { fma } from "./fused-multiply-add.as";

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
