import * as z from "zod";
import { Id, MAX_ID_LENGTH, SnakeName, Timestamp } from "../primitives.ts";
import { defineRoute, jsonBody } from "./define.ts";

/** Rows of one part of a load: a part is one request, applied in whole or refused in whole. */
export const MAX_LOAD_ROWS = 500;

/** An id, or the two ids of a pair joined by `|`. */
const LoadedEntity = z
  .string()
  .max(2 * MAX_ID_LENGTH + 1)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._~@+=-]{0,127}(\|[A-Za-z0-9][A-Za-z0-9._~@+=-]{0,127})?$/);

/** One entity's values as of a time. A value of null takes the feature away. */
export const LoadedRow = z
  .strictObject({
    entity: LoadedEntity,
    at: Timestamp.meta({
      description: "When the values were true; a newer row for the entity wins, in whatever order they arrive",
    }),
    values: z.record(SnakeName, z.number().nullable()),
  })
  .meta({ id: "LoadedRow" });
export type LoadedRow = z.infer<typeof LoadedRow>;

export const FeatureLoad = z
  .strictObject({
    batch: Id.meta({ description: "Name of the load; parts of one load share it" }),
    part: z.int().min(0).max(1_000_000),
    rows: z.array(LoadedRow).min(1).max(MAX_LOAD_ROWS),
    stage: z.boolean().default(false).meta({
      description: "Keep the part aside until the load is committed; otherwise it is visible at once",
    }),
  })
  .meta({ id: "FeatureLoad" });
export type FeatureLoad = z.infer<typeof FeatureLoad>;

const GroupParam = z.string().regex(/^[a-z][a-z0-9_]{0,95}@[0-9]{1,6}$/);

export const FeatureLoadState = z
  .strictObject({
    batch: Id,
    parts: z.array(z.int()).meta({ description: "Parts that are staged" }),
    committedAt: Timestamp.nullable().meta({ description: "Null: nothing of it is visible" }),
  })
  .meta({ id: "FeatureLoadState" });
export type FeatureLoadState = z.infer<typeof FeatureLoadState>;

export const getFeatureLoad = defineRoute({
  operationId: "getFeatureLoad",
  method: "get",
  path: "/api/v1/features/groups/{group}/loads/{batch}",
  tag: "Features",
  summary: "What of a load is staged, and whether it is committed",
  access: ["trainer", "operator"],
  params: z.strictObject({ group: GroupParam, batch: Id }),
  responses: { 200: { description: "Known for 35 days", schema: FeatureLoadState } },
  errors: ["invalid-request", "group-not-found", "load-not-found"],
});

export const commitFeatureLoad = defineRoute({
  operationId: "commitFeatureLoad",
  method: "post",
  path: "/api/v1/features/groups/{group}/loads/{batch}/commit",
  tag: "Features",
  summary: "Make a staged load visible, all of it at one moment",
  description: "Again changes nothing; after an interruption it goes on.",
  access: ["trainer", "operator"],
  params: z.strictObject({ group: GroupParam, batch: Id }),
  body: jsonBody(
    z
      .strictObject({ parts: z.int().min(1).max(1_000_001).meta({ description: "Parts of the whole load" }) })
      .meta({ id: "FeatureLoadCommit" }),
    { maxBytes: 1_024 },
  ),
  responses: { 200: { description: "Committed", schema: FeatureLoadState } },
  errors: ["invalid-json", "invalid-request", "body-too-large", "group-not-found", "load-not-found", "load-incomplete"],
});

export const loadFeatures = defineRoute({
  operationId: "loadFeatures",
  method: "post",
  path: "/api/v1/features/groups/{group}/loads",
  tag: "Features",
  summary: "Load values computed elsewhere into a batch-loaded group",
  description:
    "A part of a load is checked as a whole: one bad row refuses all of it and nothing is stored. Sending a part again changes nothing, so " +
    "a load that was interrupted is resumed by sending it again. Staged parts are seen by nobody until the load is committed, and then by everybody.",
  access: ["trainer", "operator"],
  params: z.strictObject({ group: GroupParam }),
  body: jsonBody(FeatureLoad, { maxBytes: 2 * 1024 * 1024 }),
  responses: {
    200: {
      description: "Stored",
      schema: z
        .strictObject({ applied: z.int(), duplicate: z.int(), staged: z.int() })
        .meta({ id: "FeatureLoadResult", description: "Rows stored now, rows that were there, and rows kept aside" }),
    },
  },
  errors: ["invalid-json", "invalid-request", "body-too-large", "group-not-found"],
});
