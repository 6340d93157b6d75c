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
  })
  .meta({ id: "FeatureLoad" });
export type FeatureLoad = z.infer<typeof FeatureLoad>;

export const loadFeatures = defineRoute({
  operationId: "loadFeatures",
  method: "post",
  path: "/api/v1/features/groups/{group}/loads",
  tag: "Features",
  summary: "Load values computed elsewhere into a batch-loaded group",
  description:
    "A part of a load is checked as a whole: one bad row refuses all of it and nothing is stored. Sending a part again changes nothing, so " +
    "a load that was interrupted is resumed by sending it again.",
  access: ["trainer", "operator"],
  params: z.strictObject({ group: z.string().regex(/^[a-z][a-z0-9_]{0,95}@[0-9]{1,6}$/) }),
  body: jsonBody(FeatureLoad, { maxBytes: 2 * 1024 * 1024 }),
  responses: {
    200: {
      description: "Stored",
      schema: z
        .strictObject({ applied: z.int(), duplicate: z.int() })
        .meta({ id: "FeatureLoadResult", description: "Rows stored now, and rows that were there" }),
    },
  },
  errors: ["invalid-json", "invalid-request", "body-too-large", "group-not-found"],
});
