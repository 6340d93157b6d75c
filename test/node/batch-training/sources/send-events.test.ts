import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ApiError } from "../../../../batch-training/client/api-error.ts";
import { fileLedger } from "../../../../batch-training/sources/send/ledger.ts";
import type { SendLimits } from "../../../../batch-training/sources/send/limits.ts";
import {
  type SendOptions,
  sendEvents,
  type SendReport,
  UnappliedError,
} from "../../../../batch-training/sources/send-events.ts";
import { SeededRandom } from "../../../../batch-training/simulator/seeded-random.ts";
import type { InboundEvent } from "../../../../models/contract/events.ts";
import { FakeIngestion, type Faults } from "../../../support/fake-ingestion.ts";
import { VirtualClock } from "../../../support/virtual-clock.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "edgewise-send-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const SMALL: Partial<SendLimits> = { batchEvents: 20, maxUnproven: 200, concurrency: 3 };

function* readings(count: number): Generator<InboundEvent> {
  for (let index = 0; index < count; index++)
    yield {
      specversion: "1.0",
      id: `r-${index}`,
      source: index % 3 === 0 ? "/plant/b" : "/plant/a",
      type: "telemetry.reading.v1",
      time: "2026-01-01T00:00:00Z",
      data: { sensorId: "s", readings: { a: index } },
    };
}

/** One server and any number of senders against it, in virtual time. */
function world(faults: Omit<Faults, "seed"> & { seed?: number } = {}): {
  clock: VirtualClock;
  server: FakeIngestion;
  send: (count: number, options?: SendOptions) => Promise<SendReport>;
} {
  const clock = new VirtualClock();
  const server = new FakeIngestion(clock, { seed: 1, ...faults });
  const random = new SeededRandom("sender");
  const deps = { client: server.client, now: clock.now, sleep: clock.sleep, random: () => random.next() };
  return {
    clock,
    server,
    send: (count, options = {}) =>
      sendEvents(readings(count), deps, { ...options, limits: { ...SMALL, ...options.limits } }),
  };
}

describe("every event is applied exactly once", () => {
  it("by a server without faults, each event sent once", async () => {
    const { server, send } = world();
    const report = await send(1_000);
    expect(server.applied.size).toBe(1_000);
    expect(server.duplicates).toBe(0);
    expect(report).toMatchObject({ read: 1_000, accepted: 1_000, applied: 1_000, refused: 0, resent: 0, retries: 0 });
  });

  it("by a server that drops, doubles, throttles, loses answers and dies", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.nat(),
          throttled: fc.double({ min: 0, max: 0.3, noNaN: true }),
          answerLost: fc.double({ min: 0, max: 0.2, noNaN: true }),
          requestLost: fc.double({ min: 0, max: 0.2, noNaN: true }),
          dies: fc.double({ min: 0, max: 0.05, noNaN: true }),
          downMs: fc.integer({ min: 0, max: 20_000 }),
          duplicated: fc.double({ min: 0, max: 0.3, noNaN: true }),
          dropped: fc.double({ min: 0, max: 0.02, noNaN: true }),
        }),
        fc.integer({ min: 0, max: 700 }),
        async (faults, count) => {
          const { server, send } = world(faults);
          const report = await send(count, { limits: { maxResends: 20 } });
          expect(server.applied.size).toBe(count);
          expect(report).toMatchObject({ read: count, accepted: count, applied: count, unapplied: 0 });
        },
      ),
      { numRuns: 60 },
    );
  });

  it("when the queue dies with events that were accepted before", async () => {
    const { clock, server, send } = world();
    let killed = 0;
    const before = clock.now();
    const report = await send(600, {
      onProgress: ({ applied }) => {
        if (applied >= 100 * (killed + 1)) {
          killed += 1;
          server.die(3_000);
        }
      },
    });
    expect(killed).toBeGreaterThan(2);
    expect(server.applied.size).toBe(600);
    expect(report.resent).toBeGreaterThan(0);
    expect(report.applied).toBe(600);
    // The server is away for three seconds and gets three of grace; waiting to be overtaken or to stall would take longer.
    expect(clock.now() - before).toBeLessThan(killed * 5_500);
  });

  it("when an accepted event vanishes while others go on", async () => {
    const { clock, server, send } = world({ dropsOnce: new Set(["r-17", "r-600"]) });
    const before = clock.now();
    const report = await send(1_000);
    expect(clock.now() - before).toBeLessThan(25_000);
    expect(server.applied.size).toBe(1_000);
    expect(report.resent).toBe(2);
    expect(server.duplicates).toBe(0);
  });
});

