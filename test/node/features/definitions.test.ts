import { describe, expect, it } from "vitest";
import { ReplayState } from "../../../batch-training/features/replay-state.ts";
import type { EventData, StoredEvent } from "../../../models/contract/events.ts";
import type { Order } from "../../../models/contract/events/orders.ts";
import { compileCatalog } from "../../../models/features/catalog.ts";
import { compileService } from "../../../models/features/compile-service.ts";
import {
  aggregateFeature,
  derivedFeature,
  group,
  requestFeature,
  service,
  source,
  sourceOfEach,
  type ServiceDefinition,
} from "../../../models/features/definition.ts";
import { compileExpression, type Value } from "../../../models/features/evaluate.ts";
import {
  add,
  coalesce,
  constant,
  div,
  either,
  equal,
  type Expr,
  featureValue,
  fields,
  gt,
  hash,
  hour,
  log1p,
  sub,
  weekday,
  where,
} from "../../../models/features/expression.ts";
import { anOrder, aPlacedOrder, T0 } from "../../support/events.ts";

const DAY_MS = 86_400_000;
const order = fields<Order>();
const KEEP = { horizonMs: 30 * DAY_MS, facts: 100, tileMs: DAY_MS, tiles: 100 };
const base = { version: 1, owner: "test", description: "", sensitivity: "internal", keep: KEEP } as const;
const placed = source<Order>({
  name: "placed",
  version: 1,
  events: [{ type: "order.placed.v1", root: "" }],
  identity: (payload) => payload.text("orderId"),
  time: (payload) => payload.time("placedAt"),
});
const refundFields = fields<EventData<"order.refunded.v1">>();
const orders = group({
  ...base,
  name: "orders",
  entity: "customer",
  source: placed,
  key: (payload) => payload.text("customerId"),
  columns: (payload) => ({
    cents: { value: payload.number("total.amount"), keep: { sum: true } },
    large: {
      value: where(gt(payload.number("total.amount"), 5_000), payload.number("total.amount")),
      keep: { sum: true },
    },
  }),
  retraction: {
    events: [{ type: "order.refunded.v1", root: "" }],
    identity: refundFields.text("orderId"),
    key: refundFields.text("customerId"),
    time: refundFields.time("orderPlacedAt"),
    where: null,
  },
});
const lines = sourceOfEach<Order["lines"][number], Order>({
  name: "lines",
  version: 1,
  events: [{ type: "order.placed.v1", root: "" }],
  each: "lines",
});
const products = group({
  ...base,
  name: "product_lines",
  entity: "product",
  source: lines,
  key: (line) => line.text("item.productId"),
  columns: (line) => ({ pieces: { value: line.number("item.quantity"), keep: { sum: true } } }),
});

const window = { description: "", windowMs: 7 * DAY_MS };
const definition = (): ServiceDefinition =>
  service({
    name: "test_v1",
    owner: "test",
    description: "",
    request: placed,
    entities: (payload) => ({ customer: payload.text("customerId"), product: payload.text("channel") }),
    features: [
      aggregateFeature("orders", orders, { op: "count", column: null }, window),
      aggregateFeature("cents", orders, { op: "sum", column: "cents" }, window),
      aggregateFeature("large", orders, { op: "count", column: "large" }, window),
      aggregateFeature("pieces", products, { op: "sum", column: "pieces" }, window),
    ],
  });

function replayed(events: readonly StoredEvent[], asOf: number, product = "web"): Record<string, number> {
  const catalog = compileCatalog([definition()]);
  const compiled = compileService(catalog.services[0] as ServiceDefinition, catalog);
  const replay = new ReplayState(catalog);
  for (const event of events) replay.apply(event);
  const { vector } = replay.vector(compiled, { ...anOrder({ orderId: "q" }), channel: product }, asOf);
  return Object.fromEntries(compiled.names.map((name, index) => [name, vector[index] ?? Number.NaN]));
}

const stored = (event: object, ingestedAt: number): StoredEvent =>
  ({ ...event, tenant: "default", ingestedAt }) as StoredEvent;
