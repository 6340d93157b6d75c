import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { jsonLog } from "../../../../batch-training/service/json-log.ts";
import {
  latestDue,
  readSchedule,
  runSchedule,
  type ScheduleEntry,
} from "../../../../batch-training/service/schedule.ts";
import { WorkerMetrics } from "../../../../batch-training/service/worker-metrics.ts";
import { JobRequest } from "../../../../models/contract/api/jobs.ts";

const folder = mkdtempSync(join(tmpdir(), "edgewise-schedule-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MINUTE = 60_000;
const at = (text: string): number => Date.parse(text);
const entry = (cron: string, more: Partial<ScheduleEntry> = {}): ScheduleEntry => ({
  name: "nightly",
  cron,
  timezone: "UTC",
  request: JobRequest.parse({ model: "fraud-orders" }),
  ...more,
});

function file(content: unknown): string {
  const path = join(folder, `${Math.random()}.json`);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

describe("times of a schedule", () => {
  it("are the latest that passed, and none that was looked at before", () => {
    const nightly = entry("0 3 * * *");
    expect(latestDue(nightly, at("2026-03-10T02:00:00Z"), at("2026-03-10T02:59:59Z"))).toBeNull();
    expect(latestDue(nightly, at("2026-03-10T02:00:00Z"), at("2026-03-10T03:00:00Z"))).toBe(at("2026-03-10T03:00:00Z"));
    expect(latestDue(nightly, at("2026-03-10T03:00:00Z"), at("2026-03-10T04:00:00Z"))).toBeNull();
    expect(latestDue(nightly, at("2026-03-01T00:00:00Z"), at("2026-03-10T04:00:00Z"))).toBe(at("2026-03-10T03:00:00Z"));
  });

  it("are those of their time zone, across the change of its clocks", () => {
    // Berlin goes from UTC+1 to UTC+2 on 2026-03-29 at 01:00 UTC.
    const morning = entry("30 6 * * *", { timezone: "Europe/Berlin" });
    expect(latestDue(morning, at("2026-03-28T00:00:00Z"), at("2026-03-28T12:00:00Z"))).toBe(at("2026-03-28T05:30:00Z"));
    expect(latestDue(morning, at("2026-03-29T00:00:00Z"), at("2026-03-29T12:00:00Z"))).toBe(at("2026-03-29T04:30:00Z"));
  });
});

describe("a schedule", () => {
  /** Runs for some minutes of its own clock; every call, with the minute of it. */
  async function run(entries: ScheduleEntry[], minutes: number, failsAt: readonly number[] = []): Promise<string[]> {
    const begin = at("2026-03-10T02:58:00Z");
    let now = begin;
    const stop = new AbortController();
    const calls: string[] = [];
    await runSchedule(
      entries,
      {
        now: () => now,
        sleep: async (milliseconds) => {
          now += milliseconds;
          if (now - begin >= minutes * MINUTE) stop.abort();
        },
        create: async (_request, key) => {
          calls.push(`${new Date(now).toISOString().slice(11, 19)} ${key}`);
          if (failsAt.includes(calls.length)) throw new Error("no connection");
          return true;
        },
        log: jsonLog(
          () => {},
          () => now,
        ),
        metrics: new WorkerMetrics(),
      },
      stop.signal,
    );
    return calls;
  }

  it("asks for each time once, under a key of its own, and makes up for the last one it missed", async () => {
    expect(await run([entry("0 3 * * *")], 10)).toEqual([
      "02:58:00 schedule:nightly:2026-03-09T03:00:00.000Z",
      "03:00:00 schedule:nightly:2026-03-10T03:00:00.000Z",
    ]);
  });

  it("forgets no time while nobody answers", async () => {
    const calls = await run([entry("0 3 * * *")], 10, [2, 3]);
    expect(calls.slice(1)).toEqual(
      ["03:00:00", "03:00:10", "03:00:20"].map((time) => `${time} schedule:nightly:2026-03-10T03:00:00.000Z`),
    );
  });

  it("asks at the second, for entries of different times", async () => {
    const calls = await run([entry("59 2 * * *"), entry("*/2 * * * *", { name: "often" })], 5);
    expect(calls.map((call) => call.slice(0, 14))).toEqual([
      "02:58:00 sched",
      "02:58:00 sched",
      "02:59:00 sched",
      "03:00:00 sched",
      "03:02:00 sched",
    ]);
  });
});

describe("a schedule file", () => {
  it("is read with the defaults of a request", () => {
    const [read] = readSchedule(
      file([{ name: "n", cron: "0 3 * * *", request: { model: "fraud-orders", promote: true } }]),
    );
    expect(read).toMatchObject({ timezone: "UTC", request: { seed: 1, promote: true, publish: true } });
  });

  it.each<[string, unknown, RegExp]>([
    ["no JSON", "{", /cannot be read/],
    ["no list", {}, /wrong at \//],
    ["an unknown field", [{ name: "n", cron: "* * * * *", at: 3, request: { model: "m" } }], /wrong at \/0/],
    ["no time", [{ name: "n", cron: "61 * * * *", request: { model: "m" } }], /"n" has no valid time \("61/],
    ["no time zone", [{ name: "n", cron: "* * * * *", timezone: "Mars/Base", request: { model: "m" } }], /Mars\/Base/],
    [
      "one name twice",
      [1, 2].map(() => ({ name: "n", cron: "* * * * *", request: { model: "m" } })),
      /two entries of one name/,
    ],
  ])("with %s is refused", (_what, content, message) => {
    expect(() => readSchedule(file(content))).toThrow(message);
    expect(() => readSchedule(join(folder, "absent.json"))).toThrow("cannot be read");
  });
});
