import type { EventData } from "../../contract/events.ts";
import type { Order } from "../../contract/events/orders.ts";
import { source } from "../../features/definition.ts";
import { constant, equal } from "../../features/expression.ts";

/** One fact per order, whichever of the attempt, the placing and the payment becomes known first. */
export const orders = source<Order>({
  name: "orders",
  version: 1,
  events: [
    { type: "order.placed.v1", root: "" },
    { type: "order.paid.v1", root: "order" },
  ],
  identity: (order) => order.text("orderId"),
  time: (order) => order.time("placedAt"),
});

/** One fact per order charged back, attributed to the time of the order and visible once it is reported. */
export const chargebacks = source<EventData<"payment.chargeback.v1">>({
  name: "chargebacks",
  version: 1,
  events: [{ type: "payment.chargeback.v1", root: "" }],
  identity: (chargeback) => chargeback.text("orderId"),
  time: (chargeback) => chargeback.time("orderPlacedAt"),
});

/** The label of an order: a chargeback for fraud. Disputes and processing errors say nothing about it. */
export const fraudChargebacks = source<EventData<"payment.chargeback.v1">>({
  name: "fraud_chargebacks",
  version: 1,
  events: [{ type: "payment.chargeback.v1", root: "" }],
  identity: (chargeback) => chargeback.text("orderId"),
  time: (chargeback) => chargeback.time("orderPlacedAt"),
  where: (chargeback) => equal(chargeback.text("reason"), constant("fraud")),
});
