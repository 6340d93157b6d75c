import { describe, expect, it } from "vitest";
import { ApiError } from "../../../../batch-training/client/api-error.ts";
import { jsonLog } from "../../../../batch-training/service/json-log.ts";
import { type Lease, type LeaseClient, LeaseLost } from "../../../../batch-training/service/lease-client.ts";
import {
  type JobOutcome,
  type RunningJob,
  TrainingWorker,
} from "../../../../batch-training/service/training-worker.ts";
import { WorkerMetrics } from "../../../../batch-training/service/worker-metrics.ts";
import type { JobLease, JobResult } from "../../../../models/contract/api/jobs.ts";

const RESULT: JobResult = {
  outcome: "succeeded",
  run: "run-1",
  version: "a".repeat(64),
  published: true,
  promoted: true,
  reasons: [],
};
const DONE: JobOutcome = { kind: "done", result: RESULT };
const unreachable = (): ApiError => new ApiError("no connection", { kind: "unreachable" });

function leaseOf(jobId: string): JobLease {
  const request = {
    model: "fraud-orders",
    seed: 1,
    trials: 0,
    parameters: {},
    publish: true,
    promote: false,
    maxAttempts: 5,
  };
  const job = {
    jobId,
    state: "running" as const,
    request,
    createdAt: 0,
    createdBy: "test",
    notBefore: 0,
    attempts: 1,
    cancelRequested: false,
    lease: { worker: "test", fence: 1, expiresAt: 0, heartbeatAt: 0 },
    progress: null,
    result: null,
    error: null,
    finishedAt: null,
  };
  return { job, fence: 1, expiresAt: 0 };
}

/** A job that lasts a while, does what it is told, and remembers it. */
class FakeJob implements RunningJob {
  readonly #ended = Promise.withResolvers<JobOutcome>();
  readonly outcome = this.#ended.promise;
  readonly processId = null;
  readonly #begun = Promise.withResolvers<void>();
  readonly begun = this.#begun.promise;
  readonly told: string[] = [];

  begin(): void {
    this.#begun.resolve();
  }
  end(outcome: JobOutcome): void {
    this.#ended.resolve(outcome);
  }
  progress(): null {
    return null;
  }
  stop(): void {
    this.told.push("stop");
    this.end({ kind: "failed", reason: "the job was cancelled", retryable: true });
  }
  kill(): void {
    this.told.push("kill");
    this.end({ kind: "failed", reason: "killed", retryable: true });
  }
}

interface Setting {
  readonly jobs: string[];
  /** What each call does, by its number; nothing: it is answered. */
  readonly heartbeat?: (index: number) => boolean | Error;
  readonly complete?: (index: number) => Error | null;
  readonly take?: (index: number) => Error | null;
  readonly room?: (index: number) => string | null;
  /** When the job ends by itself, in seconds; never, where it is absent. */
  readonly lasts?: number;
  readonly outcome?: JobOutcome;
  /** When it has a run, in seconds. */
  readonly beginsAfter?: number;
  /** When the service is stopped. */
  readonly stopAt?: number;
}

/**
 * The worker under a clock that only its own waiting moves: a lease of 60 seconds, so a heartbeat every 20.
 * @returns every call it made, with the second at which it made it
 */
