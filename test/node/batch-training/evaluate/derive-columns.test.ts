import { describe, expect, it } from "vitest";
import { deriveColumns } from "../../../../batch-training/evaluate/derive-columns.ts";
import type { Frame } from "../../../../batch-training/sources/read-frame.ts";

const HOUR = 3_600_000;

describe("derived columns", () => {
  const vocabulary = Array.from({ length: 300 }, (_, i) => `d${i}`);
  const frame: Frame = {
    file: "t.csv",
    rows: 5,
    columns: [
      { name: "signup", kind: "numeric", isTime: true, values: Float64Array.of(0, HOUR, 0, 0, Number.NaN) },
      {
        name: "buy",
        kind: "numeric",
        isTime: true,
        values: Float64Array.of(5 * HOUR, 2 * HOUR, HOUR, 5 * HOUR, 9 * HOUR),
      },
      { name: "device", kind: "categorical", vocabulary, values: Float64Array.of(7, 7, 7, 7, Number.NaN) },
      { name: "source", kind: "categorical", vocabulary: ["a", "b"], values: Float64Array.of(0, 1, 0, 1, 0) },
    ],
  };
  const value = (name: string): number[] => [
    ...(deriveColumns(frame, { drop: [], countEarlier: true }).find((c) => c.name === name)?.values ?? []),
  ];

  it("count earlier rows of the same identifier; rows of the same moment do not see each other", () => {
    expect(value("device.earlier")).toEqual([2, 1, 0, 2, Number.NaN]);
    expect(value("source.earlier")).toEqual([]);
  });

  it("tell hours, weekdays and the seconds between times, missing where a time is", () => {
    expect(value("buy.hour")).toEqual([5, 2, 1, 5, 9]);
    expect(value("buy.weekday")).toEqual([4, 4, 4, 4, 4]);
    expect(value("buy-signup")).toEqual([18_000, 3600, 3600, 18_000, Number.NaN]);
  });

  it("are not made from dropped columns", () => {
    const names = deriveColumns(frame, { drop: ["signup", "device"], countEarlier: true }).map(({ name }) => name);
    expect(names).toEqual(["buy.hour", "buy.weekday"]);
  });
});
