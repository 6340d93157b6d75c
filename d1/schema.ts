import type { JobProgress, JobRequest, JobResult } from "../models/contract/api/jobs.ts";
import { index, integer, primaryKey, real, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/** d1/STORAGE.md says for each table who writes it, who reads it and what absence means. Times are epoch milliseconds. */

export const models = sqliteTable(
  "models",
  {
    tenant: text("tenant").notNull(),
    name: text("name").notNull(),
    kind: text("kind").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.name] })],
);

export const modelVersions = sqliteTable(
  "model_versions",
  {
    tenant: text("tenant").notNull(),
    name: text("name").notNull(),
    version: text("version").notNull(),
    kind: text("kind").notNull(),
    engine: text("engine", { enum: ["compact", "ort"] }).notNull(),
    status: text("status", { enum: ["registered", "serving", "retired", "refused"] }).notNull(),
    featureService: text("feature_service").notNull(),
    featureHash: text("feature_hash").notNull(),
    parent: text("parent"),
    runId: text("run_id").notNull(),
    dataHash: text("data_hash").notNull(),
    codeVersion: text("code_version").notNull(),
    registeredAt: integer("registered_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.name, table.version] }),
    index("model_versions_by_time").on(table.tenant, table.name, table.registeredAt),
  ],
);

export const versionMetrics = sqliteTable(
  "version_metrics",
  {
    tenant: text("tenant").notNull(),
    name: text("name").notNull(),
    version: text("version").notNull(),
    metric: text("metric").notNull(),
    slice: text("slice").notNull(),
    value: real("value").notNull(),
    low: real("low"),
    high: real("high"),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.name, table.version, table.metric, table.slice] })],
);

export const versionStatusHistory = sqliteTable(
  "version_status_history",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    tenant: text("tenant").notNull(),
    name: text("name").notNull(),
    version: text("version").notNull(),
    status: text("status").notNull(),
    changedAt: integer("changed_at").notNull(),
    changedBy: text("changed_by").notNull(),
  },
  (table) => [index("version_status_history_by_version").on(table.tenant, table.name, table.version)],
);

export const routingHistory = sqliteTable(
  "routing_history",
  {
    tenant: text("tenant").notNull(),
    name: text("name").notNull(),
    epoch: integer("epoch").notNull(),
    serving: text("serving"),
    previous: text("previous"),
    changedAt: integer("changed_at").notNull(),
    changedBy: text("changed_by").notNull(),
    reason: text("reason", { enum: ["promote", "rollback"] }),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.name, table.epoch] })],
);

export const registrationRefusals = sqliteTable(
  "registration_refusals",
  {
    tenant: text("tenant").notNull(),
    name: text("name").notNull(),
    version: text("version").notNull(),
    code: text("code").notNull(),
    detail: text("detail").notNull(),
    refusedAt: integer("refused_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.name, table.version] })],
);

/** Vectors of versions in the vector index, where the deployment has one. */
export const versionVectors = sqliteTable(
  "version_vectors",
  {
    tenant: text("tenant").notNull(),
    name: text("name").notNull(),
    version: text("version").notNull(),
    state: text("state", { enum: ["writing", "ready", "removing"] }).notNull(),
    /** Items from here to `items` have vectors in the index; those before are in the isolates. */
    fromItem: integer("from_item").notNull(),
    items: integer("items").notNull(),
    /** The next item to write or remove; `items`: all are. */
    next: integer("next").notNull(),
    /** Of the last write or removal: what is asked whether it is visible. */
    ticket: text("ticket").notNull(),
    changedAt: integer("changed_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.name, table.version] })],
);

export const trainingJobs = sqliteTable(
  "training_jobs",
  {
    tenant: text("tenant").notNull(),
    jobId: text("job_id").notNull(),
    model: text("model").notNull(),
    request: text("request", { mode: "json" }).$type<JobRequest>().notNull(),
    requestHash: text("request_hash").notNull(),
    idempotencyKey: text("idempotency_key"),
    state: text("state", {
      enum: ["queued", "running", "succeeded", "refused", "failed", "cancelled"],
    }).notNull(),
    createdAt: integer("created_at").notNull(),
    createdBy: text("created_by").notNull(),
    notBefore: integer("not_before").notNull(),
    attempts: integer("attempts").notNull().default(0),
    maxAttempts: integer("max_attempts").notNull(),
    cancelRequested: integer("cancel_requested", { mode: "boolean" }).notNull().default(false),
    /** Number of the last lease: grows with each, and every change by a worker names the one it holds. */
    fence: integer("fence").notNull().default(0),
    leaseWorker: text("lease_worker"),
    leaseExpiresAt: integer("lease_expires_at"),
    heartbeatAt: integer("heartbeat_at"),
    progress: text("progress", { mode: "json" }).$type<JobProgress>(),
    result: text("result", { mode: "json" }).$type<JobResult>(),
    error: text("error"),
    finishedAt: integer("finished_at"),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.jobId] }),
    uniqueIndex("training_jobs_by_key").on(table.tenant, table.idempotencyKey),
    index("training_jobs_by_state").on(table.tenant, table.state, table.createdAt),
  ],
);

export const deadLetters = sqliteTable(
  "dead_letters",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    tenant: text("tenant").notNull(),
    source: text("source"),
    eventId: text("event_id"),
    type: text("type"),
    reason: text("reason").notNull(),
    detail: text("detail").notNull(),
    event: text("event").notNull(),
    /** SHA-256 of reason and event: the same failure stored twice is one row. */
    fingerprint: text("fingerprint").notNull(),
    storedAt: integer("stored_at").notNull(),
    replayedAt: integer("replayed_at"),
  },
  (table) => [
    uniqueIndex("dead_letters_by_fingerprint").on(table.tenant, table.fingerprint),
    index("dead_letters_by_reason").on(table.tenant, table.reason, table.id),
  ],
);

export const apiKeys = sqliteTable(
  "api_keys",
  {
    keyId: text("key_id").primaryKey(),
    tenant: text("tenant").notNull(),
    /** SHA-256 of the key: 256 random bits need no salt and no slow hash. */
    keyHash: text("key_hash").notNull(),
    subject: text("subject").notNull(),
    roles: text("roles", { mode: "json" }).$type<string[]>().notNull(),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at"),
    revokedAt: integer("revoked_at"),
  },
  (table) => [
    uniqueIndex("api_keys_by_hash").on(table.keyHash),
    index("api_keys_by_tenant").on(table.tenant, table.createdAt),
  ],
);
