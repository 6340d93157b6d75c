import type { Order } from "../../models/contract/events/orders.ts";
import {
  aggregateFeature,
  group,
  service,
  source,
  type Aggregation,
  type FeatureDefinition,
  type KeepDefinition,
} from "../../models/features/definition.ts";
import { hash } from "../../models/features/expression.ts";

export const PROBE = { halfLifeMs: 36_000, prior: 50, weight: 4 } as const;

const orders = source<Order>({
  name: "probe_orders",
  version: 1,
  events: [
    { type: "order.placed.v1", root: "" },
    { type: "order.paid.v1", root: "order" },
  ],
  identity: (order) => order.text("orderId"),
  time: (order) => order.time("placedAt"),
});

const AGGREGATIONS: Readonly<Record<string, Aggregation>> = {
  count: { op: "count", column: null },
  count_values: { op: "count", column: "value" },
  sum: { op: "sum", column: "value" },
  mean: { op: "mean", column: "value" },
  variance: { op: "variance", column: "value" },
  deviation: { op: "deviation", column: "value" },
  min: { op: "min", column: "value" },
  max: { op: "max", column: "value" },
  first: { op: "first", column: "value" },
  last: { op: "last", column: "value" },
  second_last: { op: "nth-last", column: "value", n: 2 },
  rate: { op: "rate", column: "value", prior: PROBE.prior, weight: PROBE.weight },
  distinct: { op: "distinct", column: "device" },
  seen: { op: "seen", column: "device" },
  since_last: { op: "since-last" },
  since_first: { op: "since-first" },
  decayed_sum: { op: "decayed-sum", column: "value", halfLifeMs: PROBE.halfLifeMs },
};

/** Every aggregation over every window of one group of orders per customer. Names are `{aggregation}_{window}`. */
export function probeService(
  keep: KeepDefinition,
  windows: readonly { lengthMs: number | null; delayMs: number; countsRequest?: boolean }[],
) {
  const probe = group({
    name: "probe",
    version: 1,
    owner: "test",
    description: "Orders of a customer",
    sensitivity: "internal",
    entity: "customer",
    source: orders,
    key: (order) => order.text("customerId"),
    columns: (order) => ({
      value: {
        value: order.number("total.amount"),
        keep: { sum: true, squares: true, extremes: true, ends: true, recent: 2, halfLifeMs: PROBE.halfLifeMs },
      },
      device: { value: hash(order.text("deviceId")), keep: { distinct: true } },
    }),
    keep,
  });
  const features: FeatureDefinition[] = windows.flatMap(({ lengthMs, delayMs, countsRequest = false }, index) =>
    Object.entries(AGGREGATIONS).map(([name, aggregation]) =>
      aggregateFeature(`${name}_${index}`, probe, aggregation as Aggregation & { column?: "value" }, {
        description: "",
        windowMs: lengthMs,
        delayMs,
        countsRequest,
      }),
    ),
  );
  return service({
    name: "probe_v1",
    owner: "test",
    description: "Every aggregation",
    request: orders,
    entities: (order) => ({ customer: order.text("customerId") }),
    features,
  });
}

export const PROBE_AGGREGATIONS = Object.keys(AGGREGATIONS);
