import type { VisitorChange } from "../../durable-objects/visitor-history.core.ts";
import type { CountedFact } from "../../durable-objects/product-catalogue.core.ts";
import type { Event, StoredEvent } from "../../models/contract/events.ts";
import { hex, sha256 } from "../../models/contract/sha256.ts";
import { encodeUtf8 } from "../../models/onnx/utf8.ts";
import { type ProductChange, productChangeOf } from "../../models/recommend/live-product.ts";
import { type Outcome, outcomesOf } from "../../models/recommend/outcome.ts";
import { visitorFactsOf } from "../../models/recommend/visitor-history.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";

type FeedbackEvent = Event<"ml.recommendation.feedback.v1">;

export interface KeepShopDeps {
  readonly products: {
    apply(tenant: string, changes: readonly ProductChange[], counted: readonly CountedFact[]): Promise<void>;
  };
  readonly visitors: { apply(tenant: string, changes: readonly VisitorChange[]): Promise<string[][]> };
  /** When a recommendation was answered; null where none of this tenant has the id. */
  readonly answeredAt: (tenant: string, recommendationId: string, now: number) => number | null;
  readonly send: (events: readonly FeedbackEvent[]) => Promise<void>;
  readonly metrics: MetricRegistry;
}

/** What an action weighs in the live counters. */
const INTEREST = { view: 1, cart: 3, purchase: 5, dismiss: 0 } as const;

/**
 * Keeps what recommendations are made from: products, histories of visitors, consent, outcomes. Every part is idempotent, so that a batch may be
 * repeated; outbound events have ids that follow from the outcome.
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
  for (const event of events) {
    const change = productChangeOf(event);
    if (change) changes.push(change);
    for (const fact of visitorFactsOf(event)) {
      const { productId, identity, at } = fact;
      const weight = INTEREST[fact.action];
      if (weight > 0) counted.push({ productId, identity, at, weight });
      const { customer, session, ...rest } = fact;
      const visitor = customer !== null ? `c:${customer}` : session !== null ? `s:${session}` : null;
      if (visitor !== null) changeOf(visitors, visitor).facts.push(rest);
    }
    if (event.type === "customer.consent.changed.v1" && event.data.purpose === "personalisation") {
      const entry = changeOf(visitors, `c:${event.data.customerId}`);
      const at = Date.parse(event.data.effectiveAt);
      if (entry.consent === undefined || at >= entry.consent.at) entry.consent = { granted: event.data.granted, at };
    }
    for (const outcome of outcomesOf(event)) {
      if (deps.answeredAt(tenant, outcome.recommendationId, now) !== null) outcomes.push(outcome);
    }
  }
  for (const { recommendationId, productId, kind, at } of outcomes) {
    const entry = changeOf(visitors, `r:${recommendationId}`);
    entry.facts.push({ productId, action: "view", at, quantity: 1, identity: `${kind}\n${productId}` });
  }
  const all = [...visitors.values()];
  const [, fresh] = await Promise.all([
    changes.length + counted.length > 0 ? deps.products.apply(tenant, changes, counted) : undefined,
    all.length > 0 ? deps.visitors.apply(tenant, all) : [],
  ]);
  for (const [at, { visitor }] of all.entries()) {
    if (!visitor.startsWith("r:")) continue;
    for (const identity of fresh[at] ?? []) {
      deps.metrics.count("recommendation_feedback_total", { kind: identity.split("\n")[0] ?? "" });
    }
  }
  if (outcomes.length > 0) await deps.send(outcomes.map((outcome) => feedbackEvent(tenant, outcome)));
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer U)[] ? U[] : T[K] };

function changeOf(visitors: Map<string, Mutable<VisitorChange>>, visitor: string): Mutable<VisitorChange> {
  const known = visitors.get(visitor);
  if (known) return known;
  const made: Mutable<VisitorChange> = { visitor, facts: [] };
  visitors.set(visitor, made);
  return made;
}

function feedbackEvent(tenant: string, { recommendationId, productId, kind, at }: Outcome): FeedbackEvent {
  const occurredAt = new Date(at).toISOString();
  const digest = hex(sha256(encodeUtf8(`${recommendationId}\n${productId}\n${kind}`))).slice(0, 32);
  return {
    specversion: "1.0",
    id: `rf-${digest}`,
    source: `/edgewise/${tenant}/recommendations`,
    time: occurredAt,
    type: "ml.recommendation.feedback.v1",
    data: { recommendationId, productId, kind, occurredAt },
  };
}
