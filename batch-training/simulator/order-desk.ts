import type { EventData } from "../../models/contract/events.ts";
import type { Order } from "../../models/contract/events/orders.ts";
import type { Catalogue, Product } from "./catalogue.ts";
import type { Card, Customer, Place } from "./people.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { DAY_MS, type FraudPattern, HOUR_MS, isoTime, MINUTE_MS, money, type World } from "./world.ts";

export interface BasketLine {
  readonly product: Product;
  readonly quantity: number;
  /** Cents, where it is not the product's price: a gift card's worth. */
  readonly unitPrice?: number;
}

/** An order as it reaches the shop, honest or not. */
export interface Purchase {
  readonly at: number;
  readonly customerId: string;
  readonly registeredAt: number;
  readonly basket: readonly BasketLine[];
  readonly channel: Order["channel"];
  readonly method: Order["payment"]["method"];
  readonly card?: Card | undefined;
  readonly authenticated?: boolean;
  readonly sessionId?: string | undefined;
  readonly deviceId?: string | undefined;
  readonly terminalId?: string | undefined;
  readonly ipAddress?: string | undefined;
  readonly billing: Place;
  readonly shipping?: Place | undefined;
  /** Chance that the payment fails and the order is never paid. */
  readonly fails: number;
  readonly fraud?: FraudPattern | undefined;
}

/** Days from the order to the chargeback: shortest, median, longest. */
const REPORTED_AFTER: Readonly<Record<FraudPattern, readonly [low: number, median: number, high: number]>> = {
  "stolen-card": [1, 5, 30],
  "account-takeover": [1, 3, 20],
  "bot-ring": [2, 7, 35],
  "compromised-terminal": [2, 5, 25],
  "card-testing": [2, 7, 35],
  friendly: [7, 14, 50],
};

/** A tenth of all victims never notice, or never complain. */
const UNREPORTED = 0.1;

/** Cents for shipping, and the value of goods from which it is free. */
const SHIPPING = 490;
const FREE_SHIPPING_FROM = 4_900;

/** Takes orders, and states what becomes of them: payment, purchase, refund, chargeback. */
export class OrderDesk {
  readonly #world: World;
  readonly #catalogue: Catalogue;
  readonly #random: SeededRandom;

  constructor(world: World, catalogue: Catalogue) {
    this.#world = world;
    this.#catalogue = catalogue;
    this.#random = world.random("orders");
  }

