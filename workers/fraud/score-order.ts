import type { DecisionRecord } from "../../models/contract/decision-record.ts";
import type { ErrorCode } from "../../models/contract/errors.ts";
import type { Order } from "../../models/contract/events/orders.ts";
import type { ModelProvider } from "../../models/engine/serving-model.ts";
import type { FeatureStore, FeatureVector, OrderFeatureRequest } from "../../models/features/feature-store.ts";
import { err, ok, type Result } from "../../models/result.ts";
import { decide, type FraudFeatures } from "./decide.ts";

/** Entity shards must answer within this time; afterwards memory or defaults are used, and the answer says so. */
export const FEATURE_DEADLINE_MS = 50;

export interface IdempotencyClaim {
  readonly key: string;
  readonly requestHash: string;
}

/** Orders and decisions by order id, one shard per order. */
export interface DecisionStore {
  order(tenant: string, orderId: string): Promise<Order | null>;
  claimed(tenant: string, orderId: string, claim: IdempotencyClaim): Promise<DecisionRecord | "conflict" | null>;
  /** Resolves once stored. `provisional`: a stored record of the same id is replaced. */
  put(
    record: DecisionRecord,
    options: { provisional?: boolean; claim?: IdempotencyClaim | undefined },
  ): Promise<DecisionRecord>;
}

export interface ScoreDeps {
  readonly model: string;
  readonly service: FraudFeatures;
  readonly features: FeatureStore;
  readonly models: ModelProvider;
  readonly decisions: DecisionStore;
  /** Keeps a decision where its shard cannot: in the log of decisions. */
  readonly setAside: (record: DecisionRecord) => Promise<void>;
  readonly newDecisionId: () => string;
  readonly vectorId: (serviceHash: string, asOf: number, vector: Float32Array) => string;
  readonly now: () => number;
  /** Called with the vector that a decision was made from. */
  readonly onDecided: (features: FeatureVector) => void;
}

export interface ScoreRequest {
  readonly tenant: string;
  /** With pseudonyms, or the id of an ingested order. */
  readonly order: Order | { readonly orderId: string };
  readonly explain: boolean;
  readonly claim: IdempotencyClaim | undefined;
}

/**
 * Scores one order for the API. Warm, this is one round of calls for an inline order: the decision computed from isolate memory
 * is stored while the shards record the attempt and confirm that memory was current. If it was not, the decision is made again
 * from what the shards returned, and stored again, before it is answered. An order given by id costs one read before that.
 */
export async function scoreOrder(deps: ScoreDeps, request: ScoreRequest): Promise<Result<DecisionRecord, ErrorCode>> {
  const { tenant, claim } = request;
  if (claim) {
    // A shard that does not answer now will not store the claim either: then the key promises nothing, and the answer says so.
    const earlier = await deps.decisions.claimed(tenant, request.order.orderId, claim).catch(() => null);
    if (earlier === "conflict") return err("idempotency-conflict");
    if (earlier) return ok(earlier);
  }
  const order = await orderOf(deps, request);
  if (typeof order === "string") return err(order);
  const decisionId = deps.newDecisionId();
  const wanted: OrderFeatureRequest = { tenant, service: deps.service.name, order, asOf: Date.parse(order.placedAt) };
  const selected = deps.models.select(tenant, deps.model, order.customerId);
  const selection = selected instanceof Promise ? await selected : selected;
  const decideFrom = (features: FeatureVector): DecisionRecord | Promise<DecisionRecord> =>
    decide(deps.service, {
      tenant,
      trigger: "api",
      decisionId,
      order,
      features,
      featureVectorId: deps.vectorId(features.service.hash, wanted.asOf, features.vector),
      selection,
      explain: request.explain,
      asOf: wanted.asOf,
      decidedAt: deps.now(),
    });

  const remembered = deps.features.peek(wanted);
  if (remembered) {
    const made = decideFrom(remembered);
    const provisional = made instanceof Promise ? await made : made;
    const [attempt, stored] = await Promise.all([
      deps.features.attempt(wanted, FEATURE_DEADLINE_MS, remembered),
      deps.decisions.put(provisional, { claim }).catch(() => null),
    ]);
    if (attempt.confirmed && stored !== null) {
      deps.onDecided(remembered);
      return ok(stored);
    }
    deps.onDecided(attempt.vector);
    return await keep(deps, await decideFrom(attempt.vector), { provisional: true, claim });
  }
  const attempt = await deps.features.attempt(wanted, FEATURE_DEADLINE_MS);
  deps.onDecided(attempt.vector);
  return await keep(deps, await decideFrom(attempt.vector), { claim });
}

async function orderOf(
  { decisions }: ScoreDeps,
  { tenant, order }: ScoreRequest,
): Promise<Order | "order-not-found" | "unavailable"> {
  if ("placedAt" in order) return order;
  try {
    return (await decisions.order(tenant, order.orderId)) ?? "order-not-found";
  } catch {
    return "unavailable";
  }
}

/** Stores a decision before it is answered: in its shard, else, flagged, in the log. Where neither takes it there is no answer. */
async function keep(
  deps: ScoreDeps,
  record: DecisionRecord,
  options: { provisional?: boolean; claim: IdempotencyClaim | undefined },
): Promise<Result<DecisionRecord, ErrorCode>> {
  try {
    return ok(await deps.decisions.put(record, options));
  } catch {
    const aside: DecisionRecord = { ...record, degraded: [...record.degraded, "decision-set-aside"] };
    try {
      await deps.setAside(aside);
    } catch {
      return err("unavailable");
    }
    return ok(aside);
  }
}
