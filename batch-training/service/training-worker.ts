/** The loop of `edgewise worker`: take a job, keep its lease while a process of its own does it, say how it ended. */
import type { JobLease, JobProgress, JobResult } from "../../models/contract/api/jobs.ts";
import { type Log, reasonOf } from "./json-log.ts";
import { type LeaseClient, LeaseLost } from "./lease-client.ts";
import type { WorkerMetrics } from "./worker-metrics.ts";

export type JobOutcome =
  | { readonly kind: "done"; readonly result: JobResult }
  | { readonly kind: "failed"; readonly reason: string; readonly retryable: boolean };

/** A job under way. */
export interface RunningJob {
  /** Its process; null where there is none of its own. */
  readonly processId: number | null;
  readonly outcome: Promise<JobOutcome>;
  /** Resolves when the job has a run, which the next attempt goes on with: worth a heartbeat of its own. */
  readonly begun: Promise<void>;
  progress(): JobProgress | null;
  /** Asks it to stop, and ends it where it does not. */
  stop(): void;
  /** Ends it at once. */
  kill(): void;
}

export interface TrainingWorkerDeps {
  readonly leases: LeaseClient;
  readonly start: (lease: JobLease) => RunningJob;
  /** Makes room for the outputs of a job; the reason where there is too little. */
  readonly makeRoom: () => Promise<string | null>;
  /** Milliseconds of a clock that only goes forward. */
  readonly clock: () => number;
  /** Resolves early when the signal aborts. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: WorkerMetrics;
}

export interface TrainingWorkerOptions {
  readonly leaseSeconds: number;
  /** How often an idle service asks for work. */
  readonly pollMs: number;
  /** Ends when nothing waits any more. */
  readonly once: boolean;
  /** A job that takes longer hangs: it is ended, and not tried again. */
  readonly maxJobMs: number;
}

/** Calls that fail are repeated after a second, then twice as long each time, up to a minute. */
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;
/** How long the end of a job is reported to a Worker that cannot be reached. The lease is over by then; the outputs are kept for the next attempt. */
const REPORT_LIMIT_MS = 15 * 60_000;

export class TrainingWorker {
  readonly #deps: TrainingWorkerDeps;
  readonly #options: TrainingWorkerOptions;
  readonly #stopping = new AbortController();
  #beatAt: number;
  #obstacle: string | null = "it has not asked the Worker for a job yet";

  constructor(deps: TrainingWorkerDeps, options: TrainingWorkerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#beatAt = deps.clock();
  }

  /** Why no job can be taken now; null: one could. */
  get obstacle(): string | null {
    return this.#obstacle;
  }

  /** Asks for no more jobs; the one under way is stopped and handed back. */
  stop(): void {
    this.#stopping.abort();
  }

  /** Whether the loop goes round: it does so at every poll, and at every heartbeat of a job. */
  isAlive(): boolean {
    const { pollMs, leaseSeconds } = this.#options;
    return this.#deps.clock() - this.#beatAt < 3 * Math.max(pollMs, leaseSeconds * 1_000, MAX_RETRY_MS);
  }

