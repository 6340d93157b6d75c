import { describe, expect, it } from "vitest";
import {
  SessionCache,
  type SessionCacheLimits,
  SessionUnavailable,
  VersionRefused,
} from "../../../models/engine/session-cache.ts";

interface Fake {
  readonly label: string;
  bytes: number;
}

/** A cache whose clock, timers and loads are driven by hand. */
class Bench {
  now = 0;
  loads: { key: string; finish: (session?: Fake) => void; fail: (error: Error) => void }[] = [];
  objections = new Map<string, string>();
  kept: Promise<void>[] = [];
  timers: { at: number; fire: () => void }[] = [];
  readonly cache: SessionCache<Fake>;

  constructor(budgetBytes = 100, limits: Partial<SessionCacheLimits> = {}) {
    this.cache = new SessionCache<Fake>({
      budgetBytes,
      load: async (name, version) =>
        new Promise((resolve, reject) => {
          const key = `${name}@${version}`;
          this.loads.push({ key, finish: (session) => resolve(session ?? { label: key, bytes: 40 }), fail: reject });
        }),
      prove: (session) => this.objections.get(session.label) ?? null,
      now: () => this.now,
      after: async (milliseconds) =>
        new Promise((resolve) => void this.timers.push({ at: this.now + milliseconds, fire: resolve })),
      keepAlive: (work) => void this.kept.push(work),
      limits,
    });
  }

  async advance(milliseconds: number): Promise<void> {
    this.now += milliseconds;
    for (const timer of this.timers) if (timer.at <= this.now) timer.fire();
    await flush();
  }

  /** Loads a version to the end. */
  async serve(name: string, version: string, session?: Fake): Promise<void> {
    const asked = this.cache.get(name, version);
    const load = this.loads.at(-1);
    load?.finish(session);
    await asked;
    await flush();
  }
}

