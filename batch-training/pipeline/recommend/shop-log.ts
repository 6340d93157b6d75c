/** What the shop's log says to a recommender: what visitors did with products, and what became of the products. */
import type { StoredEvent } from "../../../models/contract/events.ts";
import { type ProductChange, productChangeOf } from "../../../models/recommend/live-product.ts";
import {
  type ConsentChange,
  consentChangeOf,
  consentOf,
  returnedOrderOf,
  supersedes,
} from "../../../models/recommend/contradictions.ts";
import { type IdentifiedFact, type VisitorFact, visitorFactsOf } from "../../../models/recommend/visitor-history.ts";
import { NOTHING_SHOWN, shownBefore, type ShownLists } from "./shown-lists.ts";
import { VISITOR_ACTIONS } from "../../../models/recommend/policy.ts";

const DISMISS = VISITOR_ACTIONS.indexOf("dismiss");

/** Facts grouped by visitor and, within a visitor, by time; columns of equal length. Plain data, so that a run can keep it. */
export interface ShopLog {
  readonly productIds: readonly string[];
  /**
   * Customers, and sessions of people who never said who they are. Numbers and no pseudonyms: stored facts name nobody, and the same
   * history under another pseudonym key is the same data.
   */
  readonly visitors: number;
  /** 1 for a customer, 0 for a session. */
  readonly known: Uint8Array;
  /** `visitors + 1` offsets into the columns of facts. */
  readonly start: Int32Array;
  readonly product: Int32Array;
  /** Place in `VISITOR_ACTIONS`. */
  readonly action: Uint8Array;
  /** Epoch milliseconds. */
  readonly at: Float64Array;
  readonly quantity: Float32Array;
  /** 1 where a recommendation led to it. */
  readonly led: Uint8Array;
  /** Facts of one order carry its number; -1 for all others. */
  readonly order: Int32Array;
  /** When a purchase came back, epoch milliseconds; infinite for all others. */
  readonly returnedAt: Float64Array;
  /** In order of time. */
  readonly changes: readonly ProductChange[];
  /** Recommendations as they were shown. */
  readonly shown: ShownLists;
  /** Epoch milliseconds of the first and the last fact; 0 without any. */
  readonly from: number;
  readonly until: number;
}

/**
 * Each fact once, as histories have it (`models/recommend/contradictions.ts`): of several tellings the one that holds, nothing of who withdrew consent from
 * before they gave it again, purchases with the time of their return.
 */
export function shopLog(events: Iterable<StoredEvent>): ShopLog {
  const told = new Tellings();
  const changes: ProductChange[] = [];
  for (const event of events) {
    const change = productChangeOf(event);
    if (change !== null) changes.push(change);
    told.take(event);
  }
  return columns(told.facts(), changes);
}

/** A fact of somebody. */
interface OwnedFact extends IdentifiedFact {
  readonly visitor: string;
}

/** What events say of visitors, until all of it is known. */
class Tellings {
  /** By visitor and identity. */
  readonly #facts = new Map<string, OwnedFact>();
  /** Identities that are told of a customer, and those that a recommendation led to. */
  readonly #ofCustomers = new Set<string>();
  readonly #led = new Set<string>();
  readonly #consents = new Map<string, ConsentChange[]>();
  /** By customer and order. */
  readonly #returned = new Map<string, number>();

  take(event: StoredEvent): void {
    for (const fact of visitorFactsOf(event)) this.#takeFact(fact);
    const consent = consentChangeOf(event);
    if (consent !== null) {
      const before = this.#consents.get(consent.customer);
      if (before) before.push(consent);
      else this.#consents.set(consent.customer, [consent]);
    }
    const returned = returnedOrderOf(event);
    if (returned !== null) {
      const key = `${returned.customer}\n${returned.orderId}`;
      this.#returned.set(key, Math.min(returned.at, this.#returned.get(key) ?? Infinity));
    }
  }

