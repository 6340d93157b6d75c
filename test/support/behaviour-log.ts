import type { StoredEvent } from "../../models/contract/events.ts";
import { SeededRandom } from "./seeded-random.ts";

const DAY_MS = 86_400_000;

export interface BehaviourLog {
  readonly events: number;
  readonly seed: number;
  /** Epoch milliseconds of the last event at most. */
  readonly until: number;
  readonly customers: number;
  /** Products are `p-0`, `p-1`, … */
  readonly products: number;
  readonly days: number;
}

/**
 * What a few visitors did, in order of visibility: views (of products and of other pages), carts and purchases, known and unknown customers, late by up to two
 * hours. A purchase is told by the behaviour event, by the order, or by both in either order, with a product twice in some; some events come twice.
 */
export function behaviourLog(options: BehaviourLog): StoredEvent[] {
  const random = new SeededRandom(options.seed);
  const events: StoredEvent[] = [];
  for (let at = 0; at < options.events; at++) {
    const time = options.until - Math.floor(options.days * DAY_MS * random.next());
    const visible = (): number => Math.min(options.until, time + random.below(2 * 3_600_000));
    const customer = random.below(3) === 0 ? {} : { customerId: `c-${random.below(options.customers)}` };
    const who = { ...customer, sessionId: `s-${random.below(options.customers)}` };
    const productId = (): string => `p-${random.below(options.products)}`;
    const add = (id: string, type: string, data: object, ingestedAt = visible()): void => {
      const event = { specversion: "1.0", id, source: "/shop", time: new Date(time).toISOString(), tenant: "default" };
      events.push({ ...event, type, data, ingestedAt } as StoredEvent);
      if (random.below(10) === 0) events.push({ ...event, type, data, ingestedAt: visible() } as StoredEvent);
    };
    const kind = random.below(10);
    if (kind < 6) {
      const shown = random.below(5) === 0 ? {} : { productId: productId() };
      add(`v-${at}`, "behavior.page_view.v1", { ...who, ...shown, page: "/p", dwellMs: random.below(9_000) });
    } else if (kind < 8) add(`c-${at}`, "behavior.add_to_cart.v1", { ...who, productId: productId(), quantity: 2 });
    else {
      const orderId = `o-${at}`;
      const line = () => ({ productId: productId(), quantity: 1, unitPrice: { amount: 100, currency: "EUR" } });
      const first = line();
      const lines = random.below(3) === 0 ? [first, line(), first] : [first, line()];
      const told = random.below(3);
      if (told !== 1) add(`b-${at}`, "behavior.purchase.v1", { ...who, orderId, lines });
      // An order is somebody's; told twice, it is of the same customer.
      const { customerId = "c-0" } = customer;
      if (told === 1 || (told === 2 && "customerId" in customer)) {
        const total = { amount: 100 * lines.length, currency: "EUR" };
        const placedAt = new Date(time).toISOString();
        const order = { orderId, customerId, channel: "web", placedAt, total, lines, payment: { method: "card" } };
        add(`p-${at}`, "order.placed.v1", order);
      }
    }
  }
  // Distinct times of visibility: a log has one order.
  return events
    .sort((a, b) => a.ingestedAt - b.ingestedAt)
    .map((event, place) => ({ ...event, ingestedAt: event.ingestedAt + place / 1_000 }));
}
