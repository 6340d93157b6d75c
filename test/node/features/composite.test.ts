import { describe, expect, it } from "vitest";
import { buildTrainingRows } from "../../../batch-training/features/build-training-rows.ts";
import { orders } from "../../../models/catalog/fraud-orders/sources.ts";
import { fraudLabel } from "../../../models/catalog/fraud-orders/label.ts";
import { compileCatalog } from "../../../models/features/catalog.ts";
import { compileService } from "../../../models/features/compile-service.ts";
import { aggregateFeature, group, service } from "../../../models/features/definition.ts";
import { type Expr, pair } from "../../../models/features/expression.ts";
import { ENTITY_TYPES, entityIdOf, type EntityType } from "../../../models/features/feature-store.ts";
import type { Order } from "../../../models/contract/events/orders.ts";
import type { Fields } from "../../../models/features/expression.ts";
import { generatedLog } from "../../support/generated-log.ts";

const DAY_MS = 86_400_000;

const ordersOf = (entity: EntityType, key: (order: Fields<Order>) => Expr<"text">) =>
  group({
    name: `${entity}_orders`,
    version: 1,
    owner: "test",
    description: "test",
    sensitivity: "internal",
    entity,
    source: orders,
    key,
    columns: (order) => ({ cents: { value: order.number("total.amount"), keep: { sum: true } } }),
    keep: { horizonMs: 37 * DAY_MS, facts: 64, tileMs: DAY_MS, tiles: 64 },
  });
const countOf = (entity: EntityType, key: (order: Fields<Order>) => Expr<"text">) =>
  aggregateFeature(
    `${entity}_30d`,
    ordersOf(entity, key),
    { op: "count", column: null },
    {
      description: "test",
      fallback: 0,
      windowMs: 30 * DAY_MS,
    },
  );

describe("entities", () => {
  it("that are one of two have the id of the first that is known: a visitor is a customer, or a session", () => {
    expect(entityIdOf("visitor", { customer: "c1", session: "s1" })).toBe("c1");
    expect(entityIdOf("visitor", { session: "s1", product: "p1" })).toBe("s1");
    expect(entityIdOf("visitor", { product: "p1" })).toBeUndefined();
    expect(entityIdOf("customer_product", { customer: "c1" })).toBeUndefined();
  });

  it("are those that state can be kept for, pairs included", () => {
    for (const type of ["customer", "product", "device", "card", "address", "session", "terminal", "sensor"] as const)
      expect(ENTITY_TYPES).toContain(type);
    expect(ENTITY_TYPES).toEqual(expect.arrayContaining(["customer_product", "customer_terminal"]));
    for (const type of ENTITY_TYPES) {
      const one = countOf(type, (order) =>
        type.includes("_") ? pair(order.text("customerId"), order.text("orderId")) : order.text("orderId"),
      );
      const definition = service({
        name: `of_${type}`,
        owner: "test",
        description: "test",
        request: orders,
        entities: (order) => ({ [type]: order.text("orderId") }),
        features: [one],
      });
      expect(compileCatalog([definition]).layouts(type), type).toHaveLength(1);
    }
  });

  it("refuse a pair with one id, and one entity with two", () => {
    const wrong = [
      countOf("customer_device", (order) => order.text("customerId")),
      countOf("customer", (order) => pair(order.text("customerId"), order.text("deviceId"))),
    ];
    for (const feature of wrong) {
      const definition = service({
        name: "wrong",
        owner: "test",
        description: "test",
        request: orders,
        entities: (order) => ({ customer: order.text("customerId") }),
        features: [feature],
      });
      expect(() => compileCatalog([definition])).toThrow(/is a pair of ids|is one id/);
    }
  });

  it("of two ids are built offline as a plain count over the log says", async () => {
    const key = (order: Fields<Order>) => pair(order.text("customerId"), order.text("deviceId"));
    const definition = service({
      name: "pairs_v1",
      owner: "test",
      description: "test",
      request: orders,
      entities: (order) => ({ customer_device: key(order) }),
      features: [countOf("customer_device", key)],
    });
    const catalog = compileCatalog([definition]);
    const log = generatedLog(300, 5).toSorted((a, b) => a.ingestedAt - b.ingestedAt);
    const rows = await buildTrainingRows({
      events: log,
      catalog,
      service: compileService(definition, catalog),
      label: fraudLabel,
      maturityMs: 0,
    });
    const seen = new Map<string, { key: string; time: number; visibleAt: number }>();
    for (const event of log) {
      const order =
        event.type === "order.placed.v1" ? event.data : event.type === "order.paid.v1" ? event.data.order : null;
      if (!order || seen.has(order.orderId)) continue;
      const own = `${order.customerId}/${order.deviceId}`;
      seen.set(order.orderId, { key: own, time: Date.parse(order.placedAt), visibleAt: event.ingestedAt });
    }
    expect(rows.orderIds.length).toBeGreaterThan(100);
    let pairs = 0;
    for (const [index, id] of rows.orderIds.entries()) {
      const own = seen.get(id);
      const asOf = own?.time ?? 0;
      const earlier = [...seen].filter(
        ([other, fact]) =>
          other !== id &&
          fact.key === own?.key &&
          fact.time <= asOf &&
          fact.time > asOf - 30 * DAY_MS &&
          fact.visibleAt <= asOf,
      ).length;
      pairs += earlier;
      expect(rows.columns[0]?.[index], id).toBe(earlier);
    }
    expect(pairs).toBeGreaterThan(0);
  });
});
