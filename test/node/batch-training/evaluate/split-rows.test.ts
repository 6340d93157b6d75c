import { describe, expect, it } from "vitest";
import { parseSplit, splitByTime, splitFolds } from "../../../../batch-training/evaluate/split-rows.ts";
import type { Frame } from "../../../../batch-training/sources/read-frame.ts";

const frameOf = (values: number[]): Frame => ({
  file: "t.csv",
  rows: values.length,
  columns: [{ name: "t", kind: "numeric", values: Float64Array.from(values), isTime: false }],
});

describe("splits", () => {
  it("by time never trains on a later row than it reports, and keeps equal times together", () => {
    const times = [5, 1, 3, 3, 3, 3, 2, 9];
    const { train, test } = splitByTime(frameOf(times), "t", 0.5);
    const latest = Math.max(...[...train].map((row) => times[row] ?? 0));
    expect(Math.min(...[...test].map((row) => times[row] ?? 0))).toBeGreaterThan(latest);
    expect([...train, ...test].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    // Two boundaries are as near to four rows: after 2 (two rows) and after 3 (six); the earlier one wins.
    expect([...train]).toEqual([1, 6]);
  });

  it("by time refuses one time only, missing times and text", () => {
    expect(() => splitByTime(frameOf([4, 4, 4]), "t", 0.7)).toThrow(/same time/);
    expect(() => splitByTime(frameOf([4, Number.NaN]), "t", 0.7)).toThrow(/no time in row 2/);
    expect(() => splitByTime(frameOf([4]), "nope", 0.7)).toThrow(/no column "nope"; there are t/);
  });

  it("folds report every row once, never train on it, and depend on the seed", () => {
    const folds = splitFolds(103, 5, 1);
    expect(folds.flatMap(({ test }) => [...test]).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 103 }, (_, i) => i),
    );
    for (const { train, test } of folds) {
      expect(train.length + test.length).toBe(103);
      expect([...test].some((row) => train.includes(row))).toBe(false);
    }
    expect(splitFolds(103, 5, 2)[0]?.test).not.toEqual(folds[0]?.test);
    expect(splitFolds(103, 5, 1)).toEqual(folds);
  });

  it("the three forms are parsed, colons in names included; others are refused", () => {
    expect(parseSplit("by-time:a:b:0.7")).toEqual({ kind: "by-time", column: "a:b", trainShare: 0.7 });
    expect(parseSplit("folds:5:42")).toEqual({ kind: "folds", folds: 5, seed: 42 });
    expect(parseSplit("given:C:/x.csv")).toEqual({ kind: "given", file: "C:/x.csv" });
    for (const wrong of ["by-time:a", "by-time:a:1.5", "folds:1:1", "folds:5", "given:", "random", ""]) {
      expect(() => parseSplit(wrong)).toThrow(/is not one of/);
    }
  });
});
