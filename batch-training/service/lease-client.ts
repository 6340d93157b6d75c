import {
  completeJob,
  createJob,
  failJob,
  heartbeatJob,
  type JobLease,
  type JobProgress,
  type JobRequest,
  type JobResult,
  leaseJob,
  releaseJob,
} from "../../models/contract/api/jobs.ts";
import type { ApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";
import type { WorkerMetrics } from "./worker-metrics.ts";

/** The lease is another's by now, or the job is gone: whatever this machine does for it counts no more. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost";
}

export interface Lease {
  readonly jobId: string;
  readonly fence: number;
}

/** The Worker's jobs as the service calls them. Each call is one attempt; who repeats it, and how long, is the caller's knowledge. */
export interface LeaseClient {
  take(): Promise<JobLease | null>;
  /** @returns whether somebody cancelled the job @throws LeaseLost */
  heartbeat(lease: Lease, progress: JobProgress | null): Promise<boolean>;
  complete(lease: Lease, result: JobResult): Promise<void>;
  fail(lease: Lease, failure: { reason: string; retryable: boolean }): Promise<void>;
  release(lease: Lease): Promise<void>;
  /** @returns whether this call made the job, and not one before it with the same key */
  create(request: JobRequest, key: string): Promise<boolean>;
}

/** A heartbeat that takes longer is tried again: it must fit in a lease several times. */
const CALL_TIMEOUT_MS = 10_000;

export function leaseClient(
  client: Pick<ApiClient, "call">,
  options: { worker: string; models: readonly string[]; seconds: number },
  metrics: WorkerMetrics,
): LeaseClient {
  const { worker, models, seconds } = options;
  const timeoutMs = Math.min(CALL_TIMEOUT_MS, (seconds * 1_000) / 2);
  const counted = async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    try {
      const answer = await call();
      metrics.count("edgewise_worker_calls_total", { operation, outcome: "answered" });
      metrics.set("edgewise_worker_last_contact_seconds", Math.floor(Date.now() / 1_000));
      return answer;
    } catch (error) {
      const outcome = error instanceof ApiError ? (error.code ?? error.kind) : "error";
      metrics.count("edgewise_worker_calls_total", { operation, outcome });
      const isLost = error instanceof ApiError && (error.code === "lease-lost" || error.code === "job-not-found");
      throw isLost ? new LeaseLost(error.message, { cause: error }) : error;
    }
  };
  const of = ({ jobId }: Lease): { params: { jobId: string }; timeoutMs: number } => ({ params: { jobId }, timeoutMs });
  return {
    take: () =>
      counted("lease", async () => {
        const body = { worker, models: [...models], seconds };
        return (await client.call(leaseJob, { body, timeoutMs })).body.lease;
      }),
    heartbeat: (lease, progress) =>
      counted("heartbeat", async () => {
        const body = { fence: lease.fence, seconds, progress };
        return (await client.call(heartbeatJob, { ...of(lease), body })).body.cancel;
      }),
    complete: (lease, result) =>
      counted("complete", async () => {
        await client.call(completeJob, { ...of(lease), body: { fence: lease.fence, result } });
      }),
    fail: (lease, { reason, retryable }) =>
      counted("fail", async () => {
        const body = { fence: lease.fence, reason: reason.slice(0, 500) || "no reason was given", retryable };
        await client.call(failJob, { ...of(lease), body });
      }),
    release: (lease) =>
      counted("release", async () => {
        await client.call(releaseJob, { ...of(lease), body: { fence: lease.fence } });
      }),
    create: (request, key) =>
      counted("create", async () => {
        const { status } = await client.call(createJob, {
          body: request,
          headers: { "idempotency-key": key },
          timeoutMs,
        });
        return status === 201;
      }),
  };
}
