import { createHash } from "node:crypto";
import type { DrizzleD1Database } from "drizzle-orm/d1";
import {
  endLostJobs,
  extendLease,
  failAttempt,
  findJobs,
  finishJob,
  giveBack,
  insertJob,
  jobById,
  type JobKey,
  requestCancel,
  takeLease,
} from "../../d1/queries/training-jobs.ts";
import { TRAINABLE_MODELS } from "../../models/catalog/trainable-models.ts";
import {
  cancelJob,
  completeJob,
  createJob,
  failJob,
  getJob,
  heartbeatJob,
  leaseJob,
  listJobs,
  MAX_JOB_KEY_LENGTH,
  releaseJob,
  type TrainingJob,
} from "../../models/contract/api/jobs.ts";
import { canonicalJson } from "../../models/contract/canonical-json.ts";
import { Failure } from "../http/failure.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";

export interface TrainingDeps {
  readonly db: DrizzleD1Database;
}

/** Jobs for the machines that train: asked for by people and schedules, leased by `edgewise worker`. */
export function mountTraining(app: App, http: HttpDeps, deps: TrainingDeps): void {
  mountJobs(app, http, deps);
  mountLeases(app, http, deps);
}

function mountJobs(app: App, http: HttpDeps, { db }: TrainingDeps): void {
  mount(app, http, createJob, async ({ body }, { identity, now, request }) => {
    const idempotencyKey = request.headers.get("idempotency-key");
    if (idempotencyKey !== null && (idempotencyKey === "" || idempotencyKey.length > MAX_JOB_KEY_LENGTH)) {
      const message = `1 to ${MAX_JOB_KEY_LENGTH} characters`;
      return new Failure("invalid-request", { issues: [{ path: "Idempotency-Key", message }] });
    }
    if (!TRAINABLE_MODELS.includes(body.model)) {
      const message = `no model that can be trained; there are ${TRAINABLE_MODELS.join(" and ")}`;
      return new Failure("invalid-request", { issues: [{ path: "/model", message }] });
    }
    const requestHash = createHash("sha256").update(canonicalJson(body)).digest("hex");
    const stored = await insertJob(db, {
      tenant: identity.tenant,
      jobId: `job-${crypto.randomUUID()}`,
      request: body,
      requestHash,
      idempotencyKey,
      by: identity.subject,
      now,
    });
    if (stored.requestHash !== requestHash) return new Failure("idempotency-conflict");
    return Response.json(stored.job, { status: stored.created ? 201 : 200 });
  });

  mount(app, http, listJobs, async ({ query }, { identity, now }) => {
    await endLostJobs(db, identity.tenant, now);
    return Response.json({ jobs: await findJobs(db, { tenant: identity.tenant, ...query }) });
  });

  mount(app, http, getJob, async ({ params }, { identity, now }) => {
    await endLostJobs(db, identity.tenant, now);
    const job = await jobById(db, { tenant: identity.tenant, ...params });
    return job ? Response.json(job) : new Failure("job-not-found");
  });

  mount(app, http, cancelJob, async ({ params }, { identity, now }) => {
    const key = { tenant: identity.tenant, ...params };
    const job = await requestCancel(db, key, now);
    if (job) return Response.json(job);
    const known = await jobById(db, key);
    // Cancelled twice is cancelled.
    if (known?.state === "cancelled") return Response.json(known);
    return known ? new Failure("job-finished", { detail: `It ${known.state}.` }) : new Failure("job-not-found");
  });
}

function mountLeases(app: App, http: HttpDeps, { db }: TrainingDeps): void {
  const until = (now: number, seconds: number): number => now + seconds * 1_000;

  mount(app, http, leaseJob, async ({ body }, { identity, now }) => {
    const { tenant } = identity;
    const { worker, models, seconds } = body;
    await endLostJobs(db, tenant, now, worker);
    const job = await takeLease(db, { tenant, models, worker, now, until: until(now, seconds) });
    if (job?.lease) http.metrics.count("training_leases_total", { model: job.request.model });
    const lease = job?.lease ? { job, fence: job.lease.fence, expiresAt: job.lease.expiresAt } : null;
    return Response.json({ lease });
  });

  mount(app, http, heartbeatJob, async ({ params, body }, { identity, now }) => {
    const lease = { tenant: identity.tenant, ...params, fence: body.fence };
    const job = await extendLease(db, lease, { now, until: until(now, body.seconds), progress: body.progress });
    if (!job) return await lost(db, lease);
    return Response.json({ expiresAt: until(now, body.seconds), cancel: job.cancelRequested });
  });

  mount(app, http, completeJob, async ({ params, body }, { identity, now }) => {
    const lease = { tenant: identity.tenant, ...params, fence: body.fence };
    return await ended(http, db, lease, await finishJob(db, lease, body.result, now));
  });

  mount(app, http, failJob, async ({ params, body }, { identity, now }) => {
    const { reason, retryable } = body;
    const lease = { tenant: identity.tenant, ...params, fence: body.fence };
    return await ended(http, db, lease, await failAttempt(db, lease, { reason, retryable, now }));
  });

  mount(app, http, releaseJob, async ({ params, body }, { identity, now }) => {
    const lease = { tenant: identity.tenant, ...params, fence: body.fence };
    return await ended(http, db, lease, await giveBack(db, lease, now));
  });
}

async function ended(
  http: HttpDeps,
  db: DrizzleD1Database,
  key: JobKey,
  job: TrainingJob | null,
): Promise<Response | Failure> {
  if (!job) return await lost(db, key);
  http.metrics.count("training_attempts_total", { model: job.request.model, state: job.state });
  return Response.json(job);
}

/** Why a call that names a lease does nothing. */
async function lost(db: DrizzleD1Database, key: JobKey): Promise<Failure> {
  const job = await jobById(db, key);
  if (!job) return new Failure("job-not-found");
  const detail =
    job.lease === null ? `The job is ${job.state}.` : `${job.lease.worker} has it now, with fence ${job.lease.fence}.`;
  return new Failure("lease-lost", { detail });
}
