/** Which rows a node has: partitions that keep their order, and samples. Laws: `../kernel.as.ts`. */

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