/** Lets every promise that can settle do so. */
async function flush(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

describe("SessionCache", () => {
  it("loads once for all who ask at the same time, and not again", async () => {
    const bench = new Bench();
    const asked = [bench.cache.get("fraud", "1"), bench.cache.get("fraud", "1"), bench.cache.get("fraud", "1")];
    expect(bench.loads).toHaveLength(1);
    bench.loads[0]?.finish();
    const served = await Promise.all(asked);
    expect(served.map(({ session, instead }) => [session.label, instead])).toEqual(
      Array.from({ length: 3 }, () => ["fraud@1", null]),
    );
    expect(bench.cache.peek("fraud", "1")?.version).toBe("1");
    await bench.cache.get("fraud", "1");
    expect(bench.loads).toHaveLength(1);
  });

  it("serves the old version, without waiting, until the new one is proven", async () => {
    const bench = new Bench();
    await bench.serve("fraud", "1");
    const during = await bench.cache.get("fraud", "2");
    expect([during.version, during.instead]).toEqual(["1", "loading"]);
    expect(bench.kept).toHaveLength(2);
    bench.loads[1]?.finish();
    await flush();
    expect((await bench.cache.get("fraud", "2")).version).toBe("2");
    // A rollback finds the old one still there.
    expect((await bench.cache.get("fraud", "1")).instead).toBeNull();
    expect(bench.loads).toHaveLength(2);
  });

  it("keeps the old version when the new one fails its proof, and does not load it in a loop", async () => {
    const bench = new Bench(100, { refusedRetryMs: 1000 });
    await bench.serve("fraud", "1");
    bench.objections.set("fraud@2", "golden row 3 differs");
    await bench.cache.get("fraud", "2");
    bench.loads[1]?.finish();
    await flush();
    for (let request = 0; request < 50; request++) {
      const served = await bench.cache.get("fraud", "2");
      expect([served.version, served.instead]).toEqual(["1", "refused"]);
    }
    expect(bench.loads).toHaveLength(2);
    await bench.advance(1000);
    await bench.cache.get("fraud", "2");
    expect(bench.loads).toHaveLength(3);
  });

  it("says why and when to come back where no version can serve", async () => {
    const bench = new Bench(100, { refusedRetryMs: 5000 });
    const asked = bench.cache.get("fraud", "1");
    bench.loads[0]?.fail(new VersionRefused("the hash is wrong"));
    await expect(asked).rejects.toMatchObject({ code: "refused", retryAfterMs: 5000 });
    await expect(asked).rejects.toThrow(/fraud version 1 cannot serve: the hash is wrong/);
    await bench.advance(2000);
    await expect(bench.cache.get("fraud", "1")).rejects.toMatchObject({ code: "refused", retryAfterMs: 3000 });
    expect(bench.loads).toHaveLength(1);
  });

  it("tries a failed load again after a wait that doubles up to a limit", async () => {
    const bench = new Bench(100, { firstRetryMs: 100, longestRetryMs: 350 });
    for (const wait of [100, 200, 350, 350]) {
      const asked = bench.cache.get("fraud", "1");
      bench.loads.at(-1)?.fail(new Error("network"));
      await expect(asked).rejects.toMatchObject({ code: "failed", retryAfterMs: wait });
      await bench.advance(wait - 1);
      await expect(bench.cache.get("fraud", "1")).rejects.toBeInstanceOf(SessionUnavailable);
      await bench.advance(1);
    }
    expect(bench.loads).toHaveLength(4);
    await bench.serve("fraud", "1");
    expect(bench.cache.peek("fraud", "1")).not.toBeNull();
  });

  it("a waiter whose load never settles loads for itself", async () => {
    const bench = new Bench(100, { waitMs: 300 });
    const first = bench.cache.get("fraud", "1");
    const second = bench.cache.get("fraud", "1");
    await bench.advance(300);
    // Both gave up on the dead load; they share one new one.
    expect(bench.loads).toHaveLength(2);
    bench.loads[1]?.finish({ label: "second", bytes: 40 });
    expect((await first).session.label).toBe("second");
    expect((await second).session.label).toBe("second");
    // The dead load comes back after all: the session that serves stays.
    bench.loads[0]?.finish({ label: "late", bytes: 40 });
    await flush();
    expect(bench.cache.peek("fraud", "1")?.session.label).toBe("second");
  });

  it("a slow load behind a serving version is not started again by every request", async () => {
    const bench = new Bench(100, { waitMs: 100, stalledMs: 5000 });
    await bench.serve("fraud", "1");
    for (let request = 0; request < 20; request++) {
      expect((await bench.cache.get("fraud", "2")).instead).toBe("loading");
      await bench.advance(200);
    }
    expect(bench.loads).toHaveLength(2);
    // After the time that a load may take at most, it is taken for dead.
    await bench.advance(1000);
    await bench.cache.get("fraud", "2");
    expect(bench.loads).toHaveLength(3);
  });

  it("dead loads do not block others for ever", async () => {
    const bench = new Bench(1000, { waitMs: 100, concurrentLoads: 2 });
    const dead = ["1", "2"].map(async (version) => bench.cache.get("fraud", version).catch(() => null));
    await expect(bench.cache.get("ranking", "1")).rejects.toMatchObject({ code: "busy" });
    bench.now += 100;
    const alive = bench.cache.get("ranking", "1");
    bench.loads.at(-1)?.finish();
    expect((await alive).version).toBe("1");
    expect(dead).toHaveLength(2);
  });

  it("stays within its budget: superseded versions go before serving ones, the least recently used first", async () => {
    const bench = new Bench(100);
    await bench.serve("fraud", "1");
    await bench.serve("ranking", "1");
    // 120 bytes: fraud@1 is superseded by fraud@2 and goes, though ranking@1 was used longer ago.
    await bench.cache.get("fraud", "1");
    await bench.cache.get("fraud", "2");
    bench.loads.at(-1)?.finish();
    await flush();
    expect(bench.cache.resident().map(({ name, version }) => `${name}@${version}`)).toEqual(["fraud@2", "ranking@1"]);
    await bench.serve("anomaly", "1", { label: "anomaly@1", bytes: 90 });
    expect(bench.cache.resident().map(({ name }) => name)).toEqual(["anomaly"]);
    expect(bench.cache.bytes).toBe(90);
  });

  it("counts what sessions have grown to when the next one comes", async () => {
    const bench = new Bench(100);
    const grows = { label: "fraud@1", bytes: 10 };
    await bench.serve("fraud", "1", grows);
    grows.bytes = 80;
    await bench.serve("ranking", "1");
    expect(bench.cache.resident().map(({ name }) => name)).toEqual(["ranking"]);
  });

  it("refuses a version that alone is over the budget", async () => {
    const bench = new Bench(100);
    const asked = bench.cache.get("fraud", "1");
    bench.loads[0]?.finish({ label: "huge", bytes: 101 });
    await expect(asked).rejects.toThrow(/101 bytes; the budget is 100/);
    expect(bench.cache.bytes).toBe(0);
  });

  it("forgets a dropped version at once", async () => {
    const bench = new Bench();
    await bench.serve("fraud", "1");
    bench.cache.drop("fraud", "1");
    expect(bench.cache.peek("fraud", "1")).toBeNull();
    const asked = bench.cache.get("fraud", "1");
    expect(bench.loads).toHaveLength(2);
    bench.loads[1]?.finish();
    expect((await asked).version).toBe("1");
  });
});
