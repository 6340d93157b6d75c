/**
 * What holds where events contradict each other. Histories in objects and logs in training follow these rules, whatever the order of arrival;
 * README.md has the table.
 */
import type { StoredEvent } from "../contract/events.ts";
import type { IdentifiedFact, VisitorFact } from "./visitor-history.ts";

/** A customer's word on personalisation. */
export interface ConsentChange {
  /** Epoch milliseconds from which it holds. */
  readonly at: number;
  readonly granted: boolean;
}

export function consentChangeOf(event: StoredEvent): (ConsentChange & { readonly customer: string }) | null {
  if (event.type !== "customer.consent.changed.v1" || event.data.purpose !== "personalisation") return null;
  const { customerId, granted, effectiveAt } = event.data;
  // What takes effect later is taken as said now: a date far ahead would outlast every withdrawal.
  return { customer: customerId, granted, at: Math.min(Date.parse(effectiveAt), Date.parse(event.time)) };
}

export interface Consent {
  /** Null: never asked. */
  readonly granted: boolean | null;
  /** Facts from before this time, epoch milliseconds, are forgotten: it is the first grant after the last withdrawal. */
  readonly since: number;
}

/** A withdrawal forgets what was before it, for ever; of a grant and a withdrawal of the same time the withdrawal holds. */
export function consentOf(changes: Iterable<ConsentChange>): Consent {
  const all = [...changes].sort((a, b) => a.at - b.at || Number(b.granted) - Number(a.granted));
  const withdrawn = all.findLastIndex(({ granted }) => !granted);
  if (withdrawn < 0) return { granted: all.length > 0 ? true : null, since: Number.NEGATIVE_INFINITY };
  const again = all[withdrawn + 1];
  return again === undefined ? { granted: false, since: Number.POSITIVE_INFINITY } : { granted: true, since: again.at };
}

/** An order that was given back or charged back, in whole or in part: the events do not say which of its products. */
export interface ReturnedOrder {
  readonly customer: string;
  readonly orderId: string;
  /** Epoch milliseconds; of several returns of one order the first. */
  readonly at: number;
}

export function returnedOrderOf(event: StoredEvent): ReturnedOrder | null {
  if (event.type !== "order.refunded.v1" && event.type !== "payment.chargeback.v1") return null;
  return { customer: event.data.customerId, orderId: event.data.orderId, at: Date.parse(event.time) };
}

/**
 * Whether one telling of a fact replaces another of the same identity and visitor: the order's own event before the behavioural one, then the
 * later, then the one of more pieces.
 */
export function supersedes(
  next: Pick<IdentifiedFact, "rank" | "at" | "quantity">,
  before: Pick<IdentifiedFact, "rank" | "at" | "quantity">,
): boolean {
  return next.rank - before.rank > 0 || (next.rank === before.rank && isLater(next, before));
}

function isLater(next: Pick<VisitorFact, "at" | "quantity">, before: Pick<VisitorFact, "at" | "quantity">): boolean {
  return next.at > before.at || (next.at === before.at && next.quantity > before.quantity);
}

/** What a fact was as of a moment: from its return on a purchase is an interest, and no purchase. */
export function factAsOf(fact: VisitorFact, now: number): VisitorFact {
  const { returnedAt } = fact;
  return fact.action === "purchase" && returnedAt !== undefined && returnedAt <= now
    ? { ...fact, action: "view" }
    : fact;
}

/** Products whose newest verdict is a dismissal: who puts one into the cart or buys it later has thought again; a look is no verdict. */
export function dismissedProducts(facts: readonly VisitorFact[]): Set<string> {
  const dismissed = new Set<string>();
  for (const { productId, action } of facts) {
    if (action === "dismiss") dismissed.add(productId);
    else if (action !== "view") dismissed.delete(productId);
  }
  return dismissed;
}

/**
 * Histories of one person, a customer's first and then a session's, as one, oldest first. A purchase that the session was told of without its customer is the
 * customer's own.
 */
export function mergedHistories(histories: readonly (readonly VisitorFact[])[]): VisitorFact[] {
  const told = new Set<number>();
  const facts: VisitorFact[] = [];
  for (const history of histories) {
    for (const fact of history) if (fact.told === undefined || !told.has(fact.told)) facts.push(fact);
    for (const fact of history) if (fact.told !== undefined) told.add(fact.told);
  }
  return histories.length > 1 ? facts.sort((a, b) => a.at - b.at) : facts;
}
