import * as z from "zod";
import { BEHAVIOR_EVENTS } from "./events/behavior.ts";
import { CATALOG_EVENTS } from "./events/catalog.ts";
import type { EventDefinition } from "./events/define.ts";
import { ML_EVENTS } from "./events/ml.ts";
import { ORDER_EVENTS } from "./events/orders.ts";
import { Id, Timestamp } from "./primitives.ts";

/** Every domain event, by type: payload schema and governance metadata. */
export const EVENT_DEFINITIONS = { ...ORDER_EVENTS, ...BEHAVIOR_EVENTS, ...CATALOG_EVENTS, ...ML_EVENTS } as const;

export type EventType = keyof typeof EVENT_DEFINITIONS;
export type EventData<T extends EventType> = z.infer<(typeof EVENT_DEFINITIONS)[T]["data"]>;

export type InboundEventType = keyof typeof ORDER_EVENTS | keyof typeof BEHAVIOR_EVENTS | keyof typeof CATALOG_EVENTS;

/** Largest event accepted, in bytes of JSON: a queue message holds 128 KB and one event must always fit into one. */
export const MAX_EVENT_BYTES = 64 * 1024;
/** Events per HTTP batch: one Worker invocation validates a batch of this size in tens of milliseconds. */
export const MAX_EVENTS_PER_BATCH = 1_000;
/** A producer's clock may run ahead of ours by this much, in milliseconds. */
export const MAX_FUTURE_SKEW_MS = 5 * 60_000;
/** Oldest event time accepted, in milliseconds: the log's retention. */
export const MAX_EVENT_AGE_MS = 400 * 86_400_000;

/** CloudEvents 1.0 context attributes (https://github.com/cloudevents/spec, v1.0.2), JSON format. */
export const eventContext = {
  specversion: z.literal("1.0"),
  id: Id.meta({ description: "Unique within the source; (source, id) is the identity of the event" }),
  source: z.string().min(1).max(256).meta({ description: "URI-reference of the producer", example: "/shop/orders" }),
  time: Timestamp.meta({ description: "When it happened" }),
  subject: z.string().min(1).max(256).optional(),
  datacontenttype: z.literal("application/json").optional(),
  dataschema: z.string().max(512).optional(),
  traceparent: z.string().max(64).optional(),
  recordedtime: Timestamp.optional().meta({
    description: "Only for imports of old data: when the source system recorded the fact. Needs the role `importer`.",
  }),
};

/** The envelope with the payload not yet looked at: the first step of validation, which names the schema for the second. */
export const EventEnvelope = z
  .strictObject({ ...eventContext, type: z.string().min(1).max(128), data: z.unknown() })
  .meta({ id: "EventEnvelope", description: "A CloudEvents 1.0 event in JSON format" });
export type EventEnvelope = z.infer<typeof EventEnvelope>;

/** A validated event: the envelope with the payload of its type. */
export type Event<T extends EventType = EventType> = {
  [K in T]: Omit<EventEnvelope, "type" | "data"> & { type: K; data: EventData<K> };
}[T];
export type InboundEvent = Event<InboundEventType>;

/** An event as the log keeps it: identifiers are pseudonyms, and the time of ingestion is known. */
export type StoredEvent<T extends EventType = EventType> = Event<T> & {
  readonly tenant: string;
  /** Epoch milliseconds at which the fact became visible: the consumer's clock, or `recordedtime` of an import. */
  readonly ingestedAt: number;
};

export function isEventType(type: string): type is EventType {
  return Object.hasOwn(EVENT_DEFINITIONS, type);
}

export function isInboundEventType(type: string): type is InboundEventType {
  return isEventType(type) && EVENT_DEFINITIONS[type].direction === "in";
}

export function eventDefinition(type: EventType): EventDefinition {
  return EVENT_DEFINITIONS[type];
}

/** The whole event of one type as one schema: for documents, fixtures and JSON Schema. */
export function eventSchema(type: EventType): z.ZodType {
  return z.strictObject({ ...eventContext, type: z.literal(type), data: eventDefinition(type).data });
}