async function work(setting: Setting): Promise<{ calls: string[]; jobs: FakeJob[]; logs: string[]; metrics: string }> {
  const calls: string[] = [];
  const logs: string[] = [];
  const started: FakeJob[] = [];
  const waiting = [...setting.jobs];
  let now = 0;
  const timers: { at: number; run: () => void }[] = [];
  const called = (name: string): number => {
    calls.push(`${now / 1_000}s ${name}`);
    return calls.filter((call) => call.endsWith(` ${name}`)).length;
  };
  const leases: LeaseClient = {
    take: async () => {
      const index = called("take");
      const failure = setting.take?.(index);
      if (failure) throw failure;
      const next = waiting.shift();
      return next === undefined ? null : leaseOf(next);
    },
    heartbeat: async () => {
      const index = called("heartbeat");
      const answer = setting.heartbeat?.(index) ?? false;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    complete: async (_lease: Lease, result) => {
      const index = called(`complete ${result.outcome}`);
      const failure = setting.complete?.(index);
      if (failure) throw failure;
    },
    fail: async (_lease: Lease, { reason, retryable }) => void called(`fail ${reason} ${retryable}`),
    release: async () => void called("release"),
    create: async () => true,
  };
  const metrics = new WorkerMetrics();
  const worker = new TrainingWorker(
    {
      leases,
      start: () => {
        const job = new FakeJob();
        started.push(job);
        if (setting.beginsAfter !== undefined)
          timers.push({ at: now + setting.beginsAfter * 1_000, run: () => job.begin() });
        if (setting.lasts !== undefined)
          timers.push({ at: now + setting.lasts * 1_000, run: () => job.end(setting.outcome ?? DONE) });
        return job;
      },
      makeRoom: async () => {
        const index = called("room");
        return setting.room?.(index) ?? null;
      },
      clock: () => now,
      sleep: async (milliseconds, signal) => {
        const until = now + milliseconds;
        // What has happened by now is heard of first.
        await new Promise(setImmediate);
        for (;;) {
          if (signal.aborted) return;
          const next = timers.filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at)[0];
          if (!next) break;
          timers.splice(timers.indexOf(next), 1);
          now = Math.max(now, next.at);
          next.run();
          // What the timer woke goes first.
          await new Promise(setImmediate);
        }
        now = until;
      },
      random: () => 1,
      log: jsonLog(
        (line) => logs.push(line),
        () => now,
      ),
      metrics,
    },
    { leaseSeconds: 60, pollMs: 10_000, once: setting.stopAt === undefined, maxJobMs: 3_600_000 },
  );
  if (setting.stopAt !== undefined) timers.push({ at: setting.stopAt * 1_000, run: () => worker.stop() });
  await worker.run();
  return { calls: calls.filter((call) => !call.endsWith("room")), jobs: started, logs, metrics: metrics.text() };
}

