/**
 * Walks of packed trees: rows prepared and walked, one or eight at a time. Laws: `kernels.as.ts`. A packed node is a float32
 * threshold or leaf value, then slot << 16 | distance to the right child.
 */

/** Trees, or rows, that are walked side by side so that their loads overlap. */
const GROUP: usize = 8;
/** Bytes of a group in the tree table: eight addresses of roots, shortest path, longest path. */
const GROUP_BYTES: usize = 40;

/** A prepared row: the features, the features with -infinity for NaN (if `copies` is 2), and -infinity. */
export function prepareRow(x: usize, features: u32, copies: u32, out: usize): void {
  const bytes = <usize>features << 2;
  const last = out + (bytes << 1);
  for (let at: usize = 0; at < bytes; at += 4) {
    const value = load<f32>(x + at);
    store<f32>(out + at, value);
    if (copies == 2) store<f32>(out + bytes + at, value == value ? value : -Infinity);
  }
  store<f32>(last, -Infinity);
}

/** Eight prepared rows side by side: slot s of row r at (s * 8 + r). */
export function prepareEight(x: usize, features: u32, copies: u32, out: usize): void {
  const bytes = <usize>features << 2;
  const half = bytes << 3;
  for (let row: usize = 0; row < GROUP; row++) {
    const source = x + row * bytes;
    let target = out + (row << 2);
    for (let at: usize = 0; at < bytes; at += 4, target += 32) {
      const value = load<f32>(source + at);
      store<f32>(target, value);
      if (copies == 2) store<f32>(target + half, value == value ? value : -Infinity);
    }
    store<f32>(out + (half << 1) + (row << 2), -Infinity);
  }
}

// @ts-ignore: decorator
@inline
function next(node: usize, row: usize): usize {
  const word = load<u32>(node, 4);
  const goesLeft = load<f32>(row + <usize>((word >>> 14) & 0x3fffc)) <= load<f32>(node);
  return node + <usize>((word & 0xffff) << 3) - (<usize>goesLeft << 3);
}

/**
 * The leaves that one prepared row reaches in all trees: their values summed in order, or with `leaves` not 0 written
 * there, one word per tree.
 */
export function walkRow(row: usize, table: usize, groups: u32, leaves: usize): f32 {
  let sum: f32 = 0;
  for (const end = table + <usize>groups * GROUP_BYTES; table < end; table += GROUP_BYTES) {
    let n0: usize = load<u32>(table, 0);
    let n1: usize = load<u32>(table, 4);
    let n2: usize = load<u32>(table, 8);
    let n3: usize = load<u32>(table, 12);
    let n4: usize = load<u32>(table, 16);
    let n5: usize = load<u32>(table, 20);
    let n6: usize = load<u32>(table, 24);
    let n7: usize = load<u32>(table, 28);
    let steps = load<u32>(table, 32);
    let rest = load<u32>(table, 36) - steps;
    for (; steps > 0; steps--) {
      n0 = next(n0, row);
      n1 = next(n1, row);
      n2 = next(n2, row);
      n3 = next(n3, row);
      n4 = next(n4, row);
      n5 = next(n5, row);
      n6 = next(n6, row);
      n7 = next(n7, row);
    }
    // Some trees have leaves from here on: stop as soon as no walk moves. Addresses only grow, so the sum tells.
    for (; rest > 0; rest--) {
      const before = n0 + n1 + n2 + n3 + n4 + n5 + n6 + n7;
      n0 = next(n0, row);
      n1 = next(n1, row);
      n2 = next(n2, row);
      n3 = next(n3, row);
      n4 = next(n4, row);
      n5 = next(n5, row);
      n6 = next(n6, row);
      n7 = next(n7, row);
      if (n0 + n1 + n2 + n3 + n4 + n5 + n6 + n7 == before) break;
    }
    if (leaves != 0) {
      store<u32>(leaves, load<u32>(n0), 0);
      store<u32>(leaves, load<u32>(n1), 4);
      store<u32>(leaves, load<u32>(n2), 8);
      store<u32>(leaves, load<u32>(n3), 12);
      store<u32>(leaves, load<u32>(n4), 16);
      store<u32>(leaves, load<u32>(n5), 20);
      store<u32>(leaves, load<u32>(n6), 24);
      store<u32>(leaves, load<u32>(n7), 28);
      leaves += 32;
    } else {
      sum += load<f32>(n0);
      sum += load<f32>(n1);
      sum += load<f32>(n2);
      sum += load<f32>(n3);
      sum += load<f32>(n4);
      sum += load<f32>(n5);
      sum += load<f32>(n6);
      sum += load<f32>(n7);
    }
  }
  return sum;
}

