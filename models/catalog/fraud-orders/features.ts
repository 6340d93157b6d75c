import type { Order } from "../../contract/events/orders.ts";
import {
  aggregateFeature,
  derivedFeature,
  requestFeature,
  service,
  type FeatureDefinition,
  type Group,
} from "../../features/definition.ts";
import {
  coalesce,
  constant,
  differ,
  div,
  featureValue,
  fields,
  flagAsNumber,
  gte,
  hour,
  lte,
  max,
  min,
  sub,
  weekday,
} from "../../features/expression.ts";
import {
  amountOf,
  cardChargebacks,
  cardOrders,
  customerChargebacks,
  customerOrders,
  DAY_MS,
  deviceChargebacks,
  deviceOrders,
  terminalChargebacks,
  terminalOrders,
} from "./groups.ts";
import { orders } from "./sources.ts";

const order = fields<Order>();
const placedAt = order.time("placedAt");
const billingCountry = coalesce(order.text("billingAddress.country"), order.text("shippingAddress.country"));
const DAYS = [1, 7, 30] as const;
type Days = (typeof DAYS)[number];
type EntityName = "customer" | "device" | "card" | "terminal";

/** A chargeback is known at the latest this long after its order, so only what is older may be compared with its count. */
export const LABEL_DELAY_MS = 7 * DAY_MS;

const requestFeatures = [
  requestFeature("amount", amountOf(order.number("total.amount")), {
    description: "Total of the order, in major units",
    checks: { maxNullShare: 0, min: 0, minDistinct: 2 },
  }),
  requestFeature("hour_of_day", hour(placedAt, "UTC"), {
    description: "Hour the order was placed, 0–23, UTC",
    checks: { maxNullShare: 0, min: 0, max: 23 },
  }),
  requestFeature("is_weekend", gte(weekday(placedAt, "UTC"), 5), { description: "1 on Saturday and Sunday, UTC" }),
  requestFeature("is_night", lte(hour(placedAt, "UTC"), 6), { description: "1 from 0:00 to 6:59 UTC" }),
  requestFeature("line_count", order.length("lines"), { description: "Lines of the order" }),
  requestFeature(
    "item_count",
    order.total("lines", (line) => line.number("quantity")),
    {
      description: "Pieces ordered, over all lines",
    },
  ),
  requestFeature("account_age_days", max(div(sub(placedAt, order.time("customerRegisteredAt")), constant(DAY_MS)), 0), {
    description: "Days from the customer's registration to the order",
  }),
  requestFeature(
    "is_shipping_abroad",
    differ(order.text("shippingAddress.country"), order.text("billingAddress.country")),
    { description: "1 where the goods go to another country than the bill" },
  ),
  requestFeature("is_card_foreign", differ(order.text("payment.cardCountry"), billingCountry), {
    description: "1 where the card was issued in another country than the bill goes to",
  }),
  requestFeature("is_authenticated", flagAsNumber(order.flag("payment.authenticated")), {
    description: "1 where strong customer authentication succeeded",
  }),
] as const;

const count = <E extends EntityName, D extends Days>(entity: E, group: Group<never>, days: D) =>
  aggregateFeature(
    `${entity}_orders_${days}d`,
    group,
    { op: "count", column: null },
    {
      description: `Orders of the ${entity} in ${days} days, this one included`,
      windowMs: days * DAY_MS,
      countsRequest: true,
      checks: { min: 1 },
    },
  );

const meanCents = <E extends EntityName, D extends Days>(entity: E, group: Group<"cents">, days: D) =>
  aggregateFeature(
    `${entity}_mean_cents_${days}d`,
    group,
    { op: "mean", column: "cents" },
    {
      description: `Mean total of the ${entity}'s orders in ${days} days, this one included, in minor units`,
      windowMs: days * DAY_MS,
      countsRequest: true,
    },
  );

const sumCents = <E extends EntityName, D extends Days>(entity: E, group: Group<"cents">, days: D) =>
  aggregateFeature(
    `${entity}_sum_cents_${days}d`,
    group,
    { op: "sum", column: "cents" },
    {
      description: `Sum of the ${entity}'s orders in ${days} days, this one included, in minor units`,
      windowMs: days * DAY_MS,
      countsRequest: true,
    },
  );

const major = <N extends string>(name: N, from: string, description: string) =>
  derivedFeature(name, amountOf(featureValue(from)), { description });

const delayed = <E extends EntityName, D extends Days>(entity: E, group: Group<never>, days: D) =>
  aggregateFeature(
    `${entity}_orders_delayed_${days}d`,
    group,
    { op: "count", column: null },
    {
      description: `Orders of the ${entity} in the ${days} days that ended 7 days ago`,
      windowMs: days * DAY_MS,
      delayMs: LABEL_DELAY_MS,
    },
  );

const frauds = <E extends EntityName, D extends Days>(entity: E, group: Group<"fraud">, days: D) =>
  aggregateFeature(
    `${entity}_frauds_delayed_${days}d`,
    group,
    { op: "sum", column: "fraud" },
    {
      description: `Of those, charged back as fraud by now`,
      windowMs: days * DAY_MS,
      delayMs: LABEL_DELAY_MS,
    },
  );

/** 0 where there was no order; never above 1, whatever order events are missing. */
const chargebackShare = <E extends EntityName, D extends Days>(entity: E, days: D) =>
  derivedFeature(
    `${entity}_chargeback_share_${days}d`,
    coalesce(
      min(div(featureValue(`${entity}_frauds_delayed_${days}d`), featureValue(`${entity}_orders_delayed_${days}d`)), 1),
      // Missing where the entity is missing, 0 where it has no orders.
      featureValue(`${entity}_orders_delayed_${days}d`),
    ),
    {
      description: `Share of fraud among the orders of the ${entity} in the ${days} days that ended 7 days ago`,
      checks: { min: 0, max: 1 },
    },
  );

