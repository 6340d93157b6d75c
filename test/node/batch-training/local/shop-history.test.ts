import { describe, expect, it } from "vitest";
import { shiftTimes } from "../../../../batch-training/local/shift-times.ts";
import { shopHistory } from "../../../../batch-training/local/shop-history.ts";

const DAY_MS = 86_400_000;
const MONDAY = Date.parse("2026-06-01T00:00:00Z");

describe("shopHistory", () => {
  it("tells the same shop whenever it is started, moved by whole weeks", () => {
    const eventsAt = (end: number) => [...shopHistory({ seed: 7, scale: 0.02, end }).events()];
    const early = eventsAt(MONDAY + 3 * DAY_MS);
    const late = eventsAt(MONDAY + 24 * DAY_MS + 12_345);
    expect(shiftTimes(early, 21 * DAY_MS)).toEqual(late);
    expect(early.length).toBeGreaterThan(1_000);
  });

  it("ends within the week before the start, and never after it", () => {
    for (const days of [0, 1, 6, 6.999]) {
      const end = MONDAY + days * DAY_MS;
      const times = [...shopHistory({ seed: 7, scale: 0.02, end }).events()].map((event) => Date.parse(event.time));
      const newest = Math.max(...times);
      expect(newest).toBeLessThanOrEqual(end);
      expect(newest).toBeGreaterThan(end - 8 * DAY_MS);
    }
  });

  it("demonstrates with orders placed at the time asked for, by customers who registered before", () => {
    const history = shopHistory({ seed: 7, scale: 0.02, end: MONDAY });
    for (const _event of history.events());
    const { plain, suspicious } = history.demonstration(MONDAY + 5 * DAY_MS, "x");
    for (const order of [plain, suspicious]) {
      expect(Date.parse(order.placedAt)).toBe(MONDAY + 5 * DAY_MS);
      expect(Date.parse(order.customerRegisteredAt ?? "")).toBeLessThan(MONDAY + 5 * DAY_MS);
    }
  });
});

describe("shiftTimes", () => {
  it("moves times at any depth and nothing else, and leaves its input alone", () => {
    const value = {
      time: "2026-01-01T00:00:00Z",
      n: 3,
      none: null,
      list: [{ at: "2026-01-01T00:00:00.5Z" }],
      id: "T-1",
    };
    const before = structuredClone(value);
    expect(shiftTimes(value, 1_000)).toEqual({
      time: "2026-01-01T00:00:01.000Z",
      n: 3,
      none: null,
      list: [{ at: "2026-01-01T00:00:01.500Z" }],
      id: "T-1",
    });
    expect(value).toEqual(before);
  });
});
