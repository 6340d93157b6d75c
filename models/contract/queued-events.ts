import * as z from "zod";
import { MAX_EVENTS_PER_BATCH } from "./events.ts";
import { Sha256, TenantId } from "./primitives.ts";

/**
 * What travels on the queue of domain events. The HTTP route sends this shape; other Workers of the account may put one
 * CloudEvents event or an array of them straight on the queue, for the tenant `default`.
 */
export const QueuedEvents = z
  .object({
    v: z.literal(1),
    tenant: TenantId,
    events: z.array(z.unknown()).min(1).max(MAX_EVENTS_PER_BATCH),
    /** Set for replayed dead letters: their identifiers are pseudonyms already. */
    pseudonymised: z.boolean().optional(),
    /** CONTRACT_HASH of the build that validated every event of this message: the same contract need not look again. */
    validatedBy: Sha256.optional(),
  })
  .meta({ id: "QueuedEvents" });
export type QueuedEvents = z.infer<typeof QueuedEvents>;

/** The events of a queue message, not yet validated; null when it is none of the three shapes. */
export function queuedEvents(body: unknown): QueuedEvents | null {
  if (typeof body !== "object" || body === null) return null;
  const raw = Array.isArray(body) ? body : "specversion" in body ? [body] : null;
  if (raw !== null)
    return raw.length > 0 && raw.length <= MAX_EVENTS_PER_BATCH ? { v: 1, tenant: "default", events: raw } : null;
  const parsed = QueuedEvents.safeParse(body);
  return parsed.success ? parsed.data : null;
}
