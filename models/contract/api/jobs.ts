import * as z from "zod";
import { ModelName, ModelVersion } from "../primitives.ts";
import { defineRoute, jsonBody } from "./define.ts";

/** Shortest and longest time a lease is given for, in seconds: a heartbeat must fit in several times; a lost machine is noticed within the longest. */
export const MIN_LEASE_SECONDS = 1;
export const MAX_LEASE_SECONDS = 900;
/** Most attempts at one job: what failed five times fails for a reason that another try does not mend. */
export const MAX_JOB_ATTEMPTS = 10;
export const DEFAULT_JOB_ATTEMPTS = 5;
/** Longest `Idempotency-Key`, in characters. */
export const MAX_JOB_KEY_LENGTH = 200;

export const JobState = z.enum(["queued", "running", "succeeded", "refused", "failed", "cancelled"]).meta({
  id: "TrainingJobState",
  description:
    "queued: waits for a worker, or for its next attempt; running: leased; succeeded: trained, and published where asked; refused: trained, and a " +
    "gate did not pass; failed: no attempt went through; cancelled: by a person",
});
export type JobState = z.infer<typeof JobState>;

/** What is to be trained; nothing in it is personal. */
export const JobRequest = z
  .strictObject({
    model: ModelName,
    seed: z
      .int()
      .min(0)
      .max(2 ** 32 - 1)
      .default(1),
    trials: z.int().min(0).max(500).default(0).meta({ description: "Budget of the search for parameters; 0: none" }),
    maturityDays: z
      .int()
      .min(1)
      .max(90)
      .optional()
      .meta({ description: "How long a label may take; absent: the model's own" }),
    parameters: z
      .record(z.string().regex(/^[a-zA-Z][a-zA-Z0-9]{0,63}$/), z.union([z.string().max(200), z.number(), z.boolean()]))
      .refine((parameters) => Object.keys(parameters).length <= 32, "at most 32 parameters")
      .default({})
      .meta({ description: "Laid over the model's own training parameters" }),
    publish: z.boolean().default(true),
    promote: z.boolean().default(false).meta({ description: "Make it serve when every gate passes" }),
    maxAttempts: z.int().min(1).max(MAX_JOB_ATTEMPTS).default(DEFAULT_JOB_ATTEMPTS),
  })
  .meta({ id: "TrainingJobRequest" });
export type JobRequest = z.infer<typeof JobRequest>;

export const JobProgress = z
  .strictObject({
    run: z
      .string()
      .max(128)
      .nullable()
      .meta({ description: "The run of the trainer, to be gone on with after a loss" }),
    stage: z.string().max(64),
    done: z.number().min(0).max(1).nullable().meta({ description: "Share of the stage" }),
    note: z.string().max(200),
  })
  .meta({ id: "TrainingJobProgress" });
export type JobProgress = z.infer<typeof JobProgress>;

export const JobResult = z
  .strictObject({
    outcome: z.enum(["succeeded", "refused"]),
    run: z.string().max(128).meta({ description: "The trainer's record of it" }),
    version: ModelVersion.nullable(),
    published: z.boolean(),
    promoted: z.boolean(),
    reasons: z.array(z.string().max(500)).max(32).meta({ description: "Why it was refused, or not promoted" }),
  })
  .meta({ id: "TrainingJobResult" });
export type JobResult = z.infer<typeof JobResult>;

const WorkerName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/)
  .meta({ description: "The machine, for people" });

export const TrainingJob = z
  .strictObject({
    jobId: z.string().max(64),
    state: JobState,
    request: JobRequest,
    createdAt: z.int(),
    createdBy: z.string().max(128),
    notBefore: z.int().meta({ description: "The next attempt waits until then" }),
    attempts: z.int().meta({ description: "Leases that were not handed back" }),
    cancelRequested: z.boolean(),
    lease: z
      .strictObject({
        worker: WorkerName,
        fence: z.int().meta({ description: "Grows with each lease; calls that name an older one are refused" }),
        expiresAt: z.int(),
        heartbeatAt: z.int(),
      })
      .nullable(),
    progress: JobProgress.nullable(),
    result: JobResult.nullable(),
    error: z.string().max(500).nullable().meta({ description: "Of the last attempt that failed" }),
    finishedAt: z.int().nullable(),
  })
  .meta({ id: "TrainingJob" });
export type TrainingJob = z.infer<typeof TrainingJob>;

const jobParams = z.strictObject({ jobId: z.string().regex(/^[a-z0-9-]{1,64}$/) });
const fence = z.int().min(1);
const leaseSeconds = z.int().min(MIN_LEASE_SECONDS).max(MAX_LEASE_SECONDS);
const job = { description: "The job as it is now", schema: TrainingJob };
const bodyErrors = ["invalid-json", "invalid-request", "body-too-large"] as const;

export const createJob = defineRoute({
  operationId: "createTrainingJob",
  method: "post",
  path: "/api/v1/training/jobs",
  tag: "Training",
  summary: "Ask for a training run",
  description: "Send `Idempotency-Key`: the same key and request give the same job again.",
  access: ["trainer", "operator"],
  body: jsonBody(JobRequest, { maxBytes: 16 * 1024 }),
  responses: { 200: { ...job, description: "It was asked for before" }, 201: { ...job, description: "Queued" } },
  errors: [...bodyErrors, "idempotency-conflict"],
});

