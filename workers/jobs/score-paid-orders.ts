import type { DecisionRecord } from "../../models/contract/decision-record.ts";
import type { Event } from "../../models/contract/events.ts";
import type { ModelProvider } from "../../models/engine/serving-model.ts";
import type { FeatureStore, FeatureVector } from "../../models/features/feature-store.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { decide, type FraudFeatures } from "../fraud/decide.ts";
import { countDecision } from "../fraud/route.ts";
import type { PaidOrder } from "./consume-events.ts";

/** The consumer has time: the shards may take this long before defaults are used. */
const FEATURE_DEADLINE_MS = 5_000;

export interface ScorePaidOrdersDeps {
  readonly model: string;
  readonly service: FraudFeatures;
  readonly features: FeatureStore;
  readonly models: ModelProvider;
  readonly vectorId: (serviceHash: string, asOf: number, vector: Float32Array) => string;
  readonly decisionIdOf: (tenant: string, orderId: string) => string;
  /** Those of the decisions that are stored already. */
  readonly storedDecisions: (
    tenant: string,
    wanted: readonly { orderId: string; decisionId: string }[],
  ) => Promise<DecisionRecord[]>;
  readonly putDecisions: (tenant: string, records: readonly DecisionRecord[]) => Promise<DecisionRecord[]>;
  readonly send: (events: readonly Event<"ml.fraud.order.scored.v1">[]) => Promise<void>;
  readonly onDecided: (features: FeatureVector) => void;
  readonly metrics: MetricRegistry;
  readonly now: () => number;
}

/**
 * Scores paid orders, each once: the decision's id follows from the order, what is stored already is not decided again, and the
 * event that goes out has the decision's id, so a redelivered batch sends the same event and receivers recognise it.
 */
export async function scorePaidOrders(
  deps: ScorePaidOrdersDeps,
  tenant: string,
  paid: readonly PaidOrder[],
): Promise<void> {
  const byDecision = new Map(paid.map((entry) => [deps.decisionIdOf(tenant, entry.order.orderId), entry]));
  const wanted = [...byDecision].map(([decisionId, { order }]) => ({ orderId: order.orderId, decisionId }));
  const known = await deps.storedDecisions(tenant, wanted);
  const knownIds = new Set(known.map((record) => record.decisionId));
  const open = [...byDecision].filter(([decisionId]) => !knownIds.has(decisionId));
  const vectors = await deps.features.read(
    open.map(([, { order }]) => ({ tenant, service: deps.service.name, order, asOf: Date.parse(order.placedAt) })),
    FEATURE_DEADLINE_MS,
  );
  const records: DecisionRecord[] = [];
  for (const [index, [decisionId, { order }]] of open.entries()) {
    const features = vectors[index];
    if (!features) throw new Error("the feature store answered fewer vectors than were asked for");
    deps.onDecided(features);
    const asOf = Date.parse(order.placedAt);
    records.push(
      await decide(deps.service, {
        tenant,
        trigger: "order-paid",
        decisionId,
        order,
        features,
        featureVectorId: deps.vectorId(features.service.hash, asOf, features.vector),
        selection: await deps.models.select(tenant, deps.model, order.customerId),
        explain: false,
        asOf,
        decidedAt: deps.now(),
      }),
    );
  }
  const stored = records.length > 0 ? await deps.putDecisions(tenant, records) : [];
  for (const record of stored) countDecision(deps.metrics, record);
  await deps.send([...known, ...stored].map(scoredEvent));
}

/** The outbound event of a stored decision. Its id is the decision's, its time the decision's time. */
export function scoredEvent(record: DecisionRecord): Event<"ml.fraud.order.scored.v1"> {
  const decidedAt = new Date(record.decidedAt).toISOString();
  return {
    specversion: "1.0",
    id: record.decisionId,
    source: `/edgewise/${record.tenant}/fraud`,
    time: decidedAt,
    type: "ml.fraud.order.scored.v1",
    data: {
      orderId: record.orderId,
      decisionId: record.decisionId,
      score: record.score,
      outcome: record.outcome,
      model: record.model,
      modelVersion: record.modelVersion,
      reasons: record.reasons,
      degraded: record.degraded,
      decidedAt,
    },
  };
}
