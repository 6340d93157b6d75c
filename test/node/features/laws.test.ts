import { describe, expect, it } from "vitest";
import { buildTrainingRows } from "../../../batch-training/features/build-training-rows.ts";
import { ReplayState } from "../../../batch-training/features/replay-state.ts";
import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import { LABEL_DELAY_MS } from "../../../models/catalog/fraud-orders/features.ts";
import { fraudChargebacks } from "../../../models/catalog/fraud-orders/sources.ts";
import type { StoredEvent } from "../../../models/contract/events.ts";
import { compileCatalog } from "../../../models/features/catalog.ts";
import { compileService, serviceHash } from "../../../models/features/compile-service.ts";
import type { ServiceDefinition } from "../../../models/features/definition.ts";
import { anOrder, aPlacedOrder, at, T0 } from "../../support/events.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const placed = (orderId: string, offsetMs: number, ingestedMs = offsetMs): StoredEvent => ({
  ...aPlacedOrder({ orderId, placedAt: at(offsetMs) }),
  tenant: "default",
  ingestedAt: T0 + ingestedMs,
});

const chargedBack = (orderId: string, orderMs: number, reportedMs: number): StoredEvent => ({
  specversion: "1.0",
  id: `back-${orderId}`,
  source: "/bank",
  time: at(reportedMs),
  type: "payment.chargeback.v1",
  tenant: "default",
  ingestedAt: T0 + reportedMs,
  data: {
    orderId,
    customerId: "cus-1",
    deviceId: "dev-1",
    cardId: "card-1",
    orderPlacedAt: at(orderMs),
    amount: { amount: 4_999, currency: "EUR" },
    reason: "fraud",
  },
});

/** A value of the vector of a new order placed at an offset from T0. */
function valueAt(state: ReplayState, name: string, offsetMs: number, orderId = "probe"): number {
  const order = anOrder({ orderId, placedAt: at(offsetMs) });
  const { vector } = state.vector(FRAUD_FEATURES, order, T0 + offsetMs);
  return vector[FRAUD_FEATURES.indexOf(name)] ?? Number.NaN;
}

function stateAfter(...events: StoredEvent[]): ReplayState {
  const state = new ReplayState(FEATURE_CATALOG);
  for (const event of events) state.apply(event);
  return state;
}

describe("law: time", () => {
  it("a fact counts from its own time on, and not a millisecond earlier", () => {
    const state = stateAfter(placed("a", 0));
    expect(valueAt(state, "customer_orders_1d", -1)).toBe(1);
    expect(valueAt(state, "customer_orders_1d", 0)).toBe(2);
    expect(valueAt(state, "customer_orders_1d", MINUTE_MS)).toBe(2);
  });

  it("a late fact lands in its own time, whenever it arrives", () => {
    const inTime = stateAfter(placed("a", -2 * DAY_MS), placed("b", -MINUTE_MS));
    const late = stateAfter(placed("b", -MINUTE_MS), placed("a", -2 * DAY_MS, 0));
    for (const name of ["customer_orders_1d", "customer_orders_7d", "customer_mean_amount_7d"])
      expect(valueAt(late, name, 0)).toBe(valueAt(inTime, name, 0));
    expect(valueAt(late, "customer_orders_1d", 0)).toBe(2);
    expect(valueAt(late, "customer_orders_7d", 0)).toBe(3);
  });

  it("the order that is decided counts once, whether its event has arrived or not", () => {
    const before = stateAfter(placed("a", -MINUTE_MS));
    const after = stateAfter(placed("a", -MINUTE_MS), placed("probe", 0));
    expect(valueAt(before, "customer_orders_1d", 0)).toBe(2);
    expect(valueAt(after, "customer_orders_1d", 0)).toBe(2);
    expect(valueAt(after, "customer_seconds_since_order", 0)).toBe(60);
  });

  it("a chargeback is seen only in orders that are older than its delay", () => {
    const state = stateAfter(placed("a", 0), chargedBack("a", 0, DAY_MS));
    const share = (offsetMs: number) => valueAt(state, "customer_chargeback_share_30d", offsetMs);
    expect(share(2 * DAY_MS)).toBe(0);
    expect(share(LABEL_DELAY_MS - 1)).toBe(0);
    expect(share(LABEL_DELAY_MS + MINUTE_MS)).toBe(1);
  });

  it("a training row knows what had been recorded when its order became known, and nothing later", async () => {
    const rowsOf = async (events: StoredEvent[]) =>
      await buildTrainingRows({
        events: events.toSorted((a, b) => a.ingestedAt - b.ingestedAt),
        catalog: FEATURE_CATALOG,
        service: FRAUD_FEATURES,
        label: fraudChargebacks,
        maturityMs: DAY_MS,
      });
    const later = placed("later", 10 * DAY_MS);
    const countOf = async (events: StoredEvent[]) => {
      const rows = await rowsOf([...events, later]);
      return rows.columns[FRAUD_FEATURES.indexOf("customer_orders_1d")]?.[rows.orderIds.indexOf("b")];
    };
    // An order of a minute before that was recorded in time, and one that was recorded a minute after.
    expect(await countOf([placed("a", -MINUTE_MS), placed("b", 0)])).toBe(2);
    expect(await countOf([placed("a", -MINUTE_MS, MINUTE_MS), placed("b", 0)])).toBe(1);
  });

  it("a label counts if it came within the maturity; an order too young for one is no row", async () => {
    const rows = await buildTrainingRows({
      events: [
        placed("honest", 0),
        placed("early", 1),
        placed("late", 2),
        chargedBack("early", 1, DAY_MS),
        chargedBack("late", 2, 3 * DAY_MS),
        placed("young", 3 * DAY_MS + 1),
      ],
      catalog: FEATURE_CATALOG,
      service: FRAUD_FEATURES,
      label: fraudChargebacks,
      maturityMs: 2 * DAY_MS,
    });
    expect(rows.orderIds).toEqual(["honest", "early", "late"]);
    expect([...rows.labels]).toEqual([0, 1, 0]);
    expect(rows.immature).toBe(1);
  });
});

describe("law: one definition", () => {
  it("definitions are plain data: a copy, through JSON too, has the same hash and compiles to the same features", () => {
    expect(serviceHash(JSON.parse(JSON.stringify(FRAUD_FEATURES.definition)) as ServiceDefinition)).toBe(
      FRAUD_FEATURES.hash,
    );
    // Keeps what features share, their groups, shared.
    const copy = structuredClone(FRAUD_FEATURES.definition);
    const compiled = compileService(copy, compileCatalog([copy]));
    const state = stateAfter(placed("a", -DAY_MS), placed("b", -MINUTE_MS), chargedBack("a", -DAY_MS, -MINUTE_MS));
    const payload = anOrder({ orderId: "probe" });
    expect([...state.vector(compiled, payload, T0).vector]).toEqual([
      ...state.vector(FRAUD_FEATURES, payload, T0).vector,
    ]);
  });

  it("any change of a definition is another hash", () => {
    const definition = FRAUD_FEATURES.definition;
    const reordered = { ...definition, features: definition.features.toReversed() };
    const renamed = { ...definition, name: `${definition.name}x` };
    expect(new Set([definition, reordered, renamed].map((one) => serviceHash(one))).size).toBe(3);
  });
});