export const listJobs = defineRoute({
  operationId: "listTrainingJobs",
  method: "get",
  path: "/api/v1/training/jobs",
  tag: "Training",
  summary: "Training jobs, newest first",
  access: ["trainer", "operator", "analyst"],
  query: z.strictObject({
    state: JobState.optional(),
    model: ModelName.optional(),
    before: z.coerce.number().int().min(0).optional().meta({ description: "Created before this time" }),
    limit: z.coerce.number().int().min(1).max(100).default(20),
  }),
  responses: { 200: { description: "Newest first", schema: z.strictObject({ jobs: z.array(TrainingJob) }) } },
  errors: ["invalid-request"],
});

export const getJob = defineRoute({
  operationId: "getTrainingJob",
  method: "get",
  path: "/api/v1/training/jobs/{jobId}",
  tag: "Training",
  summary: "A training job",
  access: ["trainer", "operator", "analyst"],
  params: jobParams,
  responses: { 200: job },
  errors: ["invalid-request", "job-not-found"],
});

export const cancelJob = defineRoute({
  operationId: "cancelTrainingJob",
  method: "post",
  path: "/api/v1/training/jobs/{jobId}/cancel",
  tag: "Training",
  summary: "Cancel a job",
  description: "A queued job ends at once; a running one when its worker hears of it, or when its lease expires.",
  access: ["trainer", "operator"],
  params: jobParams,
  responses: { 200: job },
  errors: ["invalid-request", "job-not-found", "job-finished"],
});

export const JobLease = z
  .strictObject({
    job: TrainingJob,
    fence,
    expiresAt: z.int(),
  })
  .meta({ id: "TrainingJobLease" });
export type JobLease = z.infer<typeof JobLease>;

export const leaseJob = defineRoute({
  operationId: "leaseTrainingJob",
  method: "post",
  path: "/api/v1/training/leases",
  tag: "Training",
  summary: "Take the oldest job that waits",
  description:
    "Also one whose lease has expired, because its machine was lost, or which this very worker holds, because it was restarted: a worker does " +
    "one job at a time, under a name of its own.",
  access: ["trainer"],
  body: jsonBody(
    z
      .strictObject({ worker: WorkerName, models: z.array(ModelName).min(1).max(32), seconds: leaseSeconds })
      .meta({ id: "LeaseRequest" }),
    { maxBytes: 4 * 1024 },
  ),
  responses: {
    200: { description: "null: nothing waits", schema: z.strictObject({ lease: JobLease.nullable() }) },
  },
  errors: [...bodyErrors],
});

export const heartbeatJob = defineRoute({
  operationId: "heartbeatTrainingJob",
  method: "post",
  path: "/api/v1/training/jobs/{jobId}/heartbeat",
  tag: "Training",
  summary: "Keep a lease",
  access: ["trainer"],
  params: jobParams,
  body: jsonBody(
    z.strictObject({ fence, seconds: leaseSeconds, progress: JobProgress.nullable() }).meta({ id: "HeartbeatRequest" }),
    { maxBytes: 4 * 1024 },
  ),
  responses: {
    200: {
      description: "The lease is kept; `cancel` asks to stop",
      schema: z.strictObject({ expiresAt: z.int(), cancel: z.boolean() }),
    },
  },
  errors: [...bodyErrors, "job-not-found", "lease-lost"],
});

export const completeJob = defineRoute({
  operationId: "completeTrainingJob",
  method: "post",
  path: "/api/v1/training/jobs/{jobId}/complete",
  tag: "Training",
  summary: "Say how a job ended",
  access: ["trainer"],
  params: jobParams,
  body: jsonBody(z.strictObject({ fence, result: JobResult }).meta({ id: "CompleteRequest" }), { maxBytes: 32 * 1024 }),
  responses: { 200: job },
  errors: [...bodyErrors, "job-not-found", "lease-lost"],
});

export const failJob = defineRoute({
  operationId: "failTrainingJob",
  method: "post",
  path: "/api/v1/training/jobs/{jobId}/fail",
  tag: "Training",
  summary: "Say that an attempt failed",
  description: "A retryable failure waits longer each time and is tried again while attempts are left.",
  access: ["trainer"],
  params: jobParams,
  body: jsonBody(
    z.strictObject({ fence, reason: z.string().min(1).max(500), retryable: z.boolean() }).meta({ id: "FailRequest" }),
    { maxBytes: 4 * 1024 },
  ),
  responses: { 200: job },
  errors: [...bodyErrors, "job-not-found", "lease-lost"],
});

export const releaseJob = defineRoute({
  operationId: "releaseTrainingJob",
  method: "post",
  path: "/api/v1/training/jobs/{jobId}/release",
  tag: "Training",
  summary: "Hand a lease back",
  description:
    "A worker that stops gives its job to the next one; the attempt does not count. A job that was cancelled ends.",
  access: ["trainer"],
  params: jobParams,
  body: jsonBody(z.strictObject({ fence }).meta({ id: "ReleaseRequest" }), { maxBytes: 1024 }),
  responses: { 200: job },
  errors: [...bodyErrors, "job-not-found", "lease-lost"],
});
