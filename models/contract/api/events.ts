import * as z from "zod";
import { EventRejection, Issue } from "../errors.ts";
import { EventEnvelope, MAX_EVENTS_PER_BATCH } from "../events.ts";
import { Id } from "../primitives.ts";
import { defineRoute, jsonBody } from "./define.ts";

/** 8 MiB: a batch of 1,000 events of 8 KB, a generous average for orders. */
export const MAX_EVENTS_BODY_BYTES = 8 * 1024 * 1024;

export const EventResult = z
  .strictObject({
    index: z.int().min(0),
    id: z.string().nullable(),
    status: z.enum(["accepted", "refused"]),
    reason: EventRejection.optional(),
    issues: z.array(Issue).optional(),
  })
  .meta({ id: "EventResult", description: "What became of one event of the request" });

export const EventsResponse = z
  .strictObject({
    accepted: z.int().min(0),
    refused: z.int().min(0),
    results: z.array(EventResult).max(MAX_EVENTS_PER_BATCH),
  })
  .meta({ id: "EventsResponse" });
export type EventsResponse = z.infer<typeof EventsResponse>;
export type EventResult = z.infer<typeof EventResult>;

export const DeadLetter = z
  .strictObject({
    deadLetterId: z.int(),
    tenant: z.string(),
    source: z.string().nullable(),
    eventId: z.string().nullable(),
    type: z.string().nullable(),
    reason: EventRejection,
    detail: z.string(),
    event: z
      .string()
      .meta({ description: "The event as JSON text, identifiers as pseudonyms where they could be read" }),
    storedAt: z.int(),
    replayedAt: z.int().nullable(),
  })
  .meta({ id: "DeadLetter", description: "An event that could not be processed" });
export type DeadLetter = z.infer<typeof DeadLetter>;

export const ingestEvents = defineRoute({
  operationId: "ingestEvents",
  method: "post",
  path: "/api/v1/events",
  tag: "Events",
  summary: "Send one event or a batch",
  description:
    "One CloudEvents 1.0 event (application/cloudevents+json) or a batch of at most 1,000 (application/cloudevents-batch+json); " +
    "application/json takes either. Each event is validated on its own. Accepted means handed to the durable queue.",
  access: ["producer", "importer"],
  body: jsonBody(z.union([EventEnvelope, z.array(EventEnvelope).min(1).max(MAX_EVENTS_PER_BATCH)]), {
    maxBytes: MAX_EVENTS_BODY_BYTES,
    validation: "each",
    contentTypes: ["application/cloudevents+json", "application/cloudevents-batch+json", "application/json"],
  }),
  responses: {
    202: { description: "Every event was accepted", schema: EventsResponse },
    207: { description: "Some events were accepted, some refused; see each result", schema: EventsResponse },
    422: { description: "Every event was refused; see each result", schema: EventsResponse },
  },
  errors: ["invalid-json", "invalid-request", "body-too-large", "unsupported-media-type", "unavailable"],
});

export const listDeadLetters = defineRoute({
  operationId: "listDeadLetters",
  method: "get",
  path: "/api/v1/dead-letters",
  tag: "Events",
  summary: "List events that could not be processed",
  access: ["operator"],
  query: z.strictObject({
    limit: z.coerce.number().int().min(1).max(500).default(100),
    before: z.coerce.number().int().min(1).optional().meta({ description: "Only dead letters with a smaller id" }),
    reason: EventRejection.optional(),
  }),
  responses: { 200: { description: "Newest first", schema: z.strictObject({ deadLetters: z.array(DeadLetter) }) } },
  errors: ["invalid-request"],
});

export const ReplayRequest = z
  .strictObject({ deadLetterIds: z.array(z.int().min(1)).min(1).max(100) })
  .meta({ id: "ReplayRequest" });
export const ReplayResult = z
  .strictObject({
    deadLetterId: z.int(),
    status: z.enum(["queued", "refused"]),
    reason: EventRejection.or(z.literal("not-found")).optional(),
  })
  .meta({ id: "ReplayResult" });
export type ReplayResult = z.infer<typeof ReplayResult>;
export const ReplayResponse = z.strictObject({ results: z.array(ReplayResult) }).meta({ id: "ReplayResponse" });

export const replayDeadLetters = defineRoute({
  operationId: "replayDeadLetters",
  method: "post",
  path: "/api/v1/dead-letters/replay",
  tag: "Events",
  summary: "Put dead letters back on the queue",
  access: ["operator"],
  body: jsonBody(ReplayRequest, { maxBytes: 8 * 1024 }),
  responses: { 200: { description: "What became of each", schema: ReplayResponse } },
  errors: ["invalid-json", "invalid-request", "body-too-large"],
});

export const LogObject = z
  .strictObject({ key: z.string().max(512), bytes: z.int().min(0), uploadedAt: z.int() })
  .meta({ id: "LogObject" });

export const listEventLog = defineRoute({
  operationId: "listEventLog",
  method: "get",
  path: "/api/v1/log/events",
  tag: "Events",
  summary: "List the objects of the event log, or of the log of exposures",
  description:
    "One object per consumed batch, partitioned by hour of ingestion; readers remove duplicates by (source, id).",
  access: ["trainer", "operator"],
  query: z.strictObject({
    log: z.enum(["events", "exposures"]).default("events").meta({ description: "Exposures: lists as they were shown" }),
    cursor: z.string().max(1_024).optional(),
    limit: z.coerce.number().int().min(1).max(1_000).default(1_000),
    ingestedFrom: z
      .string()
      .regex(/^\d{4}-\d{2}-\d{2}T\d{2}$/)
      .optional()
      .meta({ description: "First hour, UTC" }),
  }),
  responses: {
    200: {
      description: "A page of objects in key order",
      schema: z.strictObject({ objects: z.array(LogObject), cursor: z.string().nullable() }),
    },
  },
  errors: ["invalid-request"],
});

export const readEventLog = defineRoute({
  operationId: "readEventLog",
  method: "get",
  path: "/api/v1/log/events/object",
  tag: "Events",
  summary: "Read one object of the event log",
  access: ["trainer", "operator"],
  query: z.strictObject({ key: z.string().min(1).max(512) }),
  responses: {
    200: { description: "Gzipped NDJSON, one stored event or exposure a line", contentType: "application/gzip" },
  },
  errors: ["invalid-request", "object-not-found"],
});

/** Ids of the events that the log holds for one source, so that a sender can tell what it must send again. */
export const IngestedResponse = z.strictObject({ ingested: z.array(z.boolean()) }).meta({ id: "IngestedResponse" });
export const checkIngested = defineRoute({
  operationId: "checkIngested",
  method: "post",
  path: "/api/v1/events/ingested",
  tag: "Events",
  summary: "Ask which events have been applied",
  description:
    "For senders that must not lose anything when a queue does: tells for each (source, id) whether the event was applied.",
  access: ["producer", "importer"],
  body: jsonBody(
    z
      .strictObject({ source: z.string().min(1).max(256), ids: z.array(Id).min(1).max(1_000) })
      .meta({ id: "IngestedRequest" }),
    { maxBytes: 256 * 1024 },
  ),
  responses: { 200: { description: "In the order of the request", schema: IngestedResponse } },
  errors: ["invalid-json", "invalid-request", "body-too-large"],
});
