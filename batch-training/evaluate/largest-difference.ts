/** Where two score matrices differ most. */
export interface Difference {
  /** |expected − actual|; 0 for two NaN or two equal infinities, Infinity where only one of them is not finite. */
  readonly absolute: number;
  /** Where `absolute` is. */
  readonly row: number;
  readonly column: number;
  readonly expected: number;
  readonly actual: number;
  /** Largest |expected − actual| − relativeTolerance · |expected|: what an absolute tolerance is compared with. */
  readonly excess: number;
  /** Where `excess` is. */
  readonly excessRow: number;
}

/**
 * @param expected,actual `rows × width`, row-major, of one length
 * @param options.relativeTolerance what `excess` forgives per unit of the expected value; default 0
 */
export function largestDifference(
  expected: ArrayLike<number>,
  actual: ArrayLike<number>,
  options: { readonly width: number; readonly relativeTolerance?: number },
): Difference {
  if (expected.length !== actual.length || expected.length === 0) {
    throw new RangeError(`cannot compare ${expected.length} with ${actual.length} values`);
  }
  const relative = options.relativeTolerance ?? 0;
  let at = 0;
  let absolute = -1;
  let excessAt = 0;
  let excess = -Infinity;
  for (let i = 0; i < expected.length; i++) {
    const a = expected[i] ?? Number.NaN;
    const b = actual[i] ?? Number.NaN;
    const distance = distanceOf(a, b);
    if (distance > absolute) {
      absolute = distance;
      at = i;
    }
    const over = distance === 0 || distance === Infinity ? distance : distance - relative * Math.abs(a);
    if (over > excess) {
      excess = over;
      excessAt = i;
    }
  }
  return {
    absolute,
    row: Math.floor(at / options.width),
    column: at % options.width,
    expected: expected[at] ?? Number.NaN,
    actual: actual[at] ?? Number.NaN,
    excess,
    excessRow: Math.floor(excessAt / options.width),
  };
}

function distanceOf(a: number, b: number): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  const distance = Math.abs(a - b);
  return Number.isNaN(distance) ? Infinity : distance;
}
