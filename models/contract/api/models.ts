import * as z from "zod";
import { Manifest, MAX_MODEL_FILE_BYTES, Metric, ModelFilePath, ModelKind } from "../manifest.ts";
import { ModelName, ModelVersion, Sha256 } from "../primitives.ts";
import { defineRoute, jsonBody } from "./define.ts";

export const VersionStatus = z.enum(["registered", "serving", "retired", "refused"]).meta({ id: "VersionStatus" });
export type VersionStatus = z.infer<typeof VersionStatus>;

export const RoutingRecord = z
  .object({
    v: z.literal(1),
    model: ModelName,
    epoch: z.int().min(0).meta({ description: "Grows by one with every change; an isolate never goes back" }),
    serving: ModelVersion.nullable(),
    previous: ModelVersion.nullable().meta({
      description: "What served before a promotion: answers while `serving` is refused",
    }),
    changedAt: z.int(),
    changedBy: z.string().max(128),
    reason: z.enum(["promote", "rollback"]).nullable(),
  })
  .meta({ id: "RoutingRecord", description: "What serves: one small record per model, flipped last" });
export type RoutingRecord = z.infer<typeof RoutingRecord>;

export const VersionSummary = z
  .strictObject({
    version: ModelVersion,
    status: VersionStatus,
    kind: ModelKind,
    engine: z.enum(["compact", "ort"]),
    registeredAt: z.int(),
    metrics: z.array(Metric),
  })
  .meta({ id: "VersionSummary" });

export const ModelDetail = z
  .strictObject({
    name: ModelName,
    kind: ModelKind,
    routing: RoutingRecord.nullable(),
    versions: z.array(VersionSummary),
  })
  .meta({ id: "ModelDetail" });
export type ModelDetail = z.infer<typeof ModelDetail>;

/** A training job's lease, named by what it publishes and promotes: a machine whose job was given to another one changes nothing. */
const leaseQuery = z.strictObject({
  jobId: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/)
    .optional(),
  fence: z.coerce.number().int().min(1).optional(),
});

export const RegistrationRefusal = z
  .strictObject({ version: ModelVersion, code: z.string().max(64), detail: z.string(), refusedAt: z.int() })
  .meta({ id: "RegistrationRefusal", description: "Why a version that arrived in the bucket was not registered" });
export type RegistrationRefusal = z.infer<typeof RegistrationRefusal>;

const modelParams = z.strictObject({ name: ModelName });
const versionParams = z.strictObject({ name: ModelName, version: ModelVersion });

export const listModels = defineRoute({
  operationId: "listModels",
  method: "get",
  path: "/api/v1/models",
  tag: "Models",
  summary: "List models",
  access: ["trainer", "operator", "analyst"],
  responses: {
    200: {
      description: "All models",
      schema: z.strictObject({ models: z.array(ModelDetail.omit({ versions: true })) }),
    },
  },
  errors: [],
});

export const getModel = defineRoute({
  operationId: "getModel",
  method: "get",
  path: "/api/v1/models/{name}",
  tag: "Models",
  summary: "A model with its versions",
  access: ["trainer", "operator", "analyst"],
  params: modelParams,
  responses: { 200: { description: "Newest version first, at most 200", schema: ModelDetail } },
  errors: ["invalid-request", "model-not-found"],
});

export const getManifest = defineRoute({
  operationId: "getManifest",
  method: "get",
  path: "/api/v1/models/{name}/versions/{version}",
  tag: "Models",
  summary: "The manifest of a version",
  access: ["trainer", "operator", "analyst"],
  params: versionParams,
  responses: { 200: { description: "The manifest as published", schema: Manifest } },
  errors: ["invalid-request", "version-not-found"],
});

export const getModelFile = defineRoute({
  operationId: "getModelFile",
  method: "get",
  path: "/api/v1/models/{name}/versions/{version}/files/{path}",
  tag: "Models",
  summary: "Read a file of a version",
  access: ["trainer", "operator"],
  params: versionParams.extend({ path: ModelFilePath }),
  responses: { 200: { description: "The bytes", contentType: "application/octet-stream" } },
  errors: ["invalid-request", "version-not-found"],
});