  /** Until it is stopped, or nothing waits where that is the end. */
  async run(): Promise<void> {
    const { signal } = this.#stopping;
    const { log, sleep } = this.#deps;
    let failures = 0;
    while (!signal.aborted) {
      this.#beatAt = this.#deps.clock();
      try {
        const lease = await this.#next();
        failures = 0;
        if (lease) await this.#work(lease);
        else if (this.#options.once) break;
        else await sleep(this.#options.pollMs, signal);
      } catch (error) {
        failures++;
        this.#obstacle = reasonOf(error);
        log.warning("no job can be taken", { reason: this.#obstacle, failures });
        await sleep(this.#backOff(failures), signal);
      }
    }
    log.info("stopped");
  }

  async #next(): Promise<JobLease | null> {
    const { makeRoom, leases, log } = this.#deps;
    const obstacle = await makeRoom();
    if (obstacle !== null) {
      this.#obstacle = obstacle;
      log.error("no job is taken", { reason: obstacle });
      return null;
    }
    const lease = await leases.take();
    this.#obstacle = null;
    return lease;
  }

  async #work(lease: JobLease): Promise<void> {
    const { log, metrics, clock, start } = this.#deps;
    const { jobId, request, attempts } = lease.job;
    const about = { job: jobId, model: request.model, fence: lease.fence };
    metrics.set("edgewise_worker_busy", 1);
    const began = clock();
    const job = start(lease);
    log.info("job taken", { ...about, attempt: attempts, process: job.processId });
    try {
      const end = await this.#keepLease(lease, job);
      log.info("job ended", { ...about, outcome: end, seconds: Math.round((clock() - began) / 1_000) });
      metrics.count("edgewise_worker_jobs_total", { model: request.model, outcome: end });
    } finally {
      job.kill();
      metrics.set("edgewise_worker_busy", 0);
      metrics.count("edgewise_worker_job_seconds_total", { model: request.model }, (clock() - began) / 1_000);
    }
  }

  /**
   * Sends heartbeats until the job has ended, somebody cancelled it, this service stops, or the lease is lost: told so by the Worker, or
   * because its time is over without an answer. What is lost is ended at once, so that two machines do not work on one job for long.
   * @returns how it ended
   */
  async #keepLease(lease: JobLease, job: RunningJob): Promise<string> {
    const { log, clock, leases } = this.#deps;
    const ended = new AbortController();
    const outcome = job.outcome.finally(() => ended.abort());
    // Whoever waits for it hears of its failure; until then nobody does.
    outcome.catch(() => {});
    const wake = AbortSignal.any([ended.signal, this.#stopping.signal]);
    const begun = new AbortController();
    void job.begun.then(() => begun.abort());
    let isFirst = true;
    const leaseMs = this.#options.leaseSeconds * 1_000;
    const tooLate = clock() + this.#options.maxJobMs;
    let until = clock() + leaseMs;
    let isCancelled = false;
    for (;;) {
      const early = isFirst ? AbortSignal.any([wake, begun.signal]) : wake;
      isFirst = false;
      await this.#deps.sleep(leaseMs / 3, isCancelled ? ended.signal : early);
      this.#beatAt = clock();
      if (ended.signal.aborted) return await this.#report(lease, await outcome);
      if (this.#stopping.signal.aborted) return await this.#handBack(lease, job, outcome);
      if (clock() >= tooLate) {
        job.kill();
        await outcome;
        const reason = `it took longer than ${(this.#options.maxJobMs / 3_600_000).toFixed(1)} hours, which --max-job-hours allows`;
        return await this.#report(lease, { kind: "failed", reason, retryable: false });
      }
      const sentAt = clock();
      try {
        const progress = job.progress();
        if (progress?.done != null) this.#deps.metrics.set("edgewise_worker_stage_done", progress.done);
        const cancel = await leases.heartbeat({ jobId: lease.job.jobId, fence: lease.fence }, progress);
        until = sentAt + leaseMs;
        if (cancel && !isCancelled) {
          isCancelled = true;
          log.info("job is cancelled", { job: lease.job.jobId });
          job.stop();
        }
      } catch (error) {
        const isLost = error instanceof LeaseLost;
        log.warning("heartbeat failed", { job: lease.job.jobId, reason: reasonOf(error) });
        if (!isLost && clock() < until) continue;
        job.kill();
        await outcome.catch(() => {});
        return "lost";
      }
    }
  }

  async #report(lease: JobLease, outcome: JobOutcome): Promise<string> {
    const { leases, log } = this.#deps;
    const held = { jobId: lease.job.jobId, fence: lease.fence };
    const isDone = outcome.kind === "done";
    if (!isDone)
      log.warning("attempt failed", { job: held.jobId, reason: outcome.reason, retryable: outcome.retryable });
    return await this.#repeat(async () => {
      if (isDone) await leases.complete(held, outcome.result);
      else await leases.fail(held, outcome);
      return isDone ? outcome.result.outcome : "failed";
    });
  }

  /** The service stops: the process of the job is stopped, and the job waits for the next worker. What it stored so far is kept. */
  async #handBack(lease: JobLease, job: RunningJob, outcome: Promise<JobOutcome>): Promise<string> {
    job.stop();
    const last = await outcome;
    const held = { jobId: lease.job.jobId, fence: lease.fence };
    // It was done at the last moment.
    if (last.kind === "done") return await this.#report(lease, last);
    try {
      await this.#deps.leases.release(held);
      return "handed-back";
    } catch (error) {
      this.#deps.log.warning("the job could not be handed back; its lease expires", {
        job: held.jobId,
        reason: reasonOf(error),
      });
      return "abandoned";
    }
  }

  /** Repeats a call until it is answered, the lease is lost, or nobody will wait for it. */
  async #repeat(call: () => Promise<string>): Promise<string> {
    const { clock, sleep, log } = this.#deps;
    const began = clock();
    for (let failures = 1; ; failures++) {
      try {
        return await call();
      } catch (error) {
        if (error instanceof LeaseLost) return "lost";
        log.warning("the end of a job could not be reported", { reason: reasonOf(error), failures });
        if (clock() - began > REPORT_LIMIT_MS || this.#stopping.signal.aborted) return "unreported";
        await sleep(this.#backOff(failures), this.#stopping.signal);
        this.#beatAt = clock();
      }
    }
  }

  #backOff(failures: number): number {
    return Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1)) * (0.5 + this.#deps.random() / 2);
  }
}
