/** Training at fixed times. Every service may have the same schedule: a time's job is asked for under one key, so it is made once. */
import { readFileSync } from "node:fs";
import { Cron } from "croner";
import * as z from "zod";
import { JobRequest } from "../../models/contract/api/jobs.ts";
import { type Log, reasonOf } from "./json-log.ts";
import type { LeaseClient } from "./lease-client.ts";
import type { WorkerMetrics } from "./worker-metrics.ts";

const Entry = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
  /** Five fields, or six with seconds first; croner's dialect. */
  cron: z.string().min(1).max(128),
  timezone: z.string().min(1).max(64).default("UTC"),
  request: JobRequest,
});
export type ScheduleEntry = z.infer<typeof Entry>;

/** More entries than models, each at a few times: a longer list is a mistake. */
const MAX_ENTRIES = 64;
const ScheduleFile = z.array(Entry).max(MAX_ENTRIES);

/** A time that passed while no service ran is made up for within a day; what is older waits for the next. */
const CATCH_UP_MS = 86_400_000;
/** How long nothing is looked at, at most: a clock that was set is noticed within a minute. */
const MAX_SLEEP_MS = 60_000;
const RETRY_MS = 10_000;

/** @throws {Error} that names the entry and what is wrong with it */
export function readSchedule(file: string): ScheduleEntry[] {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Error(`The schedule ${file} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  const parsed = ScheduleFile.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Error(`The schedule ${file} is wrong at /${issue?.path.map(String).join("/")}: ${issue?.message}`);
  }
  for (const entry of parsed.data) cronOf(entry);
  const names = new Set(parsed.data.map((entry) => entry.name));
  if (names.size !== parsed.data.length) throw new Error(`The schedule ${file} has two entries of one name.`);
  return parsed.data;
}

function cronOf(entry: ScheduleEntry): Cron {
  try {
    const cron = new Cron(entry.cron, { timezone: entry.timezone, paused: true });
    // A wrong time zone is only noticed when it is used.
    cron.nextRun(new Date(0));
    return cron;
  } catch (error) {
    throw new Error(
      `The schedule's entry "${entry.name}" has no valid time ("${entry.cron}" in ${entry.timezone}): ${reasonOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

export interface ScheduleDeps {
  readonly create: LeaseClient["create"];
  readonly now: () => number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly log: Log;
  readonly metrics: WorkerMetrics;
}

/** The latest time of an entry in (after, now]; null: there was none. Times in between are not made up for: one training is enough. */
export function latestDue(entry: ScheduleEntry, after: number, now: number): number | null {
  const cron = cronOf(entry);
  let due: number | null = null;
  let at = cron.nextRun(new Date(after));
  while (at !== null && at.getTime() <= now) {
    due = at.getTime();
    at = cron.nextRun(at);
  }
  return due;
}

/** Asks for the jobs of a schedule until it is stopped. A call that fails is repeated, and its time is not forgotten. */
export async function runSchedule(
  entries: readonly ScheduleEntry[],
  deps: ScheduleDeps,
  signal: AbortSignal,
): Promise<void> {
  const { now, sleep, log, metrics } = deps;
  const done = new Map(entries.map((entry) => [entry.name, now() - CATCH_UP_MS]));
  while (!signal.aborted && entries.length > 0) {
    let pause = MAX_SLEEP_MS;
    for (const entry of entries) {
      const at = now();
      const due = latestDue(entry, done.get(entry.name) ?? at, at);
      try {
        if (due !== null) {
          const created = await deps.create(entry.request, `schedule:${entry.name}:${new Date(due).toISOString()}`);
          metrics.count("edgewise_worker_scheduled_total", {
            entry: entry.name,
            outcome: created ? "created" : "known",
          });
          log.info("scheduled", { entry: entry.name, at: new Date(due).toISOString(), created });
        }
        done.set(entry.name, at);
        const next = cronOf(entry).nextRun(new Date(at));
        if (next !== null) pause = Math.min(pause, next.getTime() - at);
      } catch (error) {
        metrics.count("edgewise_worker_scheduled_total", { entry: entry.name, outcome: "failed" });
        log.warning("a scheduled job could not be asked for", { entry: entry.name, reason: reasonOf(error) });
        pause = Math.min(pause, RETRY_MS);
      }
    }
    await sleep(Math.max(pause, 1), signal);
  }
}