  /** Places an order. Tells whether the payment went through. */
  place(purchase: Purchase): boolean {
    const random = this.#random;
    const order = this.#orderOf(purchase);
    const truth = purchase.fraud === undefined ? {} : { fraud: purchase.fraud };
    // Tills hand in their sales every quarter of an hour; everything else arrives within seconds.
    const delay = purchase.channel === "store" ? { delayMs: random.between(5_000, 15 * MINUTE_MS) } : {};
    const placed = this.#world.emit("orders", "order.placed.v1", purchase.at, order, { ...delay, truth });
    if (!placed || random.chance(purchase.fails)) return false;
    const paidAt = Math.floor(purchase.at + this.#paymentTime(purchase));
    const paid = this.#world.emit(
      "orders",
      "order.paid.v1",
      paidAt,
      { order, paidAt: isoTime(paidAt) },
      { ...delay, truth },
    );
    if (!paid) return true;
    if (purchase.sessionId !== undefined)
      this.#world.emit("web", "behavior.purchase.v1", purchase.at + 300, {
        customerId: purchase.customerId,
        sessionId: purchase.sessionId,
        ...(purchase.deviceId === undefined ? {} : { deviceId: purchase.deviceId }),
        orderId: order.orderId,
        lines: order.lines,
      });
    for (const { product, quantity } of purchase.basket) this.#catalogue.sell(product, quantity);
    this.#aftermath(purchase, order, paidAt);
    return true;
  }

  #orderOf(purchase: Purchase): Order {
    const lines = orderLines(purchase.basket);
    const goods = lines.reduce((sum, line) => sum + line.quantity * line.unitPrice.amount, 0);
    const shipped = purchase.shipping !== undefined && goods < FREE_SHIPPING_FROM ? SHIPPING : 0;
    return {
      orderId: this.#world.id("ord"),
      customerId: purchase.customerId,
      customerRegisteredAt: isoTime(purchase.registeredAt),
      ...(purchase.sessionId === undefined ? {} : { sessionId: purchase.sessionId }),
      ...(purchase.deviceId === undefined ? {} : { deviceId: purchase.deviceId }),
      ...(purchase.terminalId === undefined ? {} : { terminalId: purchase.terminalId }),
      ...(purchase.ipAddress === undefined ? {} : { ipAddress: purchase.ipAddress }),
      channel: purchase.channel,
      placedAt: isoTime(Math.floor(purchase.at)),
      total: money(goods + shipped),
      lines,
      payment: {
        method: purchase.method,
        ...(purchase.card === undefined ? {} : { cardId: purchase.card.id, cardCountry: purchase.card.country }),
        ...(purchase.authenticated === undefined ? {} : { authenticated: purchase.authenticated }),
      },
      billingAddress: { ...purchase.billing },
      ...(purchase.shipping === undefined ? {} : { shippingAddress: { ...purchase.shipping } }),
    };
  }

  #paymentTime({ method, channel }: Purchase): number {
    if (channel === "store") return 2_000;
    if (method === "bank_transfer") return HOUR_MS * this.#random.between(0.5, 40);
    return 4_000 + this.#random.exponential(25_000);
  }

  #aftermath(purchase: Purchase, order: Order, paidAt: number): void {
    const random = this.#random;
    const about = aboutOrder(order);
    if (purchase.fraud !== undefined) {
      if (purchase.fraud === "friendly" || !random.chance(UNREPORTED)) {
        const [low, median, high] = REPORTED_AFTER[purchase.fraud];
        const days = Math.min(high, low + random.logNormal(median - low, 0.6));
        this.#chargeBack(about, order, paidAt + days * DAY_MS, "fraud", purchase.fraud);
      }
      return;
    }
    if (random.chance(0.0025) && order.payment.cardId !== undefined)
      this.#chargeBack(
        about,
        order,
        paidAt + random.between(5, 40) * DAY_MS,
        random.chance(0.7) ? "dispute" : "processing_error",
      );
    else if (
      random.chance(order.lines.some((line) => line.category === "shoes" || line.category === "dresses") ? 0.16 : 0.035)
    )
      this.#refund(about, order, paidAt + random.between(2, 20) * DAY_MS);
  }

  #chargeBack(
    about: AboutOrder,
    order: Order,
    at: number,
    reason: EventData<"payment.chargeback.v1">["reason"],
    fraud?: FraudPattern,
  ): void {
    // Banks hand chargebacks over in batches, some of them the next day.
    const delayMs = this.#random.between(1, 30) * HOUR_MS;
    const truth = fraud === undefined ? {} : { fraud };
    this.#world.emit(
      "payments",
      "payment.chargeback.v1",
      at,
      { ...about, amount: order.total, reason },
      { delayMs, truth },
    );
  }

  #refund(about: AboutOrder, order: Order, at: number): void {
    const line = this.#random.pick(order.lines);
    const whole = order.lines.length === 1 || this.#random.chance(0.5);
    const amount = whole ? order.total : money(line.quantity * line.unitPrice.amount);
    const reason = this.#random.pick(["does not fit", "changed my mind", "damaged on arrival", "not as described"]);
    this.#world.emit("payments", "order.refunded.v1", at, { ...about, amount, reason });
  }
}

export function orderLines(basket: readonly BasketLine[]): Order["lines"] {
  return basket.map(({ product, quantity, unitPrice }) => ({
    productId: product.id,
    quantity,
    unitPrice: money(unitPrice ?? product.price),
    category: product.category.category,
  }));
}

type AboutOrder = Omit<EventData<"order.refunded.v1">, "amount" | "reason">;

function aboutOrder(order: Order): AboutOrder {
  return {
    orderId: order.orderId,
    customerId: order.customerId,
    ...(order.deviceId === undefined ? {} : { deviceId: order.deviceId }),
    ...(order.payment.cardId === undefined ? {} : { cardId: order.payment.cardId }),
    ...(order.terminalId === undefined ? {} : { terminalId: order.terminalId }),
    orderPlacedAt: order.placedAt,
  };
}

/** How honest people pay: the method, the card, and whether they were asked to prove who they are. */
export function payment(
  random: SeededRandom,
  customer: Customer,
  cents: number,
): Pick<Purchase, "method" | "card" | "authenticated"> {
  const method =
    (["card", "wallet", "invoice", "bank_transfer", "voucher"] as const)[random.weighted(customer.paysBy)] ?? "card";
  if (method !== "card" && method !== "wallet") return { method };
  const card = customer.cards[random.chance(0.8) ? 0 : random.below(customer.cards.length)];
  // Small payments are exempt from strong authentication more often.
  return { method, card, authenticated: random.chance(cents < 3_000 ? 0.6 : 0.86) };
}
