import { describe, expect, it } from "vitest";
import { ARMS } from "../../../../models/contract/recommendation-arms.ts";
import { MetricRegistry } from "../../../../models/stats/metric-registry.ts";
import { type Exposure, Exposures } from "../../../../workers/recommendations/exposures.ts";
import { ATTRIBUTION_MS } from "../../../../models/recommend/outcome.ts";
import { RecommendationIds } from "../../../../workers/recommendations/recommendation-ids.ts";

const exposure = (tenant: string, recommendationId: string): Exposure =>
  ({ record: { tenant, recommendationId }, event: { id: recommendationId } }) as unknown as Exposure;

function outlet(options: { readonly broken?: boolean; readonly onLogged?: () => void } = {}) {
  const logged: [string, string[]][] = [];
  const told: string[] = [];
  const sends: number[] = [];
  let pauses = 0;
  const attributed: string[] = [];
  const metrics = new MetricRegistry();
  const kept: Promise<unknown>[] = [];
  const timers: (() => void)[] = [];
  let now = 0;
  const exposures = new Exposures({
    append: async (tenant, records) => {
      if (options.broken === true) throw new Error("R2 is down");
      logged.push([tenant, records.map((record) => record.recommendationId)]);
      options.onLogged?.();
    },
    send: async (events) => {
      sends.push(events.length);
      told.push(...events.map((event) => event.id));
    },
    attribute: async (_tenant, records) => {
      attributed.push(...records.map((record) => record.recommendationId));
    },
    now: () => now,
    after: () => new Promise((resolve) => timers.push(() => resolve())),
    pause: async () => void pauses++,
    metrics,
  });
  const add = (...batch: Exposure[]): void => exposures.add(batch, (promise) => kept.push(promise));
  const pass = async (): Promise<void> => {
    for (const timer of timers.splice(0)) timer();
    await Promise.all(kept.splice(0));
  };
  const dropped = (): Record<string, number> =>
    Object.fromEntries(
      metrics
        .drain()
        .flatMap(({ name, labels, value }) => (name === "exposures_dropped_total" ? [[labels, value]] : [])),
    );
  const later = (milliseconds: number): void => void (now += milliseconds);
  return {
    add,
    pass,
    logged,
    told,
    sends,
    pauses: () => pauses,
    attributed,
    dropped,
    later,
    waiting: () => timers.length,
  };
}

describe("lists on their way out", () => {
  it("leave together, one log object for each tenant", async () => {
    const { add, pass, logged, told, waiting } = outlet();
    add(exposure("a", "1"));
    add(exposure("b", "2"), exposure("a", "3"));
    expect([waiting(), logged]).toEqual([1, []]);
    await pass();
    expect(logged).toEqual([
      ["a", ["1", "3"]],
      ["b", ["2"]],
    ]);
    expect(told).toEqual(["1", "2", "3"]);
    add(exposure("a", "4"));
    await pass();
    expect(told.at(-1)).toBe("4");
  });

  it("wait for company again when they are added while others leave, and need no further request for it, ten times", async () => {
    const own = outlet({ onLogged: () => own.add(exposure("a", `during ${own.logged.length}`)) });
    own.add(exposure("a", "first"));
    for (let flush = 1; flush <= 10; flush++) {
      expect([own.waiting(), own.logged.length]).toEqual([1, flush - 1]);
      void own.pass();
      await new Promise((resolve) => setImmediate(resolve));
    }
    // A flush without end would outlive its request: now the next request takes over.
    expect([own.waiting(), own.logged.at(-1)]).toEqual([0, ["a", ["during 9"]]]);
    own.add(exposure("a", "next"));
    void own.pass();
    await new Promise((resolve) => setImmediate(resolve));
    expect(own.logged.at(-1)).toEqual(["a", ["during 10", "next"]]);
  });

  it("are announced some at a time, and others get a turn in between", async () => {
    const { add, pass, logged, told, sends, pauses } = outlet();
    const ids = Array.from({ length: 60 }, (_, list) => String(list));
    add(...ids.map((id) => exposure("a", id)));
    await pass();
    expect([sends, pauses(), told, logged]).toEqual([[25, 25, 10], 2, ids, [["a", ids]]]);
  });

  it("are counted where they are lost, and the ones after them still leave", async () => {
    const broken = outlet({ broken: true });
    broken.add(exposure("a", "1"));
    await broken.pass();
    expect([broken.told, broken.attributed]).toEqual([["1"], ["1"]]);
    expect(broken.dropped()).toEqual({ 'from="log"': 1 });
    broken.add(exposure("a", "2"));
    await broken.pass();
    expect(broken.told).toEqual(["1", "2"]);
  });

  it("are bounded while nothing leaves, and start again when a flush died with its request", async () => {
    const { add, pass, told, dropped, later } = outlet();
    for (let list = 0; list < 2_500; list++) add(exposure("a", String(list)));
    expect(dropped()).toEqual({ 'from="log"': 500, 'from="events"': 500, 'from="attribution"': 500 });
    later(60_000);
    add(exposure("a", "last"));
    await pass();
    expect(told).toHaveLength(2_000);
    expect([told[0], told.at(-1)]).toEqual(["501", "last"]);
  });
});

describe("ids of recommendations", () => {
  const ids = new RecommendationIds("a key of at least thirty-two letters");

  const list = { answeredAt: 1_780_000_000_000, arm: "control", shard: 1_023 } as const;

  it("tell when, by which arm and for which shard a list was answered, and are good for one tenant and a month", () => {
    for (const arm of ARMS) {
      for (const shard of [0, 35, 36, 1_023]) {
        const id = ids.make("shop", { ...list, arm, shard }, "k3j2h1");
        expect(id).toMatch(/^[A-Za-z0-9][A-Za-z0-9-]{1,127}$/);
        expect(ids.read("shop", id, 1_780_000_000_500)).toEqual({ ...list, arm, shard });
      }
    }
    const id = ids.make("shop", list, "k3j2h1");
    expect(ids.read("other", id, 1_780_000_000_500)).toBeNull();
    expect(ids.read("shop", id, 1_780_000_000_001 + ATTRIBUTION_MS)).toBeNull();
    expect(new RecommendationIds("another key").read("shop", id, 1_780_000_000_500)).toBeNull();
  });

  it("are refused with any letter changed", () => {
    const id = ids.make("shop", list, "k3j2h1");
    for (let at = 0; at < id.length; at++) {
      const changed = `${id.slice(0, at)}${id[at] === "1" ? "2" : "1"}${id.slice(at + 1)}`;
      expect(ids.read("shop", changed, 1_780_000_000_500)).toBeNull();
    }
  });
});