export const putModelFile = defineRoute({
  operationId: "putModelFile",
  method: "put",
  path: "/api/v1/models/{name}/versions/{version}/files/{path}",
  tag: "Models",
  summary: "Store a file of a version",
  description: "Create-only: the same bytes again are fine, other bytes are refused. Send the SHA-256 in the query.",
  access: ["trainer"],
  params: versionParams.extend({ path: ModelFilePath }),
  query: z.strictObject({ sha256: Sha256 }),
  body: { kind: "bytes", contentTypes: ["application/octet-stream"], maxBytes: MAX_MODEL_FILE_BYTES },
  responses: {
    200: {
      description: "Stored",
      schema: z.strictObject({ path: ModelFilePath, bytes: z.int(), created: z.boolean() }),
    },
  },
  errors: ["invalid-request", "body-too-large", "artifact-exists", "manifest-refused"],
});

export const publishVersion = defineRoute({
  operationId: "publishVersion",
  method: "post",
  path: "/api/v1/models/{name}/versions",
  tag: "Models",
  summary: "Publish a version",
  description:
    "Checks the stored files against the manifest, proves the model on its golden vectors, writes the manifest last and registers the version. Also " +
    "for a version whose files and manifest were put straight into the bucket, where no notification of the bucket does it.",
  access: ["trainer"],
  params: modelParams,
  query: leaseQuery,
  body: jsonBody(Manifest, { maxBytes: 1024 * 1024 }),
  responses: {
    200: { description: "It was registered before", schema: VersionSummary },
    201: { description: "Registered", schema: VersionSummary },
  },
  errors: [
    "invalid-json",
    "invalid-request",
    "body-too-large",
    "artifact-exists",
    "manifest-refused",
    "signature-refused",
    "model-refused",
    "feature-set-unknown",
    "lease-lost",
    "unavailable",
  ],
});

export const listRefusals = defineRoute({
  operationId: "listRegistrationRefusals",
  method: "get",
  path: "/api/v1/models/{name}/refusals",
  tag: "Models",
  summary: "Versions that arrived in the bucket and were not registered",
  access: ["trainer", "operator", "analyst"],
  params: modelParams,
  responses: {
    200: {
      description: "Newest first, at most 200; a version that was registered later is not here",
      schema: z.strictObject({ refusals: z.array(RegistrationRefusal) }),
    },
  },
  errors: ["invalid-request"],
});

export const promoteModel = defineRoute({
  operationId: "promoteModel",
  method: "post",
  path: "/api/v1/models/{name}/promote",
  tag: "Models",
  summary: "Make a version serve",
  access: ["operator", "trainer"],
  params: modelParams,
  query: leaseQuery,
  body: jsonBody(z.strictObject({ version: ModelVersion }).meta({ id: "PromoteRequest" }), { maxBytes: 1024 }),
  responses: { 200: { description: "The new routing record", schema: RoutingRecord } },
  errors: [
    "invalid-json",
    "invalid-request",
    "body-too-large",
    "model-not-found",
    "version-not-found",
    "model-refused",
    "vectors-not-ready",
    "lease-lost",
    "unavailable",
  ],
});

export const rollbackModel = defineRoute({
  operationId: "rollbackModel",
  method: "post",
  path: "/api/v1/models/{name}/rollback",
  tag: "Models",
  summary: "Go back to the version that served before",
  access: ["operator"],
  params: modelParams,
  responses: { 200: { description: "The new routing record", schema: RoutingRecord } },
  errors: ["invalid-request", "model-not-found", "nothing-to-roll-back", "vectors-not-ready"],
});

export const getRoutingHistory = defineRoute({
  operationId: "getRoutingHistory",
  method: "get",
  path: "/api/v1/models/{name}/history",
  tag: "Models",
  summary: "What served when",
  access: ["trainer", "operator", "analyst"],
  params: modelParams,
  query: z.strictObject({
    at: z.iso.datetime({ offset: true }).optional().meta({ description: "Only the record in force at this time" }),
  }),
  responses: {
    200: { description: "Newest first, at most 200", schema: z.strictObject({ history: z.array(RoutingRecord) }) },
  },
  errors: ["invalid-request", "model-not-found"],
});

export const RebuildResponse = z
  .strictObject({
    models: z.int(),
    versions: z.int(),
    refused: z.array(z.strictObject({ key: z.string(), reason: z.string() })),
  })
  .meta({ id: "RebuildResponse" });

export const rebuildRegistry = defineRoute({
  operationId: "rebuildRegistry",
  method: "post",
  path: "/api/v1/registry/rebuild",
  tag: "Models",
  summary: "Rebuild the registry's tables from the stored artefacts",
  access: ["operator"],
  responses: { 200: { description: "What was found", schema: RebuildResponse } },
  errors: ["unavailable"],
});
