import { and, desc, eq, gt, gte, inArray, lt, lte, or, type SQL, sql } from "drizzle-orm";
import type { DrizzleD1Database } from "drizzle-orm/d1";
import type { JobProgress, JobRequest, JobResult, JobState, TrainingJob } from "../../models/contract/api/jobs.ts";
import { trainingJobs } from "../schema.ts";

/**
 * Jobs and their leases. Each change is one conditional UPDATE, so that of several workers exactly one gets a job, and one whose lease was
 * taken over changes nothing any more: `fence` grows with each lease, and every later statement names the fence it holds.
 */

type Row = typeof trainingJobs.$inferSelect;

/** Waits before the next attempt, doubling: a dependency that restarts is back by the second, a full disk needs a person. */
const FIRST_RETRY_MS = 30_000;
const MAX_RETRY_MS = 3_600_000;

/** Half a year: longer than anybody asks why a model was not trained; what was trained is in the registry. */
const KEPT_MS = 183 * 86_400_000;

export interface JobKey {
  readonly tenant: string;
  readonly jobId: string;
}

export interface HeldLease extends JobKey {
  readonly fence: number;
}

/** Stores a job, or finds the one that the same idempotency key stored. */
export async function insertJob(
  db: DrizzleD1Database,
  entry: {
    tenant: string;
    jobId: string;
    request: JobRequest;
    requestHash: string;
    idempotencyKey: string | null;
    by: string;
    now: number;
  },
): Promise<{ job: TrainingJob; requestHash: string; created: boolean }> {
  const { tenant, jobId, request, requestHash, idempotencyKey, by, now } = entry;
  const inserted = await db
    .insert(trainingJobs)
    .values({
      tenant,
      jobId,
      model: request.model,
      request,
      requestHash,
      idempotencyKey,
      state: "queued",
      createdAt: now,
      createdBy: by,
      notBefore: now,
      maxAttempts: request.maxAttempts,
    })
    .onConflictDoNothing()
    .returning();
  const [row] = inserted;
  if (row) return { job: asJob(row), requestHash, created: true };
  const [known] = await db
    .select()
    .from(trainingJobs)
    .where(and(eq(trainingJobs.tenant, tenant), eq(trainingJobs.idempotencyKey, idempotencyKey ?? "")))
    .limit(1);
  if (!known) throw new Error("a job was neither stored nor found by its key");
  return { job: asJob(known), requestHash: known.requestHash, created: false };
}

export async function jobById(db: DrizzleD1Database, key: JobKey): Promise<TrainingJob | null> {
  const [row] = await db.select().from(trainingJobs).where(isJob(key)).limit(1);
  return row ? asJob(row) : null;
}

export async function findJobs(
  db: DrizzleD1Database,
  query: {
    tenant: string;
    limit: number;
    state?: JobState | undefined;
    model?: string | undefined;
    before?: number | undefined;
  },
): Promise<TrainingJob[]> {
  const conditions: SQL[] = [eq(trainingJobs.tenant, query.tenant)];
  if (query.state !== undefined) conditions.push(eq(trainingJobs.state, query.state));
  if (query.model !== undefined) conditions.push(eq(trainingJobs.model, query.model));
  if (query.before !== undefined) conditions.push(lt(trainingJobs.createdAt, query.before));
  const rows = await db
    .select()
    .from(trainingJobs)
    .where(and(...conditions))
    .orderBy(desc(trainingJobs.createdAt), desc(trainingJobs.jobId))
    .limit(query.limit);
  return rows.map(asJob);
}

