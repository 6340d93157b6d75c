/** Events that contradict each other, and a slow, obvious reading of them: what `models/recommend/README.md` says in its table, and no code of it. */
import type { InboundEvent } from "../../models/contract/events.ts";
import { SeededRandom } from "./seeded-random.ts";

/** A fact of a customer's history. */
export interface ToldFact {
  readonly productId: string;
  readonly action: string;
  readonly at: number;
  readonly quantity: number;
  readonly returnedAt: number | null;
}

export const TOLD_CUSTOMERS = ["c-1", "c-2", "c-3"] as const;
const HOUR = 3_600_000;

/** Two dozen events of three customers and a session over the days before `now`; about a third contradict another one. Consents come first. */
export function contradictoryEvents(seed: number, now: number): InboundEvent[] {
  const random = new SeededRandom(seed);
  const events: InboundEvent[] = [];
  const tell = (type: string, at: number, data: object): void => {
    const time = new Date(at).toISOString();
    events.push({
      specversion: "1.0",
      id: `${seed}-${events.length}`,
      source: "/told",
      type,
      time,
      data,
    } as InboundEvent);
  };
  const when = (): number => now - (1 + random.below(200)) * HOUR;
  const customer = (): string => TOLD_CUSTOMERS[random.below(3)] ?? "";
  const product = (): string => `p-${random.below(4)}`;
  for (let consents = random.below(4); consents > 0; consents--) {
    const at = when();
    const effectiveAt = new Date(at + (random.below(3) - 1) * HOUR).toISOString();
    const data = { customerId: customer(), purpose: "personalisation", granted: random.below(2) === 0, effectiveAt };
    tell("customer.consent.changed.v1", at, data);
  }
  const amount = { amount: 100, currency: "EUR" };
  const lines = () =>
    Array.from({ length: 1 + random.below(3) }, () => {
      return { productId: product(), quantity: 1 + random.below(3), unitPrice: amount };
    });
  const tellers: readonly (() => void)[] = [
    () => tell("behavior.page_view.v1", when(), { ...seen(), page: "/p", productId: product() }),
    () => tell("behavior.add_to_cart.v1", when(), { ...seen(), productId: product(), quantity: 1 + random.below(3) }),
    () => {
      const data = { recommendationId: "rec-told", productId: product(), kind: "dismiss", customerId: customer() };
      tell("behavior.recommendation_feedback.v1", when(), data);
    },
    () => tell("behavior.purchase.v1", when(), { ...seen(), orderId: order(), lines: lines() }),
    () => {
      const placedAt = new Date(when()).toISOString();
      const data = {
        orderId: order(),
        customerId: customer(),
        channel: "web",
        placedAt,
        total: amount,
        lines: lines(),
      };
      tell("order.placed.v1", Date.parse(placedAt) + 60_000, { ...data, payment: { method: "card" } });
    },
    () => tell("order.refunded.v1", when(), { ...back(), amount }),
    () => tell("payment.chargeback.v1", when(), { ...back(), amount, reason: "fraud" }),
  ];
  function seen(): object {
    return { sessionId: "s-1", ...(random.below(3) > 0 && { customerId: customer() }) };
  }
  function order(): string {
    return `o-${random.below(4)}`;
  }
  function back(): object {
    return { orderId: order(), customerId: customer(), orderPlacedAt: new Date(now - 300 * HOUR).toISOString() };
  }
  for (let count = 0; count < 24; count++) tellers[random.below(tellers.length)]?.();
  return events;
}

interface Telling extends ToldFact {
  readonly name: string;
  readonly byOrder: boolean;
}

/** What one customer's history must hold, oldest first. */
export function toldHistory(events: readonly InboundEvent[], customer: string): ToldFact[] {
  const own = events.filter((event) => (event.data as { customerId?: string }).customerId === customer);
  const tellings = own.flatMap(tellingsOf);
  const facts = [...new Set(tellings.map(({ name }) => name))].map((name) => {
    const [best] = tellings
      .filter((telling) => telling.name === name)
      .sort((a, b) => Number(b.byOrder) - Number(a.byOrder) || b.at - a.at || b.quantity - a.quantity);
    return best as Telling;
  });
  return facts
    .filter(({ at }) => mayBeKept(own, at))
    .map(({ name, byOrder: _byOrder, ...fact }) => ({ ...fact, returnedAt: returnOf(own, name, fact) }))
    .sort((a, b) => a.at - b.at || (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function tellingsOf(event: InboundEvent): Telling[] {
  const at = Date.parse(event.time);
  const base = { at, quantity: 1, returnedAt: null, byOrder: false, name: event.id };
  if (event.type === "behavior.page_view.v1") {
    return [{ ...base, productId: event.data.productId ?? "", action: "view" }];
  }
  if (event.type === "behavior.add_to_cart.v1") {
    return [{ ...base, productId: event.data.productId, action: "cart", quantity: event.data.quantity }];
  }
  if (event.type === "behavior.recommendation_feedback.v1") {
    return [{ ...base, productId: event.data.productId, action: "dismiss" }];
  }
  if (event.type !== "behavior.purchase.v1" && event.type !== "order.placed.v1") return [];
  const { orderId, lines } = event.data;
  const byOrder = event.type === "order.placed.v1";
  const time = event.type === "order.placed.v1" ? Date.parse(event.data.placedAt) : at;
  return [...new Set(lines.map(({ productId }) => productId))].map((productId) => {
    const quantity = lines.reduce((sum, line) => sum + (line.productId === productId ? line.quantity : 0), 0);
    return { ...base, productId, action: "purchase", at: time, quantity, byOrder, name: `${orderId} ${productId}` };
  });
}

function returnOf(own: readonly InboundEvent[], name: string, { action }: Pick<ToldFact, "action">): number | null {
  if (action !== "purchase") return null;
  const times = own.flatMap((event) =>
    (event.type === "order.refunded.v1" || event.type === "payment.chargeback.v1") &&
    name.startsWith(`${event.data.orderId} `)
      ? [Date.parse(event.time)]
      : [],
  );
  return times.length === 0 ? null : Math.min(...times);
}

/** Nothing from before a withdrawal, nothing between it and the next grant. */
function mayBeKept(own: readonly InboundEvent[], at: number): boolean {
  const consents = own.flatMap((event) =>
    event.type === "customer.consent.changed.v1"
      ? [{ granted: event.data.granted, at: Math.min(Date.parse(event.data.effectiveAt), Date.parse(event.time)) }]
      : [],
  );
  const withdrawals = consents.filter(({ granted }) => !granted).map((consent) => consent.at);
  if (withdrawals.length === 0) return true;
  const last = Math.max(...withdrawals);
  const grants = consents.filter((consent) => consent.granted && consent.at > last).map((consent) => consent.at);
  return grants.length > 0 && at >= Math.min(...grants);
}