const orderAt = (orderId: string, at: number, cents: number): StoredEvent =>
  stored(
    aPlacedOrder({ orderId, placedAt: new Date(at).toISOString(), total: { amount: cents, currency: "EUR" } }),
    at,
  );
const refundOf = (orderId: string, placedAt: number, at: number): StoredEvent =>
  stored(
    {
      specversion: "1.0",
      id: `refund-${orderId}`,
      source: "/shop",
      time: new Date(at).toISOString(),
      type: "order.refunded.v1",
      data: {
        orderId,
        customerId: "cus-1",
        orderPlacedAt: new Date(placedAt).toISOString(),
        amount: { amount: 1, currency: "EUR" },
      },
    },
    at,
  );

describe("retraction", () => {
  const placedAt = T0 - 3 * DAY_MS;
  const refundedAt = T0 - DAY_MS;

  it("takes a fact back from the refund's time on, in whichever order the two arrive", () => {
    const facts = [orderAt("a", placedAt, 100), orderAt("b", placedAt, 900)];
    const refund = refundOf("a", placedAt, refundedAt);
    for (const events of [
      [...facts, refund],
      [refund, ...facts],
      [...facts, refund, refund, ...facts],
    ]) {
      expect(replayed(events, refundedAt - 1)).toMatchObject({ orders: 2, cents: 1_000 });
      expect(replayed(events, refundedAt)).toMatchObject({ orders: 1, cents: 900 });
    }
  });

  it("alone counts for nothing", () => {
    expect(replayed([refundOf("a", placedAt, refundedAt)], T0)).toMatchObject({ orders: 0, cents: 0 });
  });
});

describe("sources", () => {
  it("skip what a column's condition leaves out, and keep the fact", () => {
    expect(replayed([orderAt("a", T0 - 1, 100), orderAt("b", T0 - 1, 9_000)], T0)).toMatchObject({
      orders: 2,
      large: 1,
    });
  });

  it("give one fact per element of a list, to each element's own entity", () => {
    const line = (productId: string, quantity: number) => ({
      productId,
      quantity,
      unitPrice: { amount: 1, currency: "EUR" },
    });
    const event = stored(
      aPlacedOrder({
        placedAt: new Date(T0 - 1).toISOString(),
        lines: [line("web", 2), line("other", 5), line("web", 3)],
      }),
      T0 - 1,
    );
    expect(replayed([event, event], T0, "web")).toMatchObject({ pieces: 5 });
    expect(replayed([event], T0, "app")).toMatchObject({ pieces: 0 });
  });

  it("drop facts dated absurdly: far ahead of their ingestion, or behind everything the group keeps", () => {
    const ahead = { ...orderAt("a", T0 + 365 * DAY_MS, 100), ingestedAt: T0 - 1 };
    const ancient = { ...orderAt("b", T0 - 365 * DAY_MS, 100), ingestedAt: T0 - 1 };
    const skewed = { ...orderAt("c", T0 + 60_000, 100), ingestedAt: T0 - 1 };
    expect(replayed([ahead, ancient, skewed], T0)).toMatchObject({ orders: 0 });
    // A clock a minute ahead: the fact counts when its time has come.
    expect(replayed([ahead, ancient, skewed], T0 + 60_000)).toMatchObject({ orders: 1 });
    expect(replayed([ahead], T0 + 366 * DAY_MS)).toMatchObject({ orders: 0 });
  });
});

