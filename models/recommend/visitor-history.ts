import type { StoredEvent } from "../contract/events.ts";
import type { Catalogue } from "./catalogue.ts";
import { dismissedProducts, factAsOf } from "./contradictions.ts";
import type { History } from "./history.ts";
import type { RecommendPolicy, VisitorAction } from "./policy.ts";

/** One thing a visitor did with a product. */
export interface VisitorFact {
  readonly productId: string;
  readonly action: VisitorAction;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly quantity: number;
  /** Of a purchase whose order was given back or charged back: when, epoch milliseconds. */
  readonly returnedAt?: number;
  /** Of a purchase: the same number wherever this product of this order is told. */
  readonly told?: number;
}

/** A fact with whose it is and what tells it from others: the same fact twice has the same identity. */
export interface IdentifiedFact extends VisitorFact {
  /** Pseudonyms. */
  readonly customer: string | null;
  readonly session: string | null;
  readonly identity: string;
  /** Whether a recommendation led to it. */
  readonly led: boolean;
  /** Which of several tellings of a fact holds: 1 for the order's own event, 0 for all others. */
  readonly rank: 0 | 1;
}

/**
 * What an event says a visitor did. A purchase is told by the behavioural event, by the order, or by both: it is one fact per order and product.
 */
export function visitorFactsOf(event: StoredEvent): IdentifiedFact[] {
  const at = Date.parse(event.time);
  const own = `${event.source}\n${event.id}`;
  if (event.type === "behavior.page_view.v1" || event.type === "behavior.add_to_cart.v1") {
    const { data } = event;
    if (data.productId === undefined) return [];
    const action = event.type === "behavior.page_view.v1" ? "view" : "cart";
    const quantity = "quantity" in data ? data.quantity : 1;
    const { productId, recommendationId } = data;
    const owner = whose(data.customerId, data.sessionId);
    return [{ productId, action, at, quantity, ...owner, identity: own, led: recommendationId !== undefined, rank: 0 }];
  }
  if (event.type === "behavior.purchase.v1") {
    const { orderId, lines, customerId, sessionId, recommendationId } = event.data;
    const led = recommendationId !== undefined;
    return bought(lines, { at, orderId, led, rank: 0, ...whose(customerId, sessionId) });
  }
  if (event.type === "behavior.recommendation_feedback.v1") {
    const { productId, kind, customerId, sessionId } = event.data;
    // Clicks, carts and purchases come as events of their own; only a dismissal is told nowhere else.
    if (kind !== "dismiss") return [];
    const owner = whose(customerId, sessionId);
    return [{ productId, action: "dismiss", at, quantity: 1, ...owner, identity: own, led: true, rank: 0 }];
  }
  if (event.type === "order.placed.v1") {
    const { orderId, lines, customerId, placedAt } = event.data;
    const at = Date.parse(placedAt);
    return bought(lines, { at, orderId, led: false, rank: 1, ...whose(customerId, undefined) });
  }
  return [];
}

function whose(
  customer: string | undefined,
  session: string | undefined,
): { customer: string | null; session: string | null } {
  return { customer: customer ?? null, session: session ?? null };
}

function bought(
  lines: readonly { productId: string; quantity: number }[],
  {
    orderId,
    ...telling
  }: Pick<IdentifiedFact, "at" | "customer" | "session" | "led" | "rank"> & {
    readonly orderId: string;
  },
): IdentifiedFact[] {
  const pieces = new Map<string, number>();
  for (const { productId, quantity } of lines) pieces.set(productId, (pieces.get(productId) ?? 0) + quantity);
  return Array.from(pieces, ([productId, quantity]) => {
    return { productId, action: "purchase", quantity, ...telling, identity: `order\n${orderId}\n${productId}` };
  });
}

/** A visitor's facts as the scorers and the ranking features read them: by item index, oldest first. */
export interface IndexedHistory {
  readonly taste: History;
  readonly repeat: History;
  readonly session: History;
  /** Facts of any action, oldest first; -1: unknown product. */
  readonly items: Int32Array;
  readonly actions: readonly VisitorAction[];
  /** Seconds. */
  readonly times: Float64Array;
  /** Products that the visitor does not want to see, however long ago that was said. */
  readonly dismissed: readonly number[];
}

/**
 * @param facts oldest first
 * @param recent products met in the current session that may not have become facts yet, newest last
 * @param now epoch milliseconds; facts after it are as if they were not there
 */
export function indexHistory(
  catalogue: Pick<Catalogue, "indexOf">,
  policy: RecommendPolicy,
  input: { readonly facts: readonly VisitorFact[]; readonly recent: readonly string[]; readonly now: number },
): IndexedHistory {
  const past = input.facts.filter((fact) => fact.at <= input.now);
  const known = past.slice(-policy.maxEvents).map((fact) => factAsOf(fact, input.now));
  const newest = known.at(-1);
  const open = newest !== undefined && input.now - newest.at <= policy.sessionGapSeconds * 1_000;
  const met = new Set(known.slice(open ? sessionStart(known, policy.sessionGapSeconds) : known.length).map(idOf));
  const fresh = input.recent
    .filter((productId) => !met.has(productId))
    .map((productId): VisitorFact => ({ productId, action: "view", at: input.now, quantity: 1 }));
  const facts = [...known, ...fresh];
  const items = Int32Array.from(facts, (fact) => catalogue.indexOf(fact.productId));
  const all = facts.map((fact, at) => ({ fact, item: items[at] ?? -1 }));
  const from = open ? sessionStart(known, policy.sessionGapSeconds) : known.length;
  return {
    taste: historyOf(all.filter(({ fact }) => includes(policy.tasteActions, fact.action))),
    repeat: historyOf(all.filter(({ fact }) => includes(policy.repeatActions, fact.action))),
    session: historyOf(all.slice(from).filter(({ fact }) => includes(policy.tasteActions, fact.action))),
    items,
    actions: facts.map((fact) => fact.action),
    times: Float64Array.from(facts, (fact) => fact.at / 1_000),
    dismissed: Array.from(dismissedProducts(past), (productId) => catalogue.indexOf(productId)),
  };
}

const idOf = (fact: VisitorFact): string => fact.productId;
const includes = (actions: readonly string[], action: string): boolean => actions.includes(action);

/** Position of the first fact after the last pause of more than the gap. */
function sessionStart(facts: readonly VisitorFact[], gapSeconds: number): number {
  let start = facts.length - 1;
  while (start > 0 && (facts[start]?.at ?? 0) - (facts[start - 1]?.at ?? 0) <= gapSeconds * 1_000) start--;
  return start;
}

function historyOf(facts: readonly { fact: VisitorFact; item: number }[]): History {
  return {
    items: Int32Array.from(facts, ({ item }) => item),
    times: Float64Array.from(facts, ({ fact }) => fact.at / 1_000),
    values: Float32Array.from(facts, ({ fact }) => fact.quantity),
  };
}
