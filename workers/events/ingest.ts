import { type EventResult, type EventsResponse, ingestEvents } from "../../models/contract/api/events.ts";
import type { InboundEvent } from "../../models/contract/events.ts";
import { MAX_EVENTS_PER_BATCH } from "../../models/contract/events.ts";
import { type EventRefusal, validateEvent } from "../../models/contract/validate-event.ts";
import { CONTRACT_HASH } from "../../models/contract/version.ts";
import type { QueuedEvents } from "../../models/contract/queued-events.ts";
import { Failure } from "../http/failure.ts";
import { issuesOf } from "../http/issues.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";

export interface IngestDeps {
  /** Hands messages to the durable queue; resolves only once they are there. */
  readonly enqueue: (messages: readonly QueuedEvents[]) => Promise<void>;
}

/** Characters of event JSON put into one message: the queue takes 128,000 bytes, and a character may need three. */
const MAX_MESSAGE_CHARACTERS = 40_000;

/** `POST /api/v1/events`: each event validated on its own, the accepted ones handed to the queue, an answer per item. */
export function mountIngestion(app: App, http: HttpDeps, deps: IngestDeps): void {
  mount(app, http, ingestEvents, async ({ body }, context) => {
    const raw: unknown[] = Array.isArray(body) ? body : [body];
    if (raw.length === 0 || raw.length > MAX_EVENTS_PER_BATCH) {
      return new Failure("invalid-request", {
        issues: [{ path: "", message: `a batch holds 1 to ${MAX_EVENTS_PER_BATCH} events, this one ${raw.length}` }],
      });
    }
    const allowRecordedTime = context.identity.roles.some((role) => role === "importer" || role === "admin");
    const accepted: InboundEvent[] = [];
    const results = raw.map((item, index): EventResult => {
      const validated = validateEvent(item, { now: context.now, allowRecordedTime });
      if (!validated.ok) {
        context.metrics.count("events_refused_total", { reason: validated.error.reason });
        return refused(index, idOf(item), validated.error);
      }
      accepted.push(validated.value);
      return { index, id: validated.value.id, status: "accepted" };
    });
    if (accepted.length > 0) {
      try {
        await deps.enqueue(packMessages(context.identity.tenant, accepted));
      } catch (error) {
        return new Failure("unavailable", {
          detail: "The queue did not take the events; send them again.",
          reason: String(error),
        });
      }
      context.metrics.count("events_accepted_total", {}, accepted.length);
    }
    const answer: EventsResponse = { accepted: accepted.length, refused: raw.length - accepted.length, results };
    const status = answer.refused === 0 ? 202 : answer.accepted === 0 ? 422 : 207;
    return Response.json(answer, { status });
  });
}

function refused(index: number, id: string | null, refusal: EventRefusal): EventResult {
  const issues = refusal.error
    ? issuesOf(refusal.error).map((issue) => ({ ...issue, path: refusal.base + issue.path }))
    : undefined;
  return { index, id, status: "refused", reason: refusal.reason, ...(issues && { issues: issues.slice(0, 10) }) };
}

function idOf(item: unknown): string | null {
  return typeof item === "object" && item !== null && "id" in item && typeof item.id === "string"
    ? item.id.slice(0, 128)
    : null;
}

/** Packs validated events into as few messages as the queue's size limit allows, in order. */
export function packMessages(tenant: string, events: readonly InboundEvent[]): QueuedEvents[] {
  const messages: { v: 1; tenant: string; validatedBy: string; events: InboundEvent[] }[] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const event of events) {
    const characters = JSON.stringify(event).length;
    if (size + characters > MAX_MESSAGE_CHARACTERS) {
      messages.push({ v: 1, tenant, validatedBy: CONTRACT_HASH, events: [] });
      size = 0;
    }
    messages.at(-1)?.events.push(event);
    size += characters;
  }
  return messages;
}
