import type { z } from "zod";
import { err, ok, type Result } from "../result.ts";
import type { EventRejection } from "./errors.ts";
import {
  EventEnvelope,
  eventDefinition,
  type InboundEvent,
  isEventType,
  isInboundEventType,
  MAX_EVENT_AGE_MS,
  MAX_EVENT_BYTES,
  MAX_FUTURE_SKEW_MS,
} from "./events.ts";

export interface EventRefusal {
  readonly reason: EventRejection;
  readonly error: z.core.$ZodError | null;
  /** Where the error's paths are relative to: "" for the envelope, "/data" for the payload. */
  readonly base: string;
}

/**
 * Validates one event: envelope, type, payload, times, size. Pure; `now` in epoch milliseconds.
 * `allowRecordedTime` is true for importers and for senders with a binding of the queue.
 */
export function validateEvent(
  raw: unknown,
  options: { readonly now: number; readonly allowRecordedTime: boolean },
): Result<InboundEvent, EventRefusal> {
  const refuse = (
    reason: EventRejection,
    error: z.core.$ZodError | null = null,
    base = "",
  ): Result<InboundEvent, EventRefusal> => err({ reason, error, base });
  const envelope = EventEnvelope.safeParse(raw);
  if (!envelope.success) return refuse("invalid-envelope", envelope.error);
  const { type, time, recordedtime } = envelope.data;
  if (!isEventType(type)) return refuse("unknown-type");
  if (!isInboundEventType(type)) return refuse("not-inbound");
  if (recordedtime !== undefined && !options.allowRecordedTime) return refuse("recordedtime-forbidden");
  const latest = options.now + MAX_FUTURE_SKEW_MS;
  if (Date.parse(time) > latest || (recordedtime !== undefined && Date.parse(recordedtime) > latest))
    return refuse("time-in-future");
  if (Date.parse(time) < options.now - MAX_EVENT_AGE_MS) return refuse("time-too-old");
  const data = eventDefinition(type).data.safeParse(envelope.data.data);
  if (!data.success) return refuse("invalid-data", data.error, "/data");
  const event = { ...envelope.data, data: data.data } as InboundEvent;
  // Characters bound bytes from below and, times four, from above: most events are settled without encoding them.
  const characters = JSON.stringify(event).length;
  if (
    characters > MAX_EVENT_BYTES ||
    (characters * 4 > MAX_EVENT_BYTES && utf8Length(JSON.stringify(event)) > MAX_EVENT_BYTES)
  ) {
    return refuse("event-too-large");
  }
  return ok(event);
}

function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}