describe("expressions", () => {
  const evaluate = (expression: Expr, root: unknown = anOrder(), time = T0): Value =>
    compileExpression(expression)({ root, time, asOf: time, feature: null });

  it.each<[string, string, number, number]>([
    ["2026-03-01T23:30:00Z", "UTC", 23, 6],
    ["2026-03-01T23:30:00Z", "+02:00", 1, 0],
    ["2026-03-01T23:30:00Z", "America/New_York", 18, 6],
    // The hour that daylight saving skips in Berlin on 29 March 2026, on both sides of it.
    ["2026-03-29T00:59:59Z", "Europe/Berlin", 1, 6],
    ["2026-03-29T01:00:00Z", "Europe/Berlin", 3, 6],
    ["2026-10-25T00:30:00Z", "Europe/Berlin", 2, 6],
    ["2026-10-25T01:30:00Z", "Europe/Berlin", 2, 6],
    ["1969-12-31T23:00:00Z", "UTC", 23, 2],
  ])("%s in %s is hour %i of weekday %i", (time, zone, wantedHour, wantedDay) => {
    const at = constant(Date.parse(time));
    expect(evaluate(hour(at, zone))).toBe(wantedHour);
    expect(evaluate(weekday(at, zone))).toBe(wantedDay);
  });

  it("refuse an unknown zone when they are compiled", () => {
    expect(() => compileExpression(hour(constant(0), "Europe/Atlantis"))).toThrow(RangeError);
  });

  it("keep NaN and infinity out: whatever is not finite is missing", () => {
    expect(evaluate(div(constant(1), constant(0)))).toBeNull();
    expect(evaluate(log1p(constant(-2)))).toBeNull();
    expect(evaluate(order.number("total.amount"), { total: { amount: Number.NaN } })).toBeNull();
    expect(evaluate(order.number("total.amount"), { total: { amount: "12" } })).toBeNull();
    expect(evaluate(order.time("placedAt"), { placedAt: "yesterday" })).toBeNull();
  });

  it("carry missing values through, except where another value decides", () => {
    const missing = order.number("total.amount");
    const yes = equal(constant("a"), constant("a"));
    expect(evaluate(add(missing, 1), {})).toBeNull();
    expect(evaluate(coalesce(missing, constant(7)), {})).toBe(7);
    expect(evaluate(either(gt(missing, 0), yes), {})).toBe(true);
    expect(evaluate(either(gt(missing, 0), gt(constant(0), 1)), {})).toBeNull();
  });
});

describe("definitions that contradict themselves are refused with the reason", () => {
  const compile = (features: ServiceDefinition["features"]): unknown => {
    const broken = { ...definition(), features };
    return compileService(broken, compileCatalog([broken]));
  };
  const hashed = group({
    ...base,
    name: "hashed",
    entity: "customer",
    source: placed,
    key: (payload) => payload.text("customerId"),
    columns: (payload) => ({ device: { value: hash(payload.text("deviceId")) } }),
  });

  it.each<[string, ServiceDefinition["features"], RegExp]>([
    [
      "a window longer than the group keeps",
      [aggregateFeature("x", orders, { op: "count", column: null }, { description: "", windowMs: 31 * DAY_MS })],
      /the group keeps/,
    ],
    [
      "a lifetime window over a group with a horizon",
      [aggregateFeature("x", orders, { op: "count", column: null }, { description: "", windowMs: null })],
      /without horizon/,
    ],
    [
      "a part that tiles do not keep",
      [aggregateFeature("x", orders, { op: "max", column: "cents" }, window)],
      /extend its keep/,
    ],
    [
      "distinct values that are not kept",
      [aggregateFeature("x", hashed, { op: "distinct", column: "device" }, window)],
      /keep/,
    ],
    [
      "a delayed window that counts the request",
      [aggregateFeature("x", orders, { op: "count", column: null }, { ...window, delayMs: 1, countsRequest: true })],
      /delayed window/,
    ],
    ["an input that there is not", [derivedFeature("x", featureValue("nothing"), { description: "" })], /nothing/],
    [
      "derivation in a circle",
      [
        derivedFeature("x", add(featureValue("y"), 1), { description: "" }),
        derivedFeature("y", sub(featureValue("x"), 1), { description: "" }),
      ],
      /derived/,
    ],
    [
      "a derived feature that reads the request",
      [derivedFeature("x", order.number("total.amount"), { description: "" })],
      /request/,
    ],
    [
      "two features of one name",
      [
        requestFeature("x", order.number("total.amount"), { description: "" }),
        requestFeature("x", order.length("lines"), { description: "" }),
      ],
      /two features/,
    ],
  ])("%s", (_, features, message) => {
    expect(() => compile(features)).toThrow(message);
  });
});