/** Ends what nobody will take up again, and forgets what ended long ago: jobs whose machine was lost after they were cancelled, or once too often. */
export async function endLostJobs(
  db: DrizzleD1Database,
  tenant: string,
  now: number,
  worker: string | null = null,
): Promise<void> {
  const lost = [eq(trainingJobs.tenant, tenant), isLost(now, worker)];
  const ended = { leaseWorker: null, leaseExpiresAt: null, finishedAt: now };
  await db.batch([
    db
      .update(trainingJobs)
      .set({ ...ended, state: "cancelled" })
      .where(and(...lost, eq(trainingJobs.cancelRequested, true))),
    db
      .update(trainingJobs)
      .set({
        ...ended,
        state: "failed",
        error: sql`'its worker was lost, the last time in attempt ' || ${trainingJobs.attempts}`,
      })
      .where(and(...lost, gte(trainingJobs.attempts, trainingJobs.maxAttempts))),
    db.delete(trainingJobs).where(and(eq(trainingJobs.tenant, tenant), lt(trainingJobs.finishedAt, now - KEPT_MS))),
  ]);
}

/**
 * Gives the oldest waiting job of these models to one worker; null: nothing waits. A worker does one job at a time, so one that asks while
 * it holds a lease was restarted, and its own job waits for it.
 */
export async function takeLease(
  db: DrizzleD1Database,
  request: { tenant: string; models: readonly string[]; worker: string; now: number; until: number },
): Promise<TrainingJob | null> {
  const { tenant, models, worker, now, until } = request;
  const isFree = and(
    eq(trainingJobs.tenant, tenant),
    inArray(trainingJobs.model, [...models]),
    or(
      and(eq(trainingJobs.state, "queued"), lte(trainingJobs.notBefore, now)),
      and(
        isLost(now, worker),
        eq(trainingJobs.cancelRequested, false),
        lt(trainingJobs.attempts, trainingJobs.maxAttempts),
      ),
    ),
  );
  const oldest = db
    .select({ jobId: trainingJobs.jobId })
    .from(trainingJobs)
    .where(isFree)
    .orderBy(trainingJobs.createdAt, trainingJobs.jobId)
    .limit(1);
  const [row] = await db
    .update(trainingJobs)
    .set({
      state: "running",
      fence: sql`${trainingJobs.fence} + 1`,
      attempts: sql`${trainingJobs.attempts} + 1`,
      leaseWorker: worker,
      leaseExpiresAt: until,
      heartbeatAt: now,
    })
    .where(and(eq(trainingJobs.tenant, tenant), inArray(trainingJobs.jobId, oldest)))
    .returning();
  return row ? asJob(row) : null;
}

/** Whether the lease is this one still, and its time not over. */
export async function isLeaseHeld(db: DrizzleD1Database, lease: HeldLease, now: number): Promise<boolean> {
  const rows = await db
    .select({ jobId: trainingJobs.jobId })
    .from(trainingJobs)
    .where(and(isHeld(lease), gt(trainingJobs.leaseExpiresAt, now)))
    .limit(1);
  return rows.length > 0;
}

/** Also after its time, as long as nobody took the job over: the machine was slow, not lost. */
export async function extendLease(
  db: DrizzleD1Database,
  lease: HeldLease,
  change: { now: number; until: number; progress: JobProgress | null },
): Promise<TrainingJob | null> {
  const [row] = await db
    .update(trainingJobs)
    .set({
      leaseExpiresAt: change.until,
      heartbeatAt: change.now,
      ...(change.progress !== null && { progress: change.progress }),
    })
    .where(isHeld(lease))
    .returning();
  return row ? asJob(row) : null;
}

export async function finishJob(
  db: DrizzleD1Database,
  lease: HeldLease,
  result: JobResult,
  now: number,
): Promise<TrainingJob | null> {
  const [row] = await db
    .update(trainingJobs)
    .set({ state: result.outcome, result, error: null, leaseWorker: null, leaseExpiresAt: null, finishedAt: now })
    .where(isHeld(lease))
    .returning();
  if (row) return asJob(row);
  // Its first answer was lost: it ended under this very lease.
  const ended = and(isJob(lease), eq(trainingJobs.fence, lease.fence), eq(trainingJobs.state, result.outcome));
  const [before] = await db.select().from(trainingJobs).where(ended).limit(1);
  return before ? asJob(before) : null;
}

