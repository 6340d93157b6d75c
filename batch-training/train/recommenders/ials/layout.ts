/** Where everything lies in the shared memory of an iALS run, in bytes. Side 0 is users, side 1 items. */
export interface IalsShape {
  /** Rows of users and of items. */
  readonly rows: readonly [number, number];
  readonly entries: number;
  /** A multiple of 8. */
  readonly d: number;
  readonly threads: number;
}

export interface IalsLayout extends IalsShape {
  readonly start: readonly [number, number];
  readonly column: readonly [number, number];
  readonly weight: readonly [number, number];
  readonly factors: readonly [number, number];
  readonly ridge: readonly [number, number];
  readonly gram: number;
  readonly gramBlocks: number;
  /** One for each thread, `scratchBytes` apart. */
  readonly scratch: number;
  readonly scratchBytes: number;
  readonly bytes: number;
}

/** Blocks a Gram matrix is summed in: fixed, so that the sum does not depend on the number of threads. */
export const GRAM_BLOCKS = 16;
/** Address space of WebAssembly with 32-bit offsets. */
export const MAX_BYTES = 4 * 1024 ** 3 - 65_536;

/** @throws RangeError when the run does not fit 4 GiB */
export function planLayout(shape: IalsShape, scratchFloats: number): IalsLayout {
  let next = 0;
  const take = (elements: number): number => {
    const at = next;
    next += Math.ceil((elements * 4) / 64) * 64;
    return at;
  };
  const { rows, entries, d, threads } = shape;
  const layout = {
    ...shape,
    start: [take(rows[0] + 1), take(rows[1] + 1)] as const,
    column: [take(entries), take(entries)] as const,
    weight: [take(entries), take(entries)] as const,
    factors: [take(rows[0] * d), take(rows[1] * d)] as const,
    ridge: [take(rows[0]), take(rows[1])] as const,
    gram: take(d * d),
    gramBlocks: take(GRAM_BLOCKS * d * d),
    scratchBytes: Math.ceil((scratchFloats * 4) / 64) * 64,
  };
  const scratch = next;
  const bytes = next + threads * layout.scratchBytes;
  if (bytes > MAX_BYTES) {
    const gib = (bytes / 1024 ** 3).toFixed(1);
    throw new RangeError(
      `iALS on ${entries} entries with ${d} factors needs ${gib} GiB; 4 is the limit: fewer factors or rows`,
    );
  }
  return { ...layout, scratch, bytes };
}
