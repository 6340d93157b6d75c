/** From columns of floats to bins: sorting for quantiles, binning, packing into row-major blocks. Laws: `../kernel.as.ts`. */

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
