import * as z from "zod";
import { Sha256, SnakeName, Timestamp } from "../primitives.ts";
import { defineRoute, jsonBody } from "./define.ts";

/** Features of one service: as many as a decision's vector may have. */
const MAX_FEATURES = 1_024;
const Count = z.int().min(0);
const Seconds = z.strictObject({ p50: z.number(), p99: z.number() });

/** How the served values of one feature compare with the same values recomputed from the log. */
export const FeatureConsistency = z
  .strictObject({
    name: SnakeName,
    compared: Count,
    mismatched: Count.meta({ description: "Both have a value, and they differ by more than the tolerance" }),
    missing: Count.meta({ description: "Served without a value, recomputed with one" }),
    extra: Count.meta({ description: "Served with a value, recomputed without one" }),
    largestDifference: z.number().min(0),
    ageSeconds: Seconds.nullable().meta({ description: "From the newest fact behind a value to the as-of time" }),
    examples: z.array(z.string().max(128)).max(5).meta({ description: "Ids of decisions that differ" }),
  })
  .meta({ id: "FeatureConsistency" });
export type FeatureConsistency = z.infer<typeof FeatureConsistency>;

export const ConsistencyReport = z
  .strictObject({
    service: SnakeName,
    hash: Sha256,
    decisions: Count.meta({ description: "Decisions compared" }),
    skipped: z.record(z.string().max(64), Count).meta({ description: "Not compared, by reason" }),
    mismatchShare: z.number().min(0).max(1).meta({ description: "Share of compared values that differ in any way" }),
    features: z.array(FeatureConsistency).max(MAX_FEATURES),
    watermarkAge: Seconds.meta({ description: "From the newest ingestion a decision saw to its as-of time" }),
  })
  .meta({ id: "ConsistencyReport", description: "Served vectors against the same vectors recomputed from the log" });
export type ConsistencyReport = z.infer<typeof ConsistencyReport>;

const StoredReport = z
  .strictObject({ checkedAt: Timestamp, sample: z.number().min(0).max(1), by: z.string(), report: ConsistencyReport })
  .meta({ id: "StoredConsistencyReport" });
export type StoredConsistencyReport = z.infer<typeof StoredReport>;

export const getFeatureConsistency = defineRoute({
  operationId: "getFeatureConsistency",
  method: "get",
  path: "/api/v1/features/consistency",
  tag: "Features",
  summary: "The newest consistency report of every feature service",
  access: ["analyst", "trainer", "operator"],
  responses: {
    200: {
      description: "Empty before the first check",
      schema: z.strictObject({ reports: z.array(StoredReport) }).meta({ id: "ConsistencyReports" }),
    },
  },
  errors: [],
});

export const publishFeatureConsistency = defineRoute({
  operationId: "publishFeatureConsistency",
  method: "post",
  path: "/api/v1/features/consistency",
  tag: "Features",
  summary: "Publish a consistency report",
  description: "The scheduled check sends what it found: it is kept and becomes metrics by feature.",
  access: ["trainer", "operator"],
  body: jsonBody(
    z
      .strictObject({ sample: z.number().min(0).max(1), report: ConsistencyReport })
      .meta({ id: "ConsistencyPublication" }),
    { maxBytes: 1024 * 1024 },
  ),
  responses: { 200: { description: "As stored", schema: StoredReport } },
  errors: ["invalid-json", "invalid-request", "body-too-large", "service-not-found"],
});
