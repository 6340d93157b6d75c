import { describe, expect, it } from "vitest";
import { largestDifference } from "../../../../batch-training/evaluate/largest-difference.ts";

describe("the largest difference", () => {
  it("names its row and column", () => {
    const found = largestDifference([1, 2, 3, 4], [1, 2.5, 3, 4.25], { width: 2 });
    expect(found).toMatchObject({ absolute: 0.5, row: 0, column: 1, expected: 2, actual: 2.5, excess: 0.5 });
  });

  it("forgives in proportion to the value, and names the row that is over the tolerance", () => {
    const found = largestDifference([1000, 1], [1001, 1.5], { width: 1, relativeTolerance: 0.01 });
    expect(found).toMatchObject({ absolute: 1, row: 0, excess: 0.49, excessRow: 1 });
  });

  it("is infinite where only one side is not a number, and zero where both are alike", () => {
    const { NaN: nan } = Number;
    expect(largestDifference([nan, Infinity, 1], [nan, Infinity, 1], { width: 1 }).absolute).toBe(0);
    expect(largestDifference([1, nan], [1, 2], { width: 1 })).toMatchObject({
      absolute: Infinity,
      excess: Infinity,
      row: 1,
    });
    expect(largestDifference([Infinity], [-Infinity], { width: 1 }).absolute).toBe(Infinity);
  });

  it("of nothing, or of two lengths, is an error", () => {
    expect(() => largestDifference([], [], { width: 1 })).toThrow(RangeError);
    expect(() => largestDifference([1], [1, 2], { width: 1 })).toThrow("cannot compare 1 with 2 values");
  });
});
