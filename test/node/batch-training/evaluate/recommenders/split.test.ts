import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  parseSplit,
  splitRows,
  type SplitRule,
  validationSplit,
} from "../../../../../batch-training/evaluate/recommenders/split.ts";
import type { Interactions } from "../../../../../batch-training/sources/interactions.ts";
import { allRows, interactions, type Row } from "../../../../support/interaction-logs.ts";

const anyRows = fc.array(
  fc.tuple(fc.nat(8), fc.nat(12), fc.nat(1_000)).map(([user, item, time]): Row => [user, item, time]),
  { minLength: 2, maxLength: 60 },
);

describe("splitting a log", () => {
  it.each<Exclude<SplitRule, { kind: "given" }>>([
    { kind: "leave-last-out" },
    { kind: "per-user-random", fraction: 0.25, seed: 3 },
    { kind: "by-time", from: 500 },
  ])("puts every row on one side and never all of a user's rows by user into test: $kind", (rule) => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const log = interactions(rows);
        const split = trySplit(log, rule);
        if (split === null) return;
        expect([...split.train, ...split.test].sort((a, b) => a - b)).toEqual([...allRows(log)]);
        if (rule.kind === "by-time") return;
        const trained = new Set([...split.train].map((row) => log.user[row]));
        for (const row of split.test) expect(trained.has(log.user[row])).toBe(true);
      }),
    );
  });

  it("leaves out each user's latest row, the last in the file among equals, and keeps users of one row", () => {
    const log = interactions([
      [0, 1, 300],
      [0, 2, 100],
      [0, 3, 300],
      [1, 1, 50],
    ]);
    const { train, test } = splitRows(log, allRows(log), { kind: "leave-last-out" });
    expect([[...train], [...test]]).toEqual([[1, 0, 3], [2]]);
  });

  it("takes a quarter of each user's rows, rounded, another quarter for another seed", () => {
    const log = interactions(Array.from({ length: 60 }, (_, i): Row => [i % 3, i, i]));
    const cut = (seed: number): number[] => [
      ...splitRows(log, allRows(log), { kind: "per-user-random", fraction: 0.25, seed }).test,
    ];
    expect([0, 1, 2].map((user) => cut(1).filter((row) => log.user[row] === user).length)).toEqual([5, 5, 5]);
    expect(cut(1)).toEqual(cut(1));
    expect(cut(1)).not.toEqual(cut(2));
  });

  it("refuses a cut that leaves a side empty, and by-time without times", () => {
    const log = interactions([
      [0, 1, 100],
      [0, 2, 200],
    ]);
    expect(() => splitRows(log, allRows(log), { kind: "by-time", from: 50 })).toThrow(/nothing to train on/);
    expect(() => splitRows(log, allRows(log), { kind: "by-time", from: 500 })).toThrow(
      /nothing to test on; the rows lie between 1970-01-01T00:01:40.000Z and 1970-01-01T00:03:20.000Z/,
    );
    const single = interactions([[0, 1, 100]]);
    expect(() => splitRows(single, allRows(single), { kind: "leave-last-out" })).toThrow(/nothing to test on/);
    const timeless = interactions([[0, 1]]);
    expect(() => splitRows(timeless, allRows(timeless), { kind: "by-time", from: 1 })).toThrow(/time in every row/);
  });
});

function trySplit(log: Interactions, rule: Exclude<SplitRule, { kind: "given" }>): ReturnType<typeof splitRows> | null {
  try {
    return splitRows(log, allRows(log), rule);
  } catch {
    return null;
  }
}

describe("the validation cut", () => {
  const log = interactions(Array.from({ length: 200 }, (_, i): Row => [i % 5, i, i * 10]));

  it("stays inside the training rows, whatever the rule and the fold", () => {
    for (const rule of ["leave-last-out", "per-user-random:0.25:1", "by-time:1970-01-01T00:25:00Z"].map(parseSplit)) {
      if (rule.kind === "given") throw new Error("not part of this test");
      const outer = splitRows(log, allRows(log), rule);
      const test = new Set(outer.test);
      for (const fold of [0, 1]) {
        const inner = validationSplit(log, outer.train, { rule, next: false, testEnd: 2_000, fold, folds: 2 });
        for (const row of [...inner.train, ...inner.test]) expect(test.has(row)).toBe(false);
        const trained = new Set(inner.train);
        for (const row of inner.test) expect(trained.has(row)).toBe(false);
      }
    }
  });

  it("is the slice of equal length just before the test slice", () => {
    const rule = parseSplit("by-time:1970-01-01T00:25:00Z");
    const train = allRows(log).filter((row) => (log.time[row] ?? 0) < 1_500);
    const inner = validationSplit(log, train, { rule, next: false, testEnd: 2_000, fold: 0, folds: 1 });
    const times = [...inner.test].map((row) => log.time[row] ?? 0);
    expect([Math.min(...times), Math.max(...times)]).toEqual([1_000, 1_490]);
    expect(Math.max(...[...inner.train].map((row) => log.time[row] ?? 0))).toBe(990);
  });

  it("is shorter where the training rows do not reach back for all folds, and never empty", () => {
    const rule = parseSplit("by-time:1970-01-01T00:10:00Z");
    const train = allRows(log).filter((row) => (log.time[row] ?? 0) < 600);
    const sizes = [0, 1].map((fold) => {
      const inner = validationSplit(log, train, { rule, next: false, testEnd: 2_000, fold, folds: 2 });
      return [inner.train.length, inner.test.length];
    });
    expect(sizes).toEqual([
      [40, 20],
      [20, 20],
    ]);
  });

  it("holds whole sessions, the latest, for next-item prediction", () => {
    const sessions = interactions(Array.from({ length: 100 }, (_, i): Row => [Math.floor(i / 5), i % 7, i]));
    const inner = validationSplit(sessions, allRows(sessions), {
      rule: { kind: "given" },
      next: true,
      testEnd: 100,
      fold: 0,
      folds: 1,
    });
    expect([...new Set([...inner.test].map((row) => sessions.user[row]))]).toEqual([17, 18, 19]);
  });
});

describe("the text of a split", () => {
  it.each([
    ["given", { kind: "given" }],
    ["per-user-random:0.25:7", { kind: "per-user-random", fraction: 0.25, seed: 7 }],
    ["by-time:2011-09-04", { kind: "by-time", from: Date.UTC(2011, 8, 4) / 1000 }],
    ["by-time:2011-09-04 17:51:00", { kind: "by-time", from: Date.UTC(2011, 8, 4, 17, 51) / 1000 }],
    ["by-time:1315158660", { kind: "by-time", from: 1_315_158_660 }],
    ["by-time:2011-09-04T17:51:00", { kind: "by-time", from: Date.UTC(2011, 8, 4, 17, 51) / 1000 }],
  ])("%s", (text, rule) => {
    expect(parseSplit(text)).toEqual(rule);
  });

  it.each([
    ["thirds", /unknown split "thirds": given, leave-last-out/],
    ["per-user-random:1.5:1", /fraction lies between 0 and 1/],
    ["per-user-random:0.5:x", /seed is a whole number/],
    ["by-time:soon", /not a date/],
  ])("%s is refused with the remedy", (text, message) => {
    expect(() => parseSplit(text)).toThrow(message);
  });
});
