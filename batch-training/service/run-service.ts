/** The service put together: jobs, schedule, health, disk. What `edgewise worker` runs, and `npm start` for its one job. */
import { join } from "node:path";
import type { JobProgress } from "../../models/contract/api/jobs.ts";
import { createApiClient } from "../client/api-client.ts";
import { nodeFiles } from "../pipeline/file-system.ts";
import { MODELS } from "../pipeline/models.ts";
import { StageStore } from "../pipeline/stage-store.ts";
import { makeRoom } from "./disk-room.ts";
import { type HealthServer, serveHealth } from "./health-server.ts";
import { lockHome } from "./home-lock.ts";
import type { JobOrder } from "./job-messages.ts";
import { jsonLog, type Log } from "./json-log.ts";
import { leaseClient } from "./lease-client.ts";
import { runSchedule, type ScheduleEntry } from "./schedule.ts";
import { startJob } from "./start-job.ts";
import { TrainingWorker } from "./training-worker.ts";
import { WorkerMetrics } from "./worker-metrics.ts";

export interface ServiceOptions extends Pick<
  JobOrder,
  "url" | "token" | "home" | "to" | "tenant" | "signingKeyFile" | "codeVersion"
> {
  /** Of this service among all: who asks under a name takes over the job that the name holds. */
  readonly name: string;
  readonly models?: readonly string[];
  readonly leaseSeconds: number;
  readonly pollMs: number;
  /** Ends when nothing waits. */
  readonly once: boolean;
  /** How long a job that is asked to stop may take to do so. */
  readonly graceMs: number;
  readonly maxStoredBytes: number;
  readonly minFreeBytes: number;
  readonly maxJobMs: number;
  readonly schedule: readonly ScheduleEntry[];
  /** Where health and metrics answer; null: nowhere. */
  readonly http: { readonly host: string; readonly port: number } | null;
  readonly writeLog: (line: string) => void;
  readonly onProgress?: (progress: JobProgress) => void;
  readonly onHttp?: (port: number) => void;
}

/** Until the signal aborts, or nothing waits where that is the end; the job under way is handed back then. */
export async function runService(options: ServiceOptions, signal: AbortSignal): Promise<void> {
  const log = jsonLog(options.writeLog, () => Date.now(), { worker: options.name });
  const metrics = new WorkerMetrics();
  const unlock = lockHome(options.home);
  const done = new AbortController();
  const stopping = AbortSignal.any([signal, done.signal]);
  let health: HealthServer | null = null;
  try {
    const models = options.models ?? Object.keys(MODELS);
    const { url, token, name: worker, leaseSeconds: seconds } = options;
    const client = createApiClient({ baseUrl: url, ...(token !== undefined && { token }) });
    const leases = leaseClient(client, { worker, models, seconds }, metrics);
    const loop = workerOf(options, { leases, log, metrics });
    if (options.http) {
      const startedAt = performance.now();
      health = await serveHealth(
        {
          isAlive: () => loop.isAlive(),
          obstacle: () => loop.obstacle,
          metrics: () => {
            metrics.set("edgewise_worker_up_seconds", Math.round((performance.now() - startedAt) / 1_000));
            return metrics.text();
          },
        },
        options.http,
      );
      options.onHttp?.(health.port);
    }
    log.info("started", { url, models: models.join(","), to: options.to, port: health?.port ?? null });
    signal.addEventListener("abort", () => loop.stop(), { once: true });
    if (signal.aborted) loop.stop();
    const schedule = runSchedule(
      options.schedule,
      { create: (request, key) => leases.create(request, key), now: () => Date.now(), sleep, log, metrics },
      stopping,
    );
    await loop.run();
    done.abort();
    await schedule;
  } finally {
    done.abort();
    await health?.close();
    unlock();
  }
}

function workerOf(
  options: ServiceOptions,
  parts: { leases: ReturnType<typeof leaseClient>; log: Log; metrics: WorkerMetrics },
): TrainingWorker {
  const { home, leaseSeconds, pollMs, once, maxStoredBytes, minFreeBytes, maxJobMs } = options;
  const { leases, log, metrics } = parts;
  const stages = new StageStore(nodeFiles, join(home, "stages"), (text) => log.warning(text));
  return new TrainingWorker(
    {
      leases,
      log,
      metrics,
      start: (lease) =>
        startJob(lease, {
          ...options,
          onOutput: (line) => log.warning("the process of the job wrote", { job: lease.job.jobId, line }),
          onProgress: (progress) => options.onProgress?.(progress),
        }),
      makeRoom: () =>
        makeRoom({
          folder: home,
          maxStoredBytes,
          minFreeBytes,
          prune: (bytes) => stages.prune(bytes, Date.now()),
          onFree: (bytes) => metrics.set("edgewise_worker_disk_free_bytes", bytes),
        }),
      clock: () => performance.now(),
      sleep,
      random: Math.random,
    },
    { leaseSeconds, pollMs, once, maxJobMs },
  );
}

/** Resolves after a time, or as soon as the signal aborts. */
function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, milliseconds);
    function end(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    }
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  });
}
