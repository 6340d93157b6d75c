import * as z from "zod";

interface ErrorDefinition {
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 422 | 429 | 500 | 503;
  /** Public text, fixed per code. The reason goes to the log. */
  readonly title: string;
  /** What the caller should do about it. */
  readonly action: "fix-request" | "authenticate" | "retry-later" | "report";
}

/** Every error the API can answer with, grouped by what the caller should do. */
export const ERROR_DEFINITIONS = {
  "invalid-json": { status: 400, title: "The body is not valid JSON.", action: "fix-request" },
  "invalid-request": { status: 400, title: "The request does not match its schema.", action: "fix-request" },
  "body-too-large": { status: 413, title: "The body is larger than this route accepts.", action: "fix-request" },
  "unsupported-media-type": {
    status: 415,
    title: "The content type is not one this route reads.",
    action: "fix-request",
  },
  "route-not-found": { status: 404, title: "There is no such route.", action: "fix-request" },
  "method-not-allowed": { status: 405, title: "This route does not take this method.", action: "fix-request" },
  "order-not-found": { status: 404, title: "No such order has been ingested.", action: "fix-request" },
  "recommendation-not-found": {
    status: 404,
    title: "No such recommendation was answered, or it is too old for feedback.",
    action: "fix-request",
  },
  "decision-not-found": { status: 404, title: "No such decision is stored.", action: "fix-request" },
  "model-not-found": { status: 404, title: "There is no such model.", action: "fix-request" },
  "version-not-found": { status: 404, title: "There is no such version of the model.", action: "fix-request" },
  "schema-not-found": { status: 404, title: "There is no such schema.", action: "fix-request" },
  "object-not-found": { status: 404, title: "There is no such log object.", action: "fix-request" },
  "job-not-found": { status: 404, title: "There is no such training job.", action: "fix-request" },
  "key-not-found": { status: 404, title: "There is no such API key.", action: "fix-request" },
  "service-not-found": { status: 404, title: "There is no such feature service.", action: "fix-request" },
  "group-not-found": {
    status: 404,
    title: "There is no such batch-loaded feature group.",
    action: "fix-request",
  },
  "feature-not-found": { status: 404, title: "The service has no such feature.", action: "fix-request" },
  "dead-letter-not-found": { status: 404, title: "There is no such dead letter.", action: "fix-request" },
  "artifact-exists": {
    status: 409,
    title: "This file exists with other content; versions never change.",
    action: "fix-request",
  },
  "nothing-to-roll-back": {
    status: 409,
    title: "The model has no earlier version to go back to.",
    action: "fix-request",
  },
  "job-finished": { status: 409, title: "The training job has ended.", action: "fix-request" },
  "lease-lost": {
    status: 409,
    title: "The training job is no longer this worker's.",
    action: "fix-request",
  },
  "idempotency-conflict": {
    status: 409,
    title: "The idempotency key was used for another request.",
    action: "fix-request",
  },
  "load-not-found": { status: 404, title: "There is no such load.", action: "fix-request" },
  "load-incomplete": { status: 409, title: "Parts of the load are missing.", action: "fix-request" },
  "reshard-conflict": {
    status: 409,
    title: "The reshard under way does not allow this step.",
    action: "fix-request",
  },
  "vectors-not-ready": {
    status: 409,
    title: "The version's vectors are not all in the vector index.",
    action: "fix-request",
  },
  "vectors-refused": {
    status: 422,
    title: "The version's vectors do not fit the vector index.",
    action: "fix-request",
  },
  "manifest-refused": { status: 422, title: "The manifest does not describe the stored files.", action: "fix-request" },
  "signature-refused": {
    status: 422,
    title: "The manifest is not signed by a key that is trusted here.",
    action: "fix-request",
  },
  "model-refused": { status: 422, title: "The model failed its proof and was not registered.", action: "fix-request" },
  "feature-set-unknown": {
    status: 422,
    title: "The model is pinned to a feature service this deployment does not have.",
    action: "fix-request",
  },
  "gate-refused": { status: 422, title: "The model did not pass its gate.", action: "fix-request" },
  unauthenticated: { status: 401, title: "A valid token or API key is needed.", action: "authenticate" },
  forbidden: { status: 403, title: "This identity may not do this.", action: "authenticate" },
  "rate-limited": { status: 429, title: "Too many requests.", action: "retry-later" },
  unavailable: { status: 503, title: "A dependency is not available.", action: "retry-later" },
  internal: { status: 500, title: "Something went wrong on our side.", action: "report" },
} as const satisfies Record<string, ErrorDefinition>;

export type ErrorCode = keyof typeof ERROR_DEFINITIONS;
export const ErrorCode = z
  .enum(Object.keys(ERROR_DEFINITIONS) as [ErrorCode, ...ErrorCode[]])
  .meta({ id: "ErrorCode" });

export const Issue = z
  .strictObject({
    path: z.string().meta({
      description: "JSON Pointer (RFC 6901) into the body, or the parameter's name",
      example: "/order/total/amount",
    }),
    message: z.string(),
  })
  .meta({ id: "Issue" });
export type Issue = z.infer<typeof Issue>;

/** RFC 9457 problem details. */
export const Problem = z
  .strictObject({
    type: z.string().meta({ description: "`/docs/errors#` and the code" }),
    title: z.string(),
    status: z.int(),
    code: ErrorCode,
    requestId: z.string(),
    detail: z.string().optional(),
    issues: z.array(Issue).max(50).optional(),
  })
  .meta({ id: "Problem", description: "RFC 9457 problem details" });
export type Problem = z.infer<typeof Problem>;

/** Reasons why one event was not accepted, or could not be applied. */
export const EVENT_REJECTIONS = {
  "invalid-envelope": "not a CloudEvents 1.0 event",
  "unknown-type": "no schema for this event type",
  "not-inbound": "events of this type are sent by Edgewise, not to it",
  "invalid-data": "the payload does not match the schema of its type",
  "event-too-large": "the event is larger than 64 KiB",
  "time-in-future": "the event time is more than 5 minutes ahead",
  "time-too-old": "the event time is more than 400 days ago",
  "recordedtime-forbidden": "recordedtime needs the role importer",
  "identity-conflict": "another event with this (source, id) has different content",
  "replay-too-old": "the event is older than the time for which identities are kept",
  "processing-failed": "the event could not be applied after all retries",
} as const;
export type EventRejection = keyof typeof EVENT_REJECTIONS;
export const EventRejection = z.enum(Object.keys(EVENT_REJECTIONS) as [EventRejection, ...EventRejection[]]).meta({
  id: "EventRejection",
  description: Object.entries(EVENT_REJECTIONS)
    .map(([code, text]) => `${code}: ${text}`)
    .join("; "),
});