describe("bounds", () => {
  it("batches stay within the count and the bytes, requests within the concurrency", async () => {
    const { server, send } = world();
    await send(500, { limits: { batchBytes: 1_500, concurrency: 2 } });
    expect(server.applied.size).toBe(500);
    // A reading has about 150 bytes of JSON.
    expect(server.largestBatch).toBeLessThanOrEqual(10);
    expect(server.largestBatch).toBeGreaterThan(5);
    // Two deliveries and the one question of the prover.
    expect(server.mostAtOnce).toBeLessThanOrEqual(3);
  });

  it("an event beyond the contract's size is refused without being sent, and the others go through", async () => {
    const { server, clock } = world();
    const [first] = readings(1);
    if (first?.type !== "telemetry.reading.v1") throw new Error("unexpected");
    const huge = { ...first, id: "huge", data: { sensorId: "s".repeat(70_000), readings: {} } };
    const deps = { client: server.client, now: clock.now, sleep: clock.sleep, random: () => 0.5 };
    const report = await sendEvents([huge, first], deps);
    expect(report).toMatchObject({ applied: 1, refused: 1 });
    expect(report.refusals).toMatchObject([{ id: "huge", reason: "event-too-large" }]);
    expect([...server.applied.keys()]).toEqual(["/plant/b r-0"]);
  });

  it("after a Retry-After nobody calls until the time is over", async () => {
    const clock = new VirtualClock();
    const server = new FakeIngestion(clock, { seed: 3 });
    let throttledAt = Number.NEGATIVE_INFINITY;
    let early = 0;
    const client = {
      call: (async (...args: Parameters<typeof server.client.call>) => {
        if (clock.now() < throttledAt + 5_000) early += 1;
        if (server.calls === 10 && throttledAt < 0) {
          throttledAt = clock.now();
          throw new ApiError("busy", { kind: "problem", status: 429, retryAfterMs: 5_000 });
        }
        return server.client.call(...args);
      }) as typeof server.client.call,
    };
    const report = await sendEvents(
      readings(800),
      { client, now: clock.now, sleep: clock.sleep, random: () => 0.5 },
      { limits: { ...SMALL, concurrency: 1 } },
    );
    expect(report).toMatchObject({ applied: 800, throttled: 1 });
    // The prover may have been past the gate at the same moment.
    expect(early).toBeLessThanOrEqual(1);
  });
});

describe("what cannot be cured is reported", () => {
  it("refused events with their reasons, without holding up the others", async () => {
    const { server, send } = world({ refuses: (id) => id.endsWith("7") });
    const heard: string[] = [];
    const report = await send(300, { onRefused: ({ id }) => heard.push(id) });
    expect(report).toMatchObject({ read: 300, accepted: 270, applied: 270, refused: 30 });
    expect(heard.toSorted()).toEqual(
      [...readings(300)]
        .map((event) => event.id)
        .filter((id) => id.endsWith("7"))
        .toSorted(),
    );
    expect(report.refusals[0]).toMatchObject({ reason: "invalid-data", detail: "/data: no" });
    expect(server.applied.size).toBe(270);
  });

  it("accepted events that are never applied are given up after a bounded number of tries, and named", async () => {
    const { server, send } = world({ neverApplies: (id) => id === "r-17" });
    const report = await send(300);
    expect(report).toMatchObject({ applied: 299, unapplied: 1, unappliedEvents: ["/plant/a r-17"], resent: 3 });
    expect(server.applied.size).toBe(299);
  });

  it("a server that applies nothing ends the transfer with an error that says where to look", async () => {
    const { send } = world({ neverApplies: () => true });
    const call = send(2_000, { limits: { maxUnapplied: 50 } });
    await expect(call).rejects.toThrow(UnappliedError);
    await expect(call).rejects.toThrow("dead-letters");
  });

  it("a server that stays away ends the transfer with an error that says how to go on", async () => {
    const { clock, server, send } = world();
    server.die(Number.POSITIVE_INFINITY);
    const before = clock.now();
    await expect(send(100)).rejects.toThrow("run the same command again");
    expect(clock.now() - before).toBeGreaterThanOrEqual(120_000);
    expect(clock.now() - before).toBeLessThan(140_000);
  });

  it("a refused token ends the transfer at once", async () => {
    const { clock } = world();
    let calls = 0;
    const client = {
      call: async (): Promise<never> => {
        calls += 1;
        throw new ApiError("forbidden", { kind: "problem", status: 403 });
      },
    };
    const deps = { client, now: clock.now, sleep: clock.sleep, random: () => 0 };
    await expect(sendEvents(readings(500), deps, { limits: { ...SMALL, concurrency: 1 } })).rejects.toThrow(
      "forbidden",
    );
    expect(calls).toBe(1);
  });

  it("an error of the source is the error of the transfer", async () => {
    const { server, clock } = world();
    function* broken(): Generator<InboundEvent> {
      yield* readings(50);
      throw new Error("line 51: truncated");
    }
    const deps = { client: server.client, now: clock.now, sleep: clock.sleep, random: () => 0 };
    await expect(sendEvents(broken(), deps, { limits: SMALL })).rejects.toThrow("line 51");
  });

  it("an abort ends the transfer with the caller's reason", async () => {
    const { send } = world();
    const controller = new AbortController();
    const call = send(5_000, {
      signal: controller.signal,
      onProgress: ({ applied }) => {
        if (applied > 500) controller.abort(new Error("interrupted"));
      },
    });
    await expect(call).rejects.toThrow("interrupted");
  });
});