describe("a training worker", () => {
  it("takes job after job, keeps each lease three times over, and says how each ended", async () => {
    const { calls, metrics } = await work({ jobs: ["a", "b"], lasts: 50 });
    expect(calls).toEqual([
      "0s take",
      "20s heartbeat",
      "40s heartbeat",
      "50s complete succeeded",
      "50s take",
      "70s heartbeat",
      "90s heartbeat",
      "100s complete succeeded",
      "100s take",
    ]);
    expect(metrics).toContain('edgewise_worker_jobs_total{model="fraud-orders",outcome="succeeded"} 2');
    expect(metrics).toContain('edgewise_worker_job_seconds_total{model="fraud-orders"} 100');
  });

  it("tells of a job's run as soon as it has one, and then goes on at its pace", async () => {
    const { calls } = await work({ jobs: ["a"], beginsAfter: 3, lasts: 50 });
    expect(calls.slice(1, 5)).toEqual(["3s heartbeat", "23s heartbeat", "43s heartbeat", "50s complete succeeded"]);
  });

  it("says why an attempt failed, and whether another may go through", async () => {
    const outcome: JobOutcome = { kind: "failed", reason: "the disk is full", retryable: true };
    const { calls } = await work({ jobs: ["a"], lasts: 5, outcome });
    expect(calls).toContain("5s fail the disk is full true");
  });

  it("asks for work at every poll, and less and less often while nobody answers", async () => {
    const { calls } = await work({ jobs: [], stopAt: 35 });
    expect(calls).toEqual(["0s take", "10s take", "20s take", "30s take"]);
    const silent = await work({ jobs: [], take: unreachable, stopAt: 200 });
    expect(silent.calls).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183].map((at) => `${at}s take`));
  });

  it("takes no job where the disk has no room, and does once it has", async () => {
    const room = (index: number): string | null => (index < 3 ? "the disk is full" : null);
    const { calls, logs } = await work({ jobs: ["a"], lasts: 1, room, stopAt: 60 });
    expect(calls[0]).toBe("20s take");
    expect(logs.join("\n")).toContain("the disk is full");
  });

  it("ends a job that hangs, and does not have it tried again", async () => {
    const { calls, jobs } = await work({ jobs: ["a"] });
    expect(calls.at(-2)).toBe("3600s fail it took longer than 1.0 hours, which --max-job-hours allows false");
    expect(jobs[0]?.told[0]).toBe("kill");
  });

  it("stops a job that was cancelled and reports its end", async () => {
    const { calls, jobs } = await work({ jobs: ["a"], heartbeat: (index) => index === 2 });
    expect(calls.slice(0, 4)).toEqual([
      "0s take",
      "20s heartbeat",
      "40s heartbeat",
      "40s fail the job was cancelled true",
    ]);
    expect(jobs[0]?.told[0]).toBe("stop");
  });

  it("hands the job back when it is stopped, and takes no other", async () => {
    const { calls, jobs } = await work({ jobs: ["a", "b"], stopAt: 30 });
    expect(calls).toEqual(["0s take", "20s heartbeat", "30s release"]);
    expect(jobs).toHaveLength(1);
    expect(jobs[0]?.told[0]).toBe("stop");
  });

  it("goes on through a network that is lost for less than the lease", async () => {
    const heartbeat = (index: number): Error | false => (index <= 2 ? unreachable() : false);
    const { calls, jobs } = await work({ jobs: ["a"], lasts: 90, heartbeat });
    expect(calls).toContain("90s complete succeeded");
    expect(jobs[0]?.told).toEqual(["kill"]);
  });

  it("ends a job whose lease is over without an answer: another machine may have it", async () => {
    const { calls, jobs } = await work({ jobs: ["a"], heartbeat: unreachable });
    expect(calls.slice(0, 5)).toEqual(["0s take", "20s heartbeat", "40s heartbeat", "60s heartbeat", "60s take"]);
    expect(jobs[0]?.told[0]).toBe("kill");
  });

  it("ends a job at once when it is told that the lease is another's, and reports nothing", async () => {
    const { calls, jobs } = await work({ jobs: ["a"], heartbeat: () => new LeaseLost("taken over") });
    expect(calls).toEqual(["0s take", "20s heartbeat", "20s take"]);
    expect(jobs[0]?.told[0]).toBe("kill");
  });

  it("repeats the end of a job until it is heard", async () => {
    const complete = (index: number): Error | null => (index <= 3 ? unreachable() : null);
    const { calls } = await work({ jobs: ["a"], lasts: 5, complete });
    const heard = calls.filter((call) => call.includes("complete"));
    expect(heard).toEqual([5, 6, 8, 12].map((at) => `${at}s complete succeeded`));
  });

  it("gives up the end of a job that is another's by now", async () => {
    const { calls, metrics } = await work({ jobs: ["a"], lasts: 5, complete: () => new LeaseLost("taken over") });
    expect(calls.filter((call) => call.includes("complete"))).toHaveLength(1);
    expect(metrics).toContain('outcome="lost"');
  });

  it("writes structured lines with ids and figures alone", async () => {
    const { logs } = await work({ jobs: ["a"], lasts: 5 });
    const allowed = new Set([
      "time",
      "level",
      "message",
      "job",
      "model",
      "fence",
      "attempt",
      "process",
      "outcome",
      "seconds",
    ]);
    for (const line of logs) {
      const fields = Object.keys(JSON.parse(line) as object);
      expect(fields.filter((name) => !allowed.has(name))).toEqual([]);
    }
  });
});
