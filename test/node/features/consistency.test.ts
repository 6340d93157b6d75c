import { describe, expect, it } from "vitest";
import { checkConsistency } from "../../../batch-training/features/check-consistency.ts";
import { ReplayState } from "../../../batch-training/features/replay-state.ts";
import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import type { DecisionRecord } from "../../../models/contract/decision-record.ts";
import type { StoredEvent } from "../../../models/contract/events.ts";
import { generatedLog } from "../../support/generated-log.ts";

const log = generatedLog(400, 3).map((event, at) => ({ ...event, ingestedAt: event.ingestedAt + at }));

/** What a Worker would have logged: one decision per order, right when its first event had been applied. */
function served(
  events: readonly StoredEvent[],
  spoil: (vector: Float32Array, at: number) => void = () => {},
): DecisionRecord[] {
  const state = new ReplayState(FEATURE_CATALOG);
  const decisions: DecisionRecord[] = [];
  for (const event of events) {
    state.apply(event);
    if (event.type !== "order.placed.v1" || decisions.some((decision) => decision.orderId === event.data.orderId))
      continue;
    const asOf = Date.parse(event.data.placedAt);
    const { vector } = state.vector(FRAUD_FEATURES, event.data, asOf);
    spoil(vector, decisions.length);
    decisions.push({
      v: 1,
      decisionId: `fd-${event.data.orderId}`,
      tenant: "default",
      kind: "fraud",
      trigger: "api",
      orderId: event.data.orderId,
      subject: event.data.customerId,
      model: null,
      modelVersion: null,
      arm: "serving",
      epoch: 0,
      featureService: { name: FRAUD_FEATURES.name, hash: FRAUD_FEATURES.hash },
      featureVectorId: "0".repeat(64),
      vector: Array.from(vector, (value) => (Number.isNaN(value) ? null : value)),
      watermarks: [{ entity: `customer:${event.data.customerId}`, version: 1, ingestedAt: event.ingestedAt }],
      asOf,
      rawScore: null,
      score: 0,
      outcome: "approve",
      reasons: [],
      degraded: [],
      decidedAt: event.ingestedAt,
    });
  }
  return decisions;
}

const check = (decisions: readonly DecisionRecord[], sample = 1) =>
  checkConsistency({ events: log, decisions, catalog: FEATURE_CATALOG, service: FRAUD_FEATURES, sample });

describe("consistency of served and recomputed vectors", () => {
  it("finds no difference where there is none, on every decision", async () => {
    const report = await check(served(log));
    expect(report.features.filter((feature) => feature.mismatched + feature.missing + feature.extra > 0)).toEqual([]);
    expect(report).toMatchObject({ decisions: 400, mismatchShare: 0, skipped: {} });
  });

  it("finds an injected skew in the one feature that has it", async () => {
    const position = FRAUD_FEATURES.indexOf("customer_orders_7d");
    const report = await check(
      served(log, (vector, at) => {
        if (at % 2 === 0) vector[position] = (vector[position] ?? 0) + 1;
      }),
    );
    const wrong = report.features.filter((feature) => feature.mismatched > 0);
    expect(wrong).toMatchObject([{ name: "customer_orders_7d", mismatched: 200, largestDifference: 1 }]);
    expect(wrong[0]?.examples).toHaveLength(5);
  });

  it("finds values that were missing, or that should have been", async () => {
    const amount = FRAUD_FEATURES.indexOf("amount");
    const terminal = FRAUD_FEATURES.indexOf("terminal_orders_1d");
    const report = await check(
      served(log, (vector) => {
        vector[amount] = Number.NaN;
        if (Number.isNaN(vector[terminal])) vector[terminal] = 0;
      }),
    );
    expect(report.features[amount]).toMatchObject({ missing: 400, mismatched: 0 });
    expect(report.features[terminal]?.extra).toBeGreaterThan(50);
  });

  it("samples whole subjects and says what it left out", async () => {
    const decisions = served(log);
    const [first, second] = decisions;
    if (!first || !second) throw new Error("there are decisions");
    const report = await check([
      { ...first, degraded: ["features-stale"] },
      { ...second, featureService: { ...second.featureService, hash: "1".repeat(64) } },
      ...decisions.slice(2),
    ]);
    expect(report.skipped).toEqual({ "degraded when served": 1, "another feature service": 1 });
    const half = await check(decisions, 0.5);
    expect(half.decisions).toBeGreaterThan(50);
    expect(half.decisions).toBeLessThan(350);
    expect(half.mismatchShare).toBe(0);
  });
});