/** Queues the job again, later each time, while attempts are left and nobody cancelled it. */
export async function failAttempt(
  db: DrizzleD1Database,
  lease: HeldLease,
  failure: { reason: string; retryable: boolean; now: number },
): Promise<TrainingJob | null> {
  const { reason, retryable, now } = failure;
  const [known] = await db.select().from(trainingJobs).where(isHeld(lease)).limit(1);
  if (!known) return null;
  const isAgain = retryable && !known.cancelRequested && known.attempts < known.maxAttempts;
  const delay = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (known.attempts - 1));
  const [row] = await db
    .update(trainingJobs)
    .set({
      error: reason,
      leaseWorker: null,
      leaseExpiresAt: null,
      ...(isAgain
        ? { state: "queued" as const, notBefore: now + delay }
        : { state: known.cancelRequested ? ("cancelled" as const) : ("failed" as const), finishedAt: now }),
    })
    .where(isHeld(lease))
    .returning();
  return row ? asJob(row) : null;
}

export async function giveBack(db: DrizzleD1Database, lease: HeldLease, now: number): Promise<TrainingJob | null> {
  const isCancelled = sql`${trainingJobs.cancelRequested} = 1`;
  const [row] = await db
    .update(trainingJobs)
    .set({
      state: sql`CASE WHEN ${isCancelled} THEN 'cancelled' ELSE 'queued' END`,
      finishedAt: sql`CASE WHEN ${isCancelled} THEN ${now} ELSE NULL END`,
      attempts: sql`${trainingJobs.attempts} - 1`,
      notBefore: now,
      leaseWorker: null,
      leaseExpiresAt: null,
    })
    .where(isHeld(lease))
    .returning();
  return row ? asJob(row) : null;
}

/** A queued job ends; a running one is told at its next heartbeat. Null: it had ended. */
export async function requestCancel(db: DrizzleD1Database, key: JobKey, now: number): Promise<TrainingJob | null> {
  const isQueued = sql`${trainingJobs.state} = 'queued'`;
  const [row] = await db
    .update(trainingJobs)
    .set({
      cancelRequested: true,
      state: sql`CASE WHEN ${isQueued} THEN 'cancelled' ELSE ${trainingJobs.state} END`,
      finishedAt: sql`CASE WHEN ${isQueued} THEN ${now} ELSE NULL END`,
    })
    .where(and(isJob(key), inArray(trainingJobs.state, ["queued", "running"])))
    .returning();
  return row ? asJob(row) : null;
}

const isJob = ({ tenant, jobId }: JobKey): SQL | undefined =>
  and(eq(trainingJobs.tenant, tenant), eq(trainingJobs.jobId, jobId));

/** Running, as far as anybody knows, on a machine that is gone: its time has passed, or it asks for work. */
const isLost = (now: number, worker: string | null): SQL | undefined =>
  and(
    eq(trainingJobs.state, "running"),
    worker === null
      ? lte(trainingJobs.leaseExpiresAt, now)
      : or(lte(trainingJobs.leaseExpiresAt, now), eq(trainingJobs.leaseWorker, worker)),
  );

const isHeld = (lease: HeldLease): SQL | undefined =>
  and(isJob(lease), eq(trainingJobs.state, "running"), eq(trainingJobs.fence, lease.fence));

function asJob(row: Row): TrainingJob {
  const { leaseWorker, leaseExpiresAt, heartbeatAt } = row;
  return {
    jobId: row.jobId,
    state: row.state,
    request: row.request,
    createdAt: row.createdAt,
    createdBy: row.createdBy,
    notBefore: row.notBefore,
    attempts: row.attempts,
    cancelRequested: row.cancelRequested,
    lease:
      leaseWorker === null || leaseExpiresAt === null
        ? null
        : { worker: leaseWorker, fence: row.fence, expiresAt: leaseExpiresAt, heartbeatAt: heartbeatAt ?? 0 },
    progress: row.progress,
    result: row.result,
    error: row.error,
    finishedAt: row.finishedAt,
  };
}
