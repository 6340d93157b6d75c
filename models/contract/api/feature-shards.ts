import * as z from "zod";
import { Timestamp } from "../primitives.ts";
import { defineRoute, jsonBody } from "./define.ts";

/** Pages of 200 rows that one call moves: a second or two of work. */
export const MAX_RESHARD_PAGES = 50;

export const ReshardPhase = z
  .enum(["copying", "waiting-for-deployment", "copying-again", "settling", "copying-last", "dropping", "done"])
  .meta({
    id: "ReshardPhase",
    description:
      "copying: state goes to where it will belong while the old layout serves; waiting-for-deployment: set ENTITY_SHARD_OBJECTS and deploy; " +
      "copying-again: what arrived in between; settling: until no isolate of the old deployment is left; copying-last: what those wrote; " +
      "dropping: copies that belong elsewhere are removed",
  });
export type ReshardPhase = z.infer<typeof ReshardPhase>;

export const ReshardProgress = z
  .strictObject({
    from: z.int().min(1),
    to: z.int().min(1),
    phase: ReshardPhase,
    object: z.int().min(0).meta({ description: "Object that is being worked on" }),
    moved: z.int().min(0).meta({ description: "Entities and event identities copied so far, by all passes" }),
    dropped: z.int().min(0),
    startedAt: Timestamp,
    updatedAt: Timestamp,
    readyAt: Timestamp.nullable().meta({ description: "When a phase that waits goes on" }),
  })
  .meta({ id: "ReshardProgress" });
export type ReshardProgress = z.infer<typeof ReshardProgress>;

const ObjectCount = z.int().min(1).max(1_024);

export const getFeatureShards = defineRoute({
  operationId: "getFeatureShards",
  method: "get",
  path: "/api/v1/features/shards",
  tag: "Features",
  summary: "How entity state is spread over objects, and the reshard under way",
  access: ["operator"],
  responses: {
    200: {
      description: "Layout of the deployment that answers",
      schema: z
        .strictObject({
          objects: ObjectCount.meta({ description: "ENTITY_SHARD_OBJECTS" }),
          virtualShards: z.int(),
          hotEntities: z.array(z.strictObject({ entity: z.string(), parts: z.int() })),
          reshard: ReshardProgress.nullable(),
        })
        .meta({ id: "FeatureShards" }),
    },
  },
  errors: [],
});

export const advanceReshard = defineRoute({
  operationId: "advanceReshard",
  method: "post",
  path: "/api/v1/features/shards/reshard",
  tag: "Features",
  summary: "Start or continue moving entity state to another number of objects",
  description:
    "Does a bounded piece of work and answers where the reshard is. Call again until the phase is `done`; progress is stored, so it goes on " +
    "where it stopped, whoever calls. Decisions and events go on meanwhile; every step can be repeated.",
  access: ["operator"],
  body: jsonBody(
    z
      .strictObject({ objects: ObjectCount, pages: z.int().min(1).max(MAX_RESHARD_PAGES).default(20) })
      .meta({ id: "ReshardRequest" }),
    { maxBytes: 1_024 },
  ),
  responses: { 200: { description: "Where it is now", schema: ReshardProgress } },
  errors: ["invalid-json", "invalid-request", "body-too-large", "reshard-conflict"],
});
