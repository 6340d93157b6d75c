/** Nearest by dot product: exact search over embeddings of floats or of 8-bit integers. Laws: `kernels.as.ts`. */
import { fma } from "./fused-multiply-add.as";

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

/**
 * Dot products of `count` rows of 8-bit integers with the query, each times its scale and times `unit`, the query's own. Rows and query as in
 * `topKBytes`, whose bound on the query holds here too.
 */
export function dotAllBytes(
  items: usize,
  count: u32,
  blocks: u32,
  query: usize,
  scales: usize,
  unit: f32,
  out: usize,
): void {
  const bytes = <usize>blocks << 4;
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
    store<f32>(out + (<usize>index << 2), <f32>total * load<f32>(scales + (<usize>index << 2)) * unit);
  }
}