describe("a ledger lets a killed sender go on", () => {
  const ledgerOf = (): ReturnType<typeof fileLedger> => fileLedger(join(folder, "state", "ledger.json"), "run-1");

  async function interrupted(after: number): Promise<ReturnType<typeof world>> {
    const it = world();
    const controller = new AbortController();
    const call = it.send(1_000, {
      ledger: ledgerOf(),
      signal: controller.signal,
      onProgress: ({ applied }) => {
        if (applied >= after) controller.abort(new Error("killed"));
      },
    });
    await expect(call).rejects.toThrow("killed");
    return it;
  }

  it("without sending again what is proven applied, with the same totals in the end", async () => {
    const { clock, server, send } = await interrupted(600);
    await clock.sleep(2_000);
    const before = server.log.length;
    const report = await send(1_000, { ledger: ledgerOf() });
    expect(server.applied.size).toBe(1_000);
    expect(report.resumed).toBeGreaterThan(300);
    expect(report).toMatchObject({ applied: 1_000, refused: 0, read: 1_000 - report.resumed });
    const sent = server.log.slice(before).filter((call) => call.operation === "ingestEvents").length;
    expect(sent).toBeLessThanOrEqual((1_000 - 600) / 20 + 1);
    expect(server.duplicates).toBe(0);
  });

  it("and a finished transfer costs a question, not a sending", async () => {
    const { server, send } = world();
    await send(1_000, { ledger: ledgerOf() });
    const before = server.log.length;
    const report = await send(1_000, { ledger: ledgerOf() });
    expect(report).toMatchObject({ resumed: 1_000, read: 0, applied: 1_000 });
    expect(server.log.slice(before).every((call) => call.operation === "checkIngested")).toBe(true);
    expect(server.log.length - before).toBeLessThanOrEqual(2);
  });

  it("unless the server has forgotten: then everything is sent again", async () => {
    const { send } = world();
    await send(500, { ledger: ledgerOf() });
    const fresh = world();
    const report = await fresh.send(500, { ledger: ledgerOf() });
    expect(report).toMatchObject({ ledgerDiscarded: true, resumed: 0, applied: 500 });
    expect(fresh.server.applied.size).toBe(500);
  });

  it("counts refused events once over both runs", async () => {
    const { server, send } = world({ refuses: (id) => id.endsWith("3") });
    const controller = new AbortController();
    const call = send(1_000, {
      ledger: ledgerOf(),
      signal: controller.signal,
      onProgress: ({ applied }) => {
        if (applied >= 400) controller.abort(new Error("killed"));
      },
    });
    await expect(call).rejects.toThrow("killed");
    const report = await send(1_000, { ledger: ledgerOf() });
    expect(report).toMatchObject({ applied: 900, refused: 100 });
    expect(server.applied.size).toBe(900);
  });

  it("a torn or foreign file counts as none", async () => {
    const { send } = world();
    await send(100, { ledger: ledgerOf() });
    const path = join(folder, "state", "ledger.json");
    expect(await fileLedger(path, "run-2").read()).toBeNull();
    const whole = await readFile(path, "utf8");
    await writeFile(path, whole.slice(0, whole.length / 2));
    expect(await ledgerOf().read()).toBeNull();
  });
});
