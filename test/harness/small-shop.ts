import type { History } from "../../batch-training/local/run-local-system.ts";
import type { InboundEvent } from "../../models/contract/events.ts";
import type { Order } from "../../models/contract/events/orders.ts";
import { SeededRandom } from "../support/seeded-random.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Ten weeks: label maturity takes two, and the slices that remain have frauds enough for the gates of production. */
const DAYS = 70;
const ORDERS = 2_900;
const CUSTOMERS = 180;
const FRAUD_SHARE = 0.1;

export interface SmallShopOptions {
  readonly seed: number;
  /** Epoch milliseconds; the shop's past ends within the day before. */
  readonly end: number;
}

export interface SmallShop extends History {
  events(): Iterable<InboundEvent>;
  readonly demonstration: NonNullable<History["demonstration"]>;
}

/**
 * A shop small enough for a test, whose thieves are clumsy enough that a model trained on so little passes the gates of production: sums
 * between what people spend on small and on large things, and often a new account. The same options give the same events.
 */
export function smallShop(options: SmallShopOptions): SmallShop {
  return {
    *events() {
      yield* inOrder(tell(options));
    },
    demonstration: (placedAt, name) => ({
      plain: plainOrder(new SeededRandom(1), { orderId: `plain-${name}`, placedAt, customer: 1 }),
      suspicious: suspiciousOrder(new SeededRandom(2), { orderId: `suspicious-${name}`, placedAt, customer: 2 }),
    }),
    visitors: null,
    shoppers: null,
    report: () => null,
  };
}

interface OrderOptions {
  readonly orderId: string;
  readonly placedAt: number;
  readonly customer: number;
}

function tell({ seed, end }: SmallShopOptions): InboundEvent[] {
  const random = new SeededRandom(seed);
  const start = Math.floor(end / DAY_MS) * DAY_MS - DAYS * DAY_MS;
  const events: InboundEvent[] = [];
  for (let index = 0; index < ORDERS; index++) {
    const placedAt = Math.floor(start + ((index + random.next()) / ORDERS) * DAYS * DAY_MS);
    const isFraud = random.next() < FRAUD_SHARE;
    // A twentieth of each looks like the other: without them there is nothing to calibrate.
    const looksBad = random.next() < 0.05 ? !isFraud : isFraud;
    const make = looksBad ? suspiciousOrder : plainOrder;
    const orderId = `ord-${seed}-${index}`;
    const order = make(random, { orderId, placedAt, customer: random.below(CUSTOMERS) });
    const reportedAt = placedAt + (2 + random.next() * 9) * DAY_MS;
    events.push(event("order.placed.v1", orderId, placedAt, order));
    const paidAt = placedAt + MINUTE_MS;
    events.push(event("order.paid.v1", orderId, paidAt, { order, paidAt: iso(paidAt) }));
    if (isFraud) events.push(event("payment.chargeback.v1", orderId, reportedAt, chargebackOf(order)));
  }
  return events.filter(({ time }) => Date.parse(time) < end);
}

function plainOrder(random: SeededRandom, { orderId, placedAt, customer }: OrderOptions): Order {
  const cents = random.next() < 0.7 ? 1_500 + random.below(12_000) : 60_000 + random.below(90_000);
  return {
    orderId,
    customerId: `cus-${customer}`,
    customerRegisteredAt: iso(placedAt - (100 + random.below(900)) * DAY_MS),
    deviceId: `dev-${customer}`,
    channel: "web",
    placedAt: iso(placedAt),
    total: { amount: cents, currency: "EUR" },
    lines: [{ productId: `prd-${random.below(40)}`, quantity: 1, unitPrice: { amount: cents, currency: "EUR" } }],
    payment: { method: "card", cardId: `card-${customer}`, cardCountry: "DE", authenticated: true },
    billingAddress: { addressId: `adr-${customer}`, country: "DE" },
    shippingAddress: { addressId: `adr-${customer}`, country: "DE" },
  };
}

function suspiciousOrder(random: SeededRandom, { orderId, placedAt, customer }: OrderOptions): Order {
  const cents = 22_000 + random.below(20_000);
  const plain = plainOrder(random, { orderId, placedAt, customer });
  return {
    ...plain,
    ...(random.next() < 0.5 && { customerRegisteredAt: iso(placedAt - (1 + random.below(120)) * MINUTE_MS) }),
    total: { amount: cents, currency: "EUR" },
    lines: [{ productId: `prd-${random.below(40)}`, quantity: 1, unitPrice: { amount: cents, currency: "EUR" } }],
  };
}

function chargebackOf(order: Order) {
  const { orderId, customerId, deviceId, payment, placedAt, total } = order;
  const { cardId } = payment;
  return {
    orderId,
    customerId,
    ...(deviceId !== undefined && { deviceId }),
    ...(cardId !== undefined && { cardId }),
    orderPlacedAt: placedAt,
    amount: total,
    reason: "fraud",
  };
}

/** Recorded two seconds after the fact: an import of the past, whose facts become visible then. */
function event(type: InboundEvent["type"], orderId: string, at: number, data: unknown): InboundEvent {
  const id = `${type}-${orderId}`;
  const envelope = {
    specversion: "1.0",
    id,
    source: "/small-shop",
    type,
    time: iso(at),
    recordedtime: iso(at + 2_000),
  };
  return { ...envelope, data } as InboundEvent;
}

function inOrder(events: readonly InboundEvent[]): InboundEvent[] {
  return events.toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time) || (a.id < b.id ? -1 : 1));
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
