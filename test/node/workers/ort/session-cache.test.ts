import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SessionCache } from "../../../../workers/ort/session-cache.ts";

class FakeSession {
  released = false;
  readonly bytes: number;
  constructor(bytes: number) {
    this.bytes = bytes;
  }
  async release(): Promise<void> {
    this.released = true;
  }
}

async function add(cache: SessionCache<FakeSession>, id: string, bytes: number): Promise<FakeSession | null> {
  if (!(await cache.reserve(bytes))) return null;
  const session = new FakeSession(bytes);
  cache.insert(id, session);
  cache.unreserve(bytes);
  return session;
}

const ids = (cache: SessionCache<FakeSession>): string[] => cache.list().map((entry) => entry.sha256);

describe("the session cache", () => {
  it("evicts the least recently used first, and only as many as the new one needs", async () => {
    const cache = new SessionCache<FakeSession>(100);
    const a = await add(cache, "a", 40);
    const b = await add(cache, "b", 40);
    await cache.use("a", async () => null);
    await add(cache, "c", 50);
    expect(ids(cache)).toEqual(["a", "c"]);
    expect([a?.released, b?.released]).toEqual([false, true]);
  });

  it("never releases a session in use, and then releases nothing else in vain", async () => {
    const cache = new SessionCache<FakeSession>(100);
    const held = await add(cache, "held", 60);
    const idle = await add(cache, "idle", 30);
    let finish = (): void => {};
    const running = cache.use("held", () => new Promise<void>((resolve) => (finish = resolve)));
    expect(await cache.reserve(50)).toBe(false);
    expect([held?.released, idle?.released]).toEqual([false, false]);
    finish();
    await running;
    expect(await cache.reserve(50)).toBe(true);
    expect(held?.released).toBe(true);
  });

  it("is free again after a use that failed", async () => {
    const cache = new SessionCache<FakeSession>(50);
    await add(cache, "a", 50);
    await expect(cache.use("a", () => Promise.reject(new Error("run failed")))).rejects.toThrow("run failed");
    expect(await cache.reserve(50)).toBe(true);
  });

  it("counts loads in progress against the budget", async () => {
    const cache = new SessionCache<FakeSession>(100);
    expect(await cache.reserve(60)).toBe(true);
    expect(await cache.reserve(60)).toBe(false);
    cache.unreserve(60);
    expect(await cache.reserve(60)).toBe(true);
  });

  it("resident bytes never pass the budget and always equal the sessions listed", async () => {
    const step = fc.record({ id: fc.constantFrom("a", "b", "c", "d", "e"), bytes: fc.integer({ min: 1, max: 120 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const cache = new SessionCache<FakeSession>(100);
        for (const { id, bytes } of steps) {
          if (cache.has(id)) await cache.use(id, async () => null);
          else await add(cache, id, bytes);
          expect(cache.residentBytes).toBeLessThanOrEqual(100);
          expect(cache.residentBytes).toBe(cache.list().reduce((sum, entry) => sum + entry.bytes, 0));
        }
      }),
    );
  });
});
