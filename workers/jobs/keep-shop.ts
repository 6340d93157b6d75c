import type { VisitorChange } from "../../durable-objects/visitor-history.core.ts";
import type { CountedFact } from "../../durable-objects/product-catalogue.core.ts";
import type { StoredEvent } from "../../models/contract/events.ts";
import { consentChangeOf, returnedOrderOf } from "../../models/recommend/contradictions.ts";
import { type ProductChange, productChangeOf } from "../../models/recommend/live-product.ts";
import { type Outcome, outcomesOf } from "../../models/recommend/outcome.ts";
import { visitorFactsOf } from "../../models/recommend/visitor-history.ts";

export interface KeepShopDeps {
  readonly products: {
    /** Returns products whose ranking features are due to be read. */
    apply(tenant: string, changes: readonly ProductChange[], counted: readonly CountedFact[]): Promise<string[]>;
  };
  /** Hands the products' ranking features, as the shards have them now, to who recommends. Never throws. */
  readonly refreshValues: (tenant: string, products: readonly string[], now: number) => Promise<void>;
  readonly visitors: { apply(tenant: string, changes: readonly VisitorChange[]): Promise<void> };
  /** Counts and tells the outcomes of products that their lists showed. */
  readonly attribute: (tenant: string, outcomes: readonly Outcome[], now: number) => Promise<void>;
  /** Deletes the lists that are kept for customers, by pseudonym. */
  readonly forgetLists: (tenant: string, customers: readonly string[]) => Promise<void>;
}

/** What an action weighs in the live counters. */
const INTEREST = { view: 1, cart: 3, purchase: 5, dismiss: 0 } as const;

/**
 * Keeps what recommendations are made from: products, histories of visitors, consent, outcomes. Every part is idempotent, so that a batch may be
 * repeated.
 */
export async function keepShop(
  deps: KeepShopDeps,
  tenant: string,
  events: readonly StoredEvent[],
  now: number,
): Promise<void> {
  const changes: ProductChange[] = [];
  const counted: CountedFact[] = [];
  const visitors = new Map<string, Mutable<VisitorChange>>();
  const outcomes: Outcome[] = [];
  const withdrawn = new Set<string>();
  for (const event of events) {
    const change = productChangeOf(event);
    if (change) changes.push(change);
    for (const fact of visitorFactsOf(event)) {
      const { productId, identity, at } = fact;
      const weight = INTEREST[fact.action];
      if (weight > 0) counted.push({ productId, identity, at, weight });
      const { customer, session, led: _led, ...rest } = fact;
      const visitor = customer !== null ? `c:${customer}` : session !== null ? `s:${session}` : null;
      if (visitor !== null) changeOf(visitors, visitor).facts.push(rest);
    }
    const consent = consentChangeOf(event);
    if (consent !== null) {
      const { customer, ...change } = consent;
      (changeOf(visitors, `c:${customer}`).consents ??= []).push(change);
      if (!change.granted) withdrawn.add(customer);
    }
    const returned = returnedOrderOf(event);
    if (returned !== null) (changeOf(visitors, `c:${returned.customer}`).returned ??= []).push(returned);
    outcomes.push(...outcomesOf(event));
  }
  await Promise.all([
    changes.length + counted.length > 0 ? keepProducts(deps, tenant, { changes, counted, now }) : undefined,
    visitors.size > 0 ? deps.visitors.apply(tenant, [...visitors.values()]) : undefined,
    outcomes.length > 0 ? deps.attribute(tenant, outcomes, now) : undefined,
  ]);
  // After the histories: a list that is made now is made without them.
  if (withdrawn.size > 0) await deps.forgetLists(tenant, [...withdrawn]);
}

async function keepProducts(
  deps: KeepShopDeps,
  tenant: string,
  { changes, counted, now }: { changes: readonly ProductChange[]; counted: readonly CountedFact[]; now: number },
): Promise<void> {
  const due = await deps.products.apply(tenant, changes, counted);
  if (due.length > 0) await deps.refreshValues(tenant, due, now);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer U)[] | undefined ? U[] : T[K] };

function changeOf(visitors: Map<string, Mutable<VisitorChange>>, visitor: string): Mutable<VisitorChange> {
  const known = visitors.get(visitor);
  if (known) return known;
  const made: Mutable<VisitorChange> = { visitor, facts: [] };
  visitors.set(visitor, made);
  return made;
}