const distinct = <N extends string, C extends string>(
  name: N,
  group: Group<C>,
  column: NoInfer<C>,
  days: number,
  description: string,
) =>
  aggregateFeature(
    name,
    group,
    { op: "distinct", column },
    { description, windowMs: days * DAY_MS, countsRequest: true },
  );

const aggregates = [
  ...DAYS.map((days) => count("customer", customerOrders, days)),
  ...DAYS.map((days) =>
    major(
      `customer_mean_amount_${days}d`,
      `customer_mean_cents_${days}d`,
      `Mean total of the customer's orders in ${days} days`,
    ),
  ),
  ...DAYS.map((days) =>
    major(
      `customer_sum_amount_${days}d`,
      `customer_sum_cents_${days}d`,
      `Sum of the customer's orders in ${days} days`,
    ),
  ),
  major("customer_max_amount_30d", "customer_max_cents_30d", "Largest earlier order of the customer in 30 days"),
  major(
    "customer_amount_deviation_30d",
    "customer_deviation_cents_30d",
    "Standard deviation of the customer's earlier totals",
  ),
  derivedFeature(
    "amount_over_customer_mean_30d",
    div(featureValue("amount"), amountOf(featureValue("customer_earlier_mean_cents_30d"))),
    { description: "Total over the mean of the customer's earlier orders in 30 days" },
  ),
  aggregateFeature(
    "customer_seconds_since_order",
    customerOrders,
    { op: "since-last" },
    {
      description: "Seconds since the customer's last order, at most 30 days",
      windowMs: 30 * DAY_MS,
    },
  ),
  distinct(
    "customer_distinct_devices_30d",
    customerOrders,
    "device",
    30,
    "Devices the customer ordered from in 30 days",
  ),
  distinct("customer_distinct_cards_30d", customerOrders, "card", 30, "Cards the customer paid with in 30 days"),
  distinct("customer_distinct_terminals_7d", customerOrders, "terminal", 7, "Terminals the customer paid at in 7 days"),
  derivedFeature("is_new_address", sub(constant(1), featureValue("customer_address_seen_30d")), {
    description: "1 where the customer had nothing sent to this address in 30 days",
  }),
  ...DAYS.map((days) => count("device", deviceOrders, days)),
  distinct(
    "device_distinct_customers_30d",
    deviceOrders,
    "customer",
    30,
    "Customers who ordered from the device in 30 days",
  ),
  distinct("device_distinct_cards_30d", deviceOrders, "card", 30, "Cards used from the device in 30 days"),
  ...DAYS.map((days) => count("card", cardOrders, days)),
  ...DAYS.map((days) =>
    major(`card_mean_amount_${days}d`, `card_mean_cents_${days}d`, `Mean total of the card's orders in ${days} days`),
  ),
  distinct("card_distinct_customers_30d", cardOrders, "customer", 30, "Customers who paid with the card in 30 days"),
  ...DAYS.map((days) => count("terminal", terminalOrders, days)),
  distinct("terminal_distinct_customers_1d", terminalOrders, "customer", 1, "Customers at the terminal in a day"),
  ...DAYS.map((days) => delayed("terminal", terminalOrders, days)),
  ...DAYS.map((days) => chargebackShare("terminal", days)),
  ...DAYS.map((days) => chargebackShare("customer", days)),
  ...DAYS.map((days) => chargebackShare("device", days)),
  ...DAYS.map((days) => chargebackShare("card", days)),
] as const;

const support: readonly FeatureDefinition[] = [
  ...DAYS.flatMap((days) => [
    meanCents("customer", customerOrders, days),
    sumCents("customer", customerOrders, days),
    meanCents("card", cardOrders, days),
    delayed("customer", customerOrders, days),
    delayed("device", deviceOrders, days),
    delayed("card", cardOrders, days),
    frauds("terminal", terminalChargebacks, days),
    frauds("customer", customerChargebacks, days),
    frauds("device", deviceChargebacks, days),
    frauds("card", cardChargebacks, days),
  ]),
  aggregateFeature(
    "customer_max_cents_30d",
    customerOrders,
    { op: "max", column: "cents" },
    {
      description: "Largest earlier order, minor units",
      windowMs: 30 * DAY_MS,
    },
  ),
  aggregateFeature(
    "customer_deviation_cents_30d",
    customerOrders,
    { op: "deviation", column: "cents" },
    {
      description: "Standard deviation of earlier orders, minor units",
      windowMs: 30 * DAY_MS,
    },
  ),
  aggregateFeature(
    "customer_earlier_mean_cents_30d",
    customerOrders,
    { op: "mean", column: "cents" },
    {
      description: "Mean of earlier orders, minor units",
      windowMs: 30 * DAY_MS,
    },
  ),
  aggregateFeature(
    "customer_address_seen_30d",
    customerOrders,
    { op: "seen", column: "address" },
    {
      description: "1 where the customer had something sent to this address in 30 days",
      windowMs: 30 * DAY_MS,
    },
  ),
];

/** The vector of the fraud model for orders. */
export const fraudOrders = service({
  name: "fraud_orders_v1",
  owner: "fraud",
  description: "Everything the fraud model for orders sees of an order, its customer, device, card and terminal",
  request: orders,
  entities: (request) => ({
    customer: request.text("customerId"),
    device: request.text("deviceId"),
    card: request.text("payment.cardId"),
    terminal: request.text("terminalId"),
  }),
  features: [...requestFeatures, ...aggregates],
  support,
});
