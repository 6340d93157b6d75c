import { describe, expect, it } from "vitest";
import type { RoutingRecord } from "../../../../models/contract/api/models.ts";
import { REVALIDATE_AFTER_MS, RoutingCache } from "../../../../workers/inference/routing-cache.ts";

const record = (epoch: number): RoutingRecord => ({
  v: 1,
  model: "m",
  epoch,
  serving: `${epoch}`.repeat(64).slice(0, 64),
  previous: null,
  changedAt: 0,
  changedBy: "x",
  reason: "promote",
});

/** A cache over a settable truth and copy, with a driven clock and background work that is awaited on demand. */
function setUp(copy: RoutingRecord | null, truth: RoutingRecord | null) {
  const state = { now: 1_000_000, copy, truth, reads: 0, hang: false };
  const background: Promise<unknown>[] = [];
  const cache = new RoutingCache({
    source: {
      readCopy: async () => state.copy,
      record: async () => {
        state.reads++;
        if (state.hang) return await new Promise<never>(() => {});
        return state.truth;
      },
    },
    now: () => state.now,
    background: (promise) => background.push(promise),
  });
  return { state, cache, settle: () => Promise.all(background.splice(0)) };
}

describe("RoutingCache", () => {
  it("knows nothing before the first look", () => {
    expect(setUp(null, null).cache.peek("t", "m")).toBeUndefined();
  });

  it("serves the cold-start copy at once, and asks the truth in the background", async () => {
    const { cache, state, settle } = setUp(record(1), record(2));
    expect((await cache.load("t", "m"))?.epoch).toBe(1);
    expect(state.reads).toBe(0);
    expect(cache.peek("t", "m")?.epoch).toBe(1);
    await settle();
    expect(cache.peek("t", "m")?.epoch).toBe(2);
  });

  it("sees a promotion within ten seconds, without making a request wait", async () => {
    const { cache, state, settle } = setUp(null, record(1));
    await cache.load("t", "m");
    state.truth = record(2);
    state.now += REVALIDATE_AFTER_MS;
    expect(cache.peek("t", "m")?.epoch).toBe(1);
    await settle();
    expect(cache.peek("t", "m")?.epoch).toBe(1);
    state.now += 1;
    expect(cache.peek("t", "m")?.epoch).toBe(1);
    await settle();
    expect(cache.peek("t", "m")?.epoch).toBe(2);
  });

  it("never goes back to an older epoch", async () => {
    const { cache, state, settle } = setUp(null, record(5));
    await cache.load("t", "m");
    state.truth = record(4);
    state.now += REVALIDATE_AFTER_MS + 1;
    cache.peek("t", "m");
    await settle();
    expect(cache.peek("t", "m")?.epoch).toBe(5);
  });

  it("asks once at a time, and again when an answer never comes", async () => {
    const { cache, state } = setUp(null, record(1));
    await cache.load("t", "m");
    state.hang = true;
    state.now += REVALIDATE_AFTER_MS + 1;
    cache.peek("t", "m");
    cache.peek("t", "m");
    expect(state.reads).toBe(2);
    state.now += 5_001;
    cache.peek("t", "m");
    expect(state.reads).toBe(3);
  });

  it("keeps models and tenants apart", async () => {
    const { cache } = setUp(null, record(1));
    await cache.load("t", "m");
    expect(cache.peek("t", "other")).toBeUndefined();
    expect(cache.peek("u", "m")).toBeUndefined();
  });
});
