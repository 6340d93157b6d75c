import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GenerationalCache } from "../../../models/features/generational-cache.ts";

const MAX_BYTES = 100;
const Step = fc.tuple(
  fc.constantFrom("get" as const, "set" as const, "delete" as const, "clear" as const),
  fc.integer({ min: 0, max: 12 }),
  fc.integer({ min: 1, max: 30 }),
);

describe("a cache of two generations", () => {
  it("answers what was set last or nothing, and never holds more than its bound", () => {
    fc.assert(
      fc.property(fc.array(Step, { maxLength: 200 }), (steps) => {
        const cache = new GenerationalCache<number>(MAX_BYTES);
        const truth = new Map<string, { value: number; bytes: number }>();
        for (const [index, [step, number, bytes]] of steps.entries()) {
          const key = `k${number}`;
          if (step === "clear" && number === 0) {
            cache.clear();
            truth.clear();
          } else if (step === "delete") {
            cache.delete(key);
            truth.delete(key);
          } else if (step === "set") {
            cache.set(key, index, bytes);
            truth.set(key, { value: index, bytes });
          } else {
            const found = cache.get(key);
            if (found !== undefined) expect(found).toBe(truth.get(key)?.value);
          }
        }
        let held = 0;
        // From the oldest use on: looking at one may push out others.
        for (const [key, { bytes }] of truth) if (cache.get(key) !== undefined) held += bytes;
        expect(held).toBeLessThanOrEqual(2 * MAX_BYTES);
      }),
    );
  });

  it("keeps what is used while others pass through, and what was just set whatever its size", () => {
    const cache = new GenerationalCache<number>(MAX_BYTES);
    cache.set("hot", 1, 10);
    for (let other = 0; other < 100; other++) {
      cache.set(`other-${other}`, other, 10);
      expect(cache.get("hot"), `after ${other}`).toBe(1);
    }
    expect(cache.get("other-0")).toBeUndefined();
    cache.set("large", 2, 10 * MAX_BYTES);
    expect(cache.get("large")).toBe(2);
  });
});
