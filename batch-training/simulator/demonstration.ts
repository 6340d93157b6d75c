import type { Order } from "../../models/contract/events/orders.ts";
import type { Customer } from "./people.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { SimulatedShop } from "./simulate-shop.ts";
import { isoTime, MINUTE_MS, money } from "./world.ts";

export interface DemonstrationOptions {
  /** Epoch milliseconds. */
  readonly placedAt: number;
  /** Makes the identifiers of this order its own; letters and digits. */
  readonly name: string;
}

/**
 * An order as a loyal customer places it: own device and card, delivered home, things they like, a usual sum.
 * The shop's past must have been told before, because it makes people loyal.
 */
export function plainOrder(shop: SimulatedShop, options: DemonstrationOptions): Order {
  const random = new SeededRandom(`plain/${shop.world.tag}/${options.name}`);
  const customer = random.pick(loyalCustomers(shop));
  const { home, ipAddress } = customer.household;
  const usual = customer.spent / customer.orders;
  const liked = customer.tastes.indexOf(Math.max(...customer.tastes));
  const choices = Array.from({ length: 20 }, () => shop.catalogue.choose(random, liked, customer.liking)).filter(
    (product) => product !== undefined,
  );
  const product = (choices.length > 0 ? choices : shop.catalogue.products).reduce((best, candidate) =>
    Math.abs(candidate.price - usual) < Math.abs(best.price - usual) ? candidate : best,
  );
  const card = customer.cards[0];
  return {
    orderId: `ord-${shop.world.tag}-plain-${options.name}`,
    customerId: customer.id,
    customerRegisteredAt: isoTime(customer.registeredAt),
    sessionId: `ses-${shop.world.tag}-plain-${options.name}`,
    deviceId: customer.devices[0] ?? "",
    ipAddress,
    channel: customer.prefersApp ? "app" : "web",
    placedAt: isoTime(options.placedAt),
    total: money(product.price),
    lines: [line(product, 1)],
    payment: {
      method: "card",
      ...(card === undefined ? {} : { cardId: card.id, cardCountry: card.country }),
      authenticated: true,
    },
    billingAddress: { ...home },
    shippingAddress: { ...home },
  };
}

/**
 * An order as a thief places it: an account minutes old, a device never seen, the card of a known customer, expensive things that sell again,
 * sent to another country, without authentication.
 */
export function suspiciousOrder(shop: SimulatedShop, options: DemonstrationOptions): Order {
  const { world, catalogue } = shop;
  const random = new SeededRandom(`suspicious/${world.tag}/${options.name}`);
  const card = random.pick(loyalCustomers(shop)).cards[0];
  const loot = catalogue.products
    .filter((product) => product.active && product.category.resale >= 0.8)
    .toSorted((a, b) => b.price - a.price || (a.id < b.id ? -1 : 1))
    .slice(0, 2);
  const lines = loot.map((product) => line(product, 1));
  const id = (kind: string): string => `${kind}-${world.tag}-suspicious-${options.name}`;
  const drop = { addressId: id("adr"), country: "RO", postalCode: "10210" };
  return {
    orderId: id("ord"),
    customerId: id("cus"),
    customerRegisteredAt: isoTime(options.placedAt - 7 * MINUTE_MS),
    sessionId: id("ses"),
    deviceId: id("dev"),
    ipAddress: "198.18.77.12",
    channel: "web",
    placedAt: isoTime(options.placedAt),
    total: money(lines.reduce((sum, { unitPrice }) => sum + unitPrice.amount, 0)),
    lines,
    payment: {
      method: "card",
      ...(card === undefined ? {} : { cardId: card.id, cardCountry: card.country }),
      authenticated: false,
    },
    billingAddress: drop,
    shippingAddress: drop,
  };
}

function line(product: SimulatedShop["catalogue"]["products"][number], quantity: number): Order["lines"][number] {
  return { productId: product.id, quantity, unitPrice: money(product.price), category: product.category.category };
}

/** Loyal customers that the orders of different names are shared among, so that one does not change what the next one looks like. */
const LOYAL = 40;

/** The customers with the most orders. */
function loyalCustomers(shop: SimulatedShop): readonly Customer[] {
  const loyal = shop.people.customers
    .filter((customer) => customer.orders > 0)
    .toSorted((a, b) => b.orders - a.orders || (a.id < b.id ? -1 : 1))
    .slice(0, LOYAL);
  if (loyal.length === 0) throw new RangeError("The shop's past has not been told, so nobody has ordered anything.");
  return loyal;
}
