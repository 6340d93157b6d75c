import * as z from "zod";
import { DegradedFlag, Watermark } from "../decision-record.ts";
import { Order } from "../events/orders.ts";
import { Id, Sha256, SnakeName, Timestamp } from "../primitives.ts";
import { defineRoute, jsonBody } from "./define.ts";

/** Rows of one call: 100 vectors of 100 features are 100 kB of JSON. */
export const MAX_FEATURE_ROWS = 100;
/** An answer that waits longer than this helps nobody who decides online. */
export const MAX_FEATURE_DEADLINE_MS = 5_000;

const ServiceName = SnakeName.meta({ description: "Feature service", example: "fraud_orders_v1" });
const ServiceParams = z.strictObject({ service: ServiceName });

const entityIds = {
  customer: Id.optional(),
  device: Id.optional(),
  card: Id.optional(),
  address: Id.optional(),
  session: Id.optional(),
  terminal: Id.optional(),
  product: Id.optional(),
  sensor: Id.optional(),
};
export const FeatureEntities = z
  .strictObject(entityIds)
  .meta({ id: "FeatureEntities", description: "The entities of one row, by type; ids as the shop knows them" });
export type FeatureEntities = z.infer<typeof FeatureEntities>;

const readOptions = {
  asOf: Timestamp.optional().meta({ description: "Default: now. At most 24 hours ago; older rows are built offline" }),
  deadlineMs: z.coerce.number().int().min(1).max(MAX_FEATURE_DEADLINE_MS).optional().meta({
    description: "Afterwards memory or defaults are used, and the row says so. Default 500",
  }),
  maxAgeMs: z.coerce.number().int().min(0).max(60_000).optional().meta({
    description: "Copies up to this old are good enough. Default 0: the shards are asked",
  }),
};

export const FeatureRowRequest = z
  .strictObject({
    entities: FeatureEntities.optional().meta({ description: "Default: those of the order" }),
    order: Order.optional().meta({ description: "For features of the request itself, and those that count it" }),
  })
  .refine((row) => row.entities !== undefined || row.order !== undefined, "give entities, an order, or both")
  .meta({ id: "FeatureRowRequest" });
export type FeatureRowRequest = z.infer<typeof FeatureRowRequest>;

export const FeatureStatus = z.enum(["present", "missing", "expired"]).meta({
  id: "FeatureStatus",
  description: "missing: no fact behind it; expired: its newest fact is older than its time to live",
});

export const FeatureRow = z
  .strictObject({
    values: z.array(z.number().nullable()).meta({ description: "In the order of `names`; null = missing" }),
    statuses: z.array(FeatureStatus),
    ages: z
      .array(z.number().nullable())
      .meta({ description: "Seconds from the newest fact behind each value to asOf" }),
    watermarks: z.array(Watermark),
    degraded: z.array(DegradedFlag),
  })
  .meta({ id: "FeatureRow" });

export const FeatureVectors = z
  .strictObject({
    service: z.strictObject({ name: ServiceName, hash: Sha256 }),
    asOf: Timestamp,
    names: z.array(z.string()),
    rows: z.array(FeatureRow),
  })
  .meta({ id: "FeatureVectors", description: "Vectors of one service as of one time" });
export type FeatureVectors = z.infer<typeof FeatureVectors>;

const FeatureServiceSummary = z
  .strictObject({
    name: ServiceName,
    hash: Sha256,
    owner: z.string(),
    description: z.string(),
    entities: z.array(z.string()),
    features: z.array(z.string()),
  })
  .meta({ id: "FeatureServiceSummary" });

export const listFeatureServices = defineRoute({
  operationId: "listFeatureServices",
  method: "get",
  path: "/api/v1/features",
  tag: "Features",
  summary: "List the feature services",
  access: ["client", "analyst", "trainer", "operator"],
  responses: {
    200: {
      description: "Every service of this deployment",
      schema: z.strictObject({ services: z.array(FeatureServiceSummary) }),
    },
  },
  errors: [],
});

export const getFeatureService = defineRoute({
  operationId: "getFeatureService",
  method: "get",
  path: "/api/v1/features/{service}",
  tag: "Features",
  summary: "The registry's page on a service",
  description:
    "Features with definition, group, window and hash; groups with owner, sensitivity and retention; sources.",
  access: ["client", "analyst", "trainer", "operator"],
  params: ServiceParams,
  responses: {
    200: { description: "As checked in, in JSON", schema: z.looseObject({ name: ServiceName, hash: Sha256 }) },
  },
  errors: ["service-not-found"],
});

export const getFeatureVector = defineRoute({
  operationId: "getFeatureVector",
  method: "get",
  path: "/api/v1/features/{service}/vector",
  tag: "Features",
  summary: "The vector of one set of entities",
  access: ["client", "analyst"],
  params: ServiceParams,
  query: z.strictObject({ ...entityIds, ...readOptions }),
  responses: { 200: { description: "One row", schema: FeatureVectors } },
  errors: ["invalid-request", "service-not-found"],
});

export const getFeatureVectors = defineRoute({
  operationId: "getFeatureVectors",
  method: "post",
  path: "/api/v1/features/{service}/vectors",
  tag: "Features",
  summary: "Vectors of many entities in one call",
  access: ["client", "analyst"],
  params: ServiceParams,
  body: jsonBody(
    z
      .strictObject({ rows: z.array(FeatureRowRequest).min(1).max(MAX_FEATURE_ROWS), ...readOptions })
      .meta({ id: "FeatureVectorsRequest" }),
    { maxBytes: 4 * 1024 * 1024 },
  ),
  responses: { 200: { description: "One row for each that was asked for, in order", schema: FeatureVectors } },
  errors: ["invalid-json", "invalid-request", "body-too-large", "service-not-found"],
});

const ExplainedFact = z.strictObject({
  time: Timestamp,
  values: z.record(z.string(), z.number().nullable()),
});

/** How one value came about. Derived features explain their inputs, one level deep. */
export const FeatureExplanation = z
  .strictObject({
    name: z.string(),
    description: z.string(),
    definition: z.string(),
    value: z.number().nullable(),
    status: FeatureStatus,
    ageSeconds: z.number().nullable(),
    group: z.string().nullable(),
    window: z.strictObject({ after: Timestamp.nullable(), until: Timestamp }).nullable(),
    facts: z.int().nullable().meta({ description: "Exact facts inside the window" }),
    tiledFacts: z.int().nullable().meta({ description: "Facts of the window that are kept in tiles only" }),
    newest: z.array(ExplainedFact).max(20).meta({ description: "The newest exact facts inside the window" }),
    inputs: z.array(z.strictObject({ name: z.string(), value: z.number().nullable() })),
  })
  .meta({ id: "FeatureExplanation" });
export type FeatureExplanation = z.infer<typeof FeatureExplanation>;

export const explainFeature = defineRoute({
  operationId: "explainFeature",
  method: "get",
  path: "/api/v1/features/{service}/explain/{feature}",
  tag: "Features",
  summary: "How the value of a feature comes about",
  access: ["analyst"],
  params: z.strictObject({ service: ServiceName, feature: SnakeName }),
  query: z.strictObject({ ...entityIds, asOf: readOptions.asOf }),
  responses: { 200: { description: "Value, window and facts", schema: FeatureExplanation } },
  errors: ["invalid-request", "service-not-found", "feature-not-found"],
});