// @ts-ignore: decorator
@inline
function nextOf(node: usize, rows: usize, row: usize): usize {
  const word = load<u32>(node, 4);
  const goesLeft = load<f32>(rows + <usize>((word >>> 11) & 0x1fffe0) + row) <= load<f32>(node);
  return node + <usize>((word & 0xffff) << 3) - (<usize>goesLeft << 3);
}

/**
 * As `walkRow` for `blocks` blocks of eight prepared rows each: every tree is walked for all rows before the next one, so
 * that it stays in the nearest cache. Sums go to `sums`, one float per row; leaves to (tree * 8 + row) of one block.
 */
export function walkEights(rows: usize, blocks: u32, blockBytes: u32, table: usize, groups: u32, sums: usize, leaves: usize): void {
  if (leaves == 0) memory.fill(sums, 0, <usize>blocks << 5);
  for (const end = table + <usize>groups * GROUP_BYTES; table < end; table += GROUP_BYTES)
    for (let member: usize = 0; member < GROUP; member++) {
      const root: usize = load<u32>(table + (member << 2));
      const shortest = load<u32>(table, 32);
      const longest = load<u32>(table, 36);
      let block = rows;
      let sum = sums;
      for (let index: u32 = 0; index < blocks; index++, block += <usize>blockBytes, sum += 32) {
        let n0 = root;
        let n1 = root;
        let n2 = root;
        let n3 = root;
        let n4 = root;
        let n5 = root;
        let n6 = root;
        let n7 = root;
        for (let steps = shortest; steps > 0; steps--) {
          n0 = nextOf(n0, block, 0);
          n1 = nextOf(n1, block, 4);
          n2 = nextOf(n2, block, 8);
          n3 = nextOf(n3, block, 12);
          n4 = nextOf(n4, block, 16);
          n5 = nextOf(n5, block, 20);
          n6 = nextOf(n6, block, 24);
          n7 = nextOf(n7, block, 28);
        }
        for (let rest = longest - shortest; rest > 0; rest--) {
          const before = n0 + n1 + n2 + n3 + n4 + n5 + n6 + n7;
          n0 = nextOf(n0, block, 0);
          n1 = nextOf(n1, block, 4);
          n2 = nextOf(n2, block, 8);
          n3 = nextOf(n3, block, 12);
          n4 = nextOf(n4, block, 16);
          n5 = nextOf(n5, block, 20);
          n6 = nextOf(n6, block, 24);
          n7 = nextOf(n7, block, 28);
          if (n0 + n1 + n2 + n3 + n4 + n5 + n6 + n7 == before) break;
        }
        if (leaves != 0) {
          store<u32>(leaves, load<u32>(n0), 0);
          store<u32>(leaves, load<u32>(n1), 4);
          store<u32>(leaves, load<u32>(n2), 8);
          store<u32>(leaves, load<u32>(n3), 12);
          store<u32>(leaves, load<u32>(n4), 16);
          store<u32>(leaves, load<u32>(n5), 20);
          store<u32>(leaves, load<u32>(n6), 24);
          store<u32>(leaves, load<u32>(n7), 28);
          leaves += 32;
        } else {
          store<f32>(sum, load<f32>(sum, 0) + load<f32>(n0), 0);
          store<f32>(sum, load<f32>(sum, 4) + load<f32>(n1), 4);
          store<f32>(sum, load<f32>(sum, 8) + load<f32>(n2), 8);
          store<f32>(sum, load<f32>(sum, 12) + load<f32>(n3), 12);
          store<f32>(sum, load<f32>(sum, 16) + load<f32>(n4), 16);
          store<f32>(sum, load<f32>(sum, 20) + load<f32>(n5), 20);
          store<f32>(sum, load<f32>(sum, 24) + load<f32>(n6), 24);
          store<f32>(sum, load<f32>(sum, 28) + load<f32>(n7), 28);
        }
      }
    }
}