  facts(): OwnedFact[] {
    const since = new Map(Array.from(this.#consents, ([customer, changes]) => [customer, consentOf(changes).since]));
    return [...this.#facts.values()].flatMap((fact): OwnedFact[] => {
      const { customer, identity, at } = fact;
      if (customer === null) return this.#ofCustomers.has(identity) ? [] : [fact];
      if (at < (since.get(customer) ?? Number.NEGATIVE_INFINITY)) return [];
      const returnedAt =
        fact.action === "purchase" ? this.#returned.get(`${customer}\n${identity.split("\n")[1] ?? ""}`) : undefined;
      const whole = { ...fact, led: this.#led.has(identity) };
      return [returnedAt === undefined ? whole : { ...whole, returnedAt }];
    });
  }

  #takeFact(fact: IdentifiedFact): void {
    const { customer, session, identity } = fact;
    if (customer !== null) this.#ofCustomers.add(identity);
    if (fact.led) this.#led.add(identity);
    const visitor = customer !== null ? `customer ${customer}` : session !== null ? `session ${session}` : null;
    if (visitor === null) return;
    const key = `${visitor}\n${identity}`;
    const before = this.#facts.get(key);
    if (before === undefined || supersedes(fact, before)) this.#facts.set(key, { ...fact, visitor });
  }
}

function columns(facts: readonly OwnedFact[], changes: readonly ProductChange[]): ShopLog {
  const [visitors, products, orders] = [new Numbers(), new Numbers(), new Numbers()];
  const rows = facts
    .map((fact) => ({ fact, visitor: visitors.of(fact.visitor), product: products.of(fact.productId) }))
    .sort((a, b) => a.visitor - b.visitor || a.fact.at - b.fact.at || (a.fact.identity < b.fact.identity ? -1 : 1));
  const start = new Int32Array(visitors.names.length + 1);
  for (const { visitor } of rows) start[visitor + 1] = (start[visitor + 1] ?? 0) + 1;
  for (let visitor = 0; visitor < visitors.names.length; visitor++) {
    start[visitor + 1] = (start[visitor + 1] ?? 0) + (start[visitor] ?? 0);
  }
  const at = Float64Array.from(rows, ({ fact }) => fact.at);
  return {
    productIds: products.names,
    visitors: visitors.names.length,
    known: Uint8Array.from(visitors.names, (name) => (name.startsWith("customer ") ? 1 : 0)),
    start,
    product: Int32Array.from(rows, ({ product }) => product),
    action: Uint8Array.from(rows, ({ fact }) => VISITOR_ACTIONS.indexOf(fact.action)),
    at,
    quantity: Float32Array.from(rows, ({ fact }) => fact.quantity),
    led: Uint8Array.from(rows, ({ fact }) => (fact.led ? 1 : 0)),
    order: Int32Array.from(rows, ({ fact }) =>
      fact.action === "purchase" ? orders.of(`${fact.visitor}\n${fact.identity.split("\n")[1] ?? ""}`) : -1,
    ),
    returnedAt: Float64Array.from(rows, ({ fact }) => fact.returnedAt ?? Infinity),
    changes: changes.toSorted((a, b) => a.at - b.at),
    shown: NOTHING_SHOWN,
    from: at.reduce((least, time) => Math.min(least, time), at[0] ?? 0),
    until: at.reduce((most, time) => Math.max(most, time), 0),
  };
}

/** The log as it was at a moment, epoch milliseconds: facts and changes before it, lists whose wait for outcomes was over. Names keep their numbers. */
export function factsBefore(log: ShopLog, until: number): ShopLog {
  const start = new Int32Array(log.visitors + 1);
  const rows: number[] = [];
  for (let visitor = 0; visitor < log.visitors; visitor++) {
    for (let row = log.start[visitor] ?? 0; row < (log.start[visitor + 1] ?? 0); row++) {
      if ((log.at[row] ?? 0) < until) rows.push(row);
    }
    start[visitor + 1] = rows.length;
  }
  const at = Float64Array.from(rows, (row) => log.at[row] ?? 0);
  return {
    ...log,
    start,
    at,
    product: Int32Array.from(rows, (row) => log.product[row] ?? -1),
    action: Uint8Array.from(rows, (row) => log.action[row] ?? 0),
    quantity: Float32Array.from(rows, (row) => log.quantity[row] ?? 1),
    led: Uint8Array.from(rows, (row) => log.led[row] ?? 0),
    order: Int32Array.from(rows, (row) => log.order[row] ?? -1),
    returnedAt: Float64Array.from(rows, (row) => {
      const returnedAt = log.returnedAt[row] ?? Infinity;
      return returnedAt < until ? returnedAt : Infinity;
    }),
    changes: log.changes.filter((change) => change.at < until),
    shown: shownBefore(log.shown, until),
    until: at.reduce((most, time) => Math.max(most, time), 0),
  };
}

/** Whether a fact speaks for its product: whoever dismissed it did not want it. */
export function isInterest(log: ShopLog, row: number): boolean {
  return log.action[row] !== DISMISS;
}

/** Names numbered by first appearance. */
class Numbers {
  readonly names: string[] = [];
  readonly #number = new Map<string, number>();

  of(name: string): number {
    const known = this.#number.get(name);
    if (known !== undefined) return known;
    this.#number.set(name, this.names.length);
    return this.names.push(name) - 1;
  }
}

/** A visitor's facts, oldest first, as serving has them. */
export function factsOf(log: ShopLog, visitor: number): VisitorFact[] {
  const facts: VisitorFact[] = [];
  for (let row = log.start[visitor] ?? 0; row < (log.start[visitor + 1] ?? 0); row++) {
    const returnedAt = log.returnedAt[row] ?? Infinity;
    facts.push({
      productId: log.productIds[log.product[row] ?? -1] ?? "",
      action: VISITOR_ACTIONS[log.action[row] ?? 0] ?? "view",
      at: log.at[row] ?? 0,
      quantity: log.quantity[row] ?? 1,
      ...(returnedAt !== Infinity && { returnedAt }),
    });
  }
  return facts;
}
