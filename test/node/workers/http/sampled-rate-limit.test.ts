import { describe, expect, it } from "vitest";
import { COUNTED_ONE_IN, REFUSED_FOR_MS, SampledRateLimit } from "../../../../workers/http/sampled-rate-limit.ts";

/** A binding that allows `allowed` counted requests per client. */
function setUp(allowed: number) {
  const state = { now: 1_000, counted: new Map<string, number>(), allowed };
  const limit = new SampledRateLimit(
    async (key) => {
      const counted = (state.counted.get(key) ?? 0) + 1;
      state.counted.set(key, counted);
      return counted <= state.allowed;
    },
    () => state.now,
  );
  return { state, limit };
}

describe("SampledRateLimit", () => {
  it("lets the binding count one request in sixteen, the first included", async () => {
    const { state, limit } = setUp(Number.POSITIVE_INFINITY);
    for (let request = 0; request < 10 * COUNTED_ONE_IN; request++) expect(await limit.admits("a")).toBe(true);
    expect(state.counted.get("a")).toBe(10);
  });

  it("stops a runaway client within sixteen requests of its ceiling", async () => {
    const { limit } = setUp(5);
    let admitted = 0;
    while (await limit.admits("a")) admitted++;
    expect(admitted).toBe(5 * COUNTED_ONE_IN);
  });

  it("refuses without asking for a second, then asks again", async () => {
    const { state, limit } = setUp(0);
    expect(await limit.admits("a")).toBe(false);
    state.now += REFUSED_FOR_MS - 1;
    expect(limit.admits("a")).toBe(false);
    expect(state.counted.get("a")).toBe(1);
    state.allowed = Number.POSITIVE_INFINITY;
    state.now += 1;
    expect(await limit.admits("a")).toBe(true);
    expect(state.counted.get("a")).toBe(2);
  });

  it("counts clients apart", async () => {
    const { limit } = setUp(1);
    while (await limit.admits("a"));
    expect(await limit.admits("b")).toBe(true);
  });
});
