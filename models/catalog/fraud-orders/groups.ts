import type { EventData } from "../../contract/events.ts";
import { group, type Keep, type KeepDefinition, type Source } from "../../features/definition.ts";
import { constant, div, equal, flagAsNumber, hash, type Expr, type Fields } from "../../features/expression.ts";
import { chargebacks, orders } from "./sources.ts";

export const DAY_MS = 86_400_000;

/**
 * Windows reach 30 days behind a delay of 7. 256 facts hold every customer of the card data (190 at most) exactly; an entity with
 * more keeps its newest 256 exactly and the rest by the hour.
 */
const KEEP: KeepDefinition = { horizonMs: 37 * DAY_MS, facts: 256, tileMs: 3_600_000, tiles: 1_024 };

const OWNER = "fraud";
const common = { version: 1, owner: OWNER, sensitivity: "personal", keep: KEEP } as const;

/** Money in major units, as people write it; amounts are integer minor units of two decimals. */
export function amountOf(minorUnits: Expr<"number">): Expr<"number"> {
  return div(minorUnits, constant(100));
}

export const customerOrders = group({
  ...common,
  name: "customer_orders",
  description: "Orders of a customer",
  entity: "customer",
  source: orders,
  key: (order) => order.text("customerId"),
  columns: (order) => ({
    cents: { value: order.number("total.amount"), keep: { squares: true, extremes: true } },
    device: { value: hash(order.text("deviceId")), keep: { distinct: true } },
    card: { value: hash(order.text("payment.cardId")), keep: { distinct: true } },
    terminal: { value: hash(order.text("terminalId")), keep: { distinct: true } },
    address: { value: hash(order.text("shippingAddress.addressId")), keep: { distinct: true } },
  }),
});

export const deviceOrders = group({
  ...common,
  name: "device_orders",
  description: "Orders placed from a device",
  entity: "device",
  source: orders,
  key: (order) => order.text("deviceId"),
  columns: (order) => ({
    cents: { value: order.number("total.amount"), keep: { sum: true } },
    customer: { value: hash(order.text("customerId")), keep: { distinct: true } },
    card: { value: hash(order.text("payment.cardId")), keep: { distinct: true } },
  }),
});

export const cardOrders = group({
  ...common,
  name: "card_orders",
  description: "Orders paid with a card",
  entity: "card",
  source: orders,
  key: (order) => order.text("payment.cardId"),
  columns: (order) => ({
    cents: { value: order.number("total.amount"), keep: { sum: true } },
    customer: { value: hash(order.text("customerId")), keep: { distinct: true } },
    device: { value: hash(order.text("deviceId")), keep: { distinct: true } },
  }),
});

export const terminalOrders = group({
  ...common,
  name: "terminal_orders",
  description: "Orders paid at a terminal",
  sensitivity: "internal",
  entity: "terminal",
  source: orders,
  key: (order) => order.text("terminalId"),
  columns: (order) => ({
    cents: { value: order.number("total.amount"), keep: { sum: true } },
    customer: { value: hash(order.text("customerId")), keep: { distinct: true } },
  }),
});

type Chargeback = EventData<"payment.chargeback.v1">;
const fraudColumn = (chargeback: Fields<Chargeback>): Record<"fraud", { value: Expr; keep: Keep }> => ({
  fraud: { value: flagAsNumber(equal(chargeback.text("reason"), constant("fraud"))), keep: { sum: true } },
});
const chargebackSource: Source<Chargeback> = chargebacks;

export const customerChargebacks = group({
  ...common,
  name: "customer_chargebacks",
  description: "Orders of a customer that were charged back",
  entity: "customer",
  source: chargebackSource,
  key: (chargeback) => chargeback.text("customerId"),
  columns: fraudColumn,
});

export const deviceChargebacks = group({
  ...common,
  name: "device_chargebacks",
  description: "Orders from a device that were charged back",
  entity: "device",
  source: chargebackSource,
  key: (chargeback) => chargeback.text("deviceId"),
  columns: fraudColumn,
});

export const cardChargebacks = group({
  ...common,
  name: "card_chargebacks",
  description: "Orders paid with a card that were charged back",
  entity: "card",
  source: chargebackSource,
  key: (chargeback) => chargeback.text("cardId"),
  columns: fraudColumn,
});

export const terminalChargebacks = group({
  ...common,
  name: "terminal_chargebacks",
  description: "Orders paid at a terminal that were charged back",
  sensitivity: "internal",
  entity: "terminal",
  source: chargebackSource,
  key: (chargeback) => chargeback.text("terminalId"),
  columns: fraudColumn,
});
