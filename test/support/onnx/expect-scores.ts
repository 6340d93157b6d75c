import { expect } from "vitest";
import { largestDifference } from "../../../batch-training/evaluate/largest-difference.ts";

/** Every value within `absolute + relative · |expected|`; NaN equals NaN. The message names the worst place. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: { readonly relative: number; readonly absolute: number },
): void {
  expect(actual.length, "number of scores").toBe(expected.length);
  const worst = largestDifference(expected, actual, { width: 1, relativeTolerance: tolerance.relative });
  const at = worst.excessRow;
  expect(worst.excess, `value ${at}: expected ${expected[at]}, got ${actual[at]}`).toBeLessThanOrEqual(
    tolerance.absolute,
  );
}

/** Bit for bit the same numbers (0 and -0 alike). */
export function expectSame(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length, "number of scores").toBe(expected.length);
  const same = (a: number, b: number | undefined): boolean => a === b || Object.is(a, b);
  const at = Array.from(expected).findIndex((value, i) => !same(value, actual[i]));
  expect(at, at < 0 ? "" : `value ${at}: expected ${expected[at]}, got ${actual[at]}`).toBe(-1);
}
