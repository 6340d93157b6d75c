import { type EventRejection, EVENT_REJECTIONS } from "../../models/contract/errors.ts";
import type { InboundEvent, StoredEvent } from "../../models/contract/events.ts";
import type { Order } from "../../models/contract/events/orders.ts";
import { type Pseudonym, pseudonymise } from "../../models/contract/pseudonymise.ts";
import { queuedEvents } from "../../models/contract/queued-events.ts";
import { CONTRACT_HASH } from "../../models/contract/version.ts";
import { type EventRefusal, validateEvent } from "../../models/contract/validate-event.ts";
import type { ApplyOutcome } from "../../models/features/feature-store.ts";
import { ok } from "../../models/result.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";

/** An event that could not be processed, with the reason a person can act on. */
export interface RefusedEvent {
  readonly tenant: string;
  readonly reason: EventRejection;
  readonly detail: string;
  readonly event: unknown;
}

/** An order that was paid: scored once. */
export interface PaidOrder {
  /** With pseudonyms, as stored. */
  readonly order: Order;
  readonly paidAt: number;
}

export interface ConsumeDeps {
  readonly now: () => number;
  readonly pseudonyms: (tenant: string) => Pseudonym;
  /** Applies to entity state, exactly once by (source, id). */
  readonly apply: (tenant: string, events: readonly StoredEvent[]) => Promise<readonly ApplyOutcome[]>;
  readonly keepOrders: (tenant: string, orders: readonly Order[]) => Promise<void>;
  readonly appendLog: (tenant: string, events: readonly StoredEvent[], now: number) => Promise<void>;
  /** Says that events were processed to the end, so that a sender need not send them again. */
  readonly settle: (tenant: string, events: readonly StoredEvent[]) => Promise<void>;
  /** Products, histories of visitors, consent and outcomes, as recommendations need them; each once by its identity. */
  readonly keepShop: (tenant: string, events: readonly StoredEvent[], now: number) => Promise<void>;
  readonly scorePaidOrders: (tenant: string, orders: readonly PaidOrder[]) => Promise<void>;
  readonly storeDeadLetters: (refused: readonly RefusedEvent[], now: number) => Promise<void>;
  readonly metrics: MetricRegistry;
}

/**
 * Processes the bodies of one queue batch. The order of effects makes a crash at any point repeatable: state (exactly once by
 * identity), orders (first write wins), log (readers remove duplicates), decisions (once by id), settled, dead letters (once by
 * content).
 * Throws if anything could not be stored; then nothing may be acknowledged.
 */
export async function consumeEvents(deps: ConsumeDeps, bodies: readonly unknown[]): Promise<void> {
  const now = deps.now();
  const refused: RefusedEvent[] = [];
  const byTenant = new Map<string, StoredEvent[]>();
  for (const body of bodies) {
    const message = queuedEvents(body);
    if (!message) {
      refused.push({
        tenant: "default",
        reason: "invalid-envelope",
        detail: "not an event, a batch or a queued batch",
        event: body,
      });
      continue;
    }
    // Validated at the door by this very contract: not parsed again. Another build's messages, and other senders', are.
    const isValidated = message.validatedBy === CONTRACT_HASH;
    for (const raw of message.events) {
      const validated = isValidated ? ok(raw as InboundEvent) : validateEvent(raw, { now, allowRecordedTime: true });
      const pseudonym = message.pseudonymised === true ? keep : deps.pseudonyms(message.tenant);
      if (validated.ok) push(byTenant, message.tenant, stored(pseudonym, message.tenant, validated.value, now));
      else refused.push(refusal(pseudonym, message.tenant, raw, validated.error));
    }
  }
  for (const [tenant, events] of byTenant) refused.push(...(await processTenant(deps, tenant, events, now)));
  if (refused.length > 0) {
    await deps.storeDeadLetters(refused, now);
    for (const entry of refused) deps.metrics.count("dead_letters_total", { reason: entry.reason });
  }
}

async function processTenant(
  deps: ConsumeDeps,
  tenant: string,
  events: readonly StoredEvent[],
  now: number,
): Promise<RefusedEvent[]> {
  const outcomes = await deps.apply(tenant, events);
  const refused: RefusedEvent[] = [];
  const good: StoredEvent[] = [];
  const counts = new Map<ApplyOutcome, number>();
  for (const [index, event] of events.entries()) {
    const outcome = outcomes[index] ?? "applied";
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    if (outcome === "conflict") refused.push(outcomeRefusal(tenant, "identity-conflict", event));
    else if (outcome === "too-old") refused.push(outcomeRefusal(tenant, "replay-too-old", event));
    else good.push(event);
  }
  for (const [outcome, count] of counts) deps.metrics.count("events_consumed_total", { outcome }, count);
  const orders = good.flatMap((event) =>
    event.type === "order.placed.v1" ? [event.data] : event.type === "order.paid.v1" ? [event.data.order] : [],
  );
  await Promise.all([
    orders.length > 0 ? deps.keepOrders(tenant, orders) : undefined,
    deps.appendLog(tenant, good, now),
    good.length > 0 ? deps.keepShop(tenant, good, now) : undefined,
  ]);
  const paid = good.flatMap((event) =>
    event.type === "order.paid.v1" ? [{ order: event.data.order, paidAt: Date.parse(event.data.paidAt) }] : [],
  );
  if (paid.length > 0) await deps.scorePaidOrders(tenant, paid);
  if (good.length > 0) await deps.settle(tenant, good);
  return refused;
}

const keep: Pseudonym = (_kind, identifier) => identifier;

function stored(pseudonym: Pseudonym, tenant: string, event: InboundEvent, now: number): StoredEvent {
  // The subject attribute often repeats a person's id; the payload has it as a pseudonym.
  const { subject: _subject, ...rest } = event;
  const data = pseudonymise(event.data, pseudonym);
  const ingestedAt = event.recordedtime === undefined ? now : Date.parse(event.recordedtime);
  return { ...rest, data, tenant, ingestedAt } as StoredEvent;
}

function refusal(pseudonym: Pseudonym, tenant: string, raw: unknown, error: EventRefusal): RefusedEvent {
  const first = error.error?.issues[0];
  const where = first ? `: ${error.base}/${first.path.join("/")} ${first.message}` : "";
  return {
    tenant,
    reason: error.reason,
    detail: `${EVENT_REJECTIONS[error.reason]}${where}`.slice(0, 500),
    event: pseudonymise(raw, pseudonym),
  };
}

function outcomeRefusal(
  tenant: string,
  reason: "identity-conflict" | "replay-too-old",
  event: StoredEvent,
): RefusedEvent {
  return { tenant, reason, detail: EVENT_REJECTIONS[reason], event };
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
