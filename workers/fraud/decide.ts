import type { DecisionRecord, DegradedFlag, FraudOutcome, ReasonCode } from "../../models/contract/decision-record.ts";
import type { Order } from "../../models/contract/events/orders.ts";
import type { FraudPolicy } from "../../models/contract/manifest.ts";
import { RULES_POLICY, scoreByRules } from "../../models/catalog/fraud-orders/rules.ts";
import type { ModelSelection, ServingModel } from "../../models/engine/serving-model.ts";
import type { Contributions } from "../../models/engine/session.ts";
import type { FeatureVector } from "../../models/features/feature-store.ts";

/** Reasons given with one decision: what an analyst reads before a list becomes noise. The rest is summed in `other`. */
const MAX_REASONS = 8;

/** What the feature service of the product offers to a decision, beside the vector itself. */
export interface FraudFeatures {
  readonly name: string;
  readonly hash: string;
  /** Position of a feature in the vector; -1 when the service does not have it. */
  readonly indexOf: (feature: string) => number;
  readonly names: readonly string[];
  /** What a feature is, for a person. */
  readonly describe: (feature: string) => string;
}

export interface DecideInput {
  readonly tenant: string;
  readonly trigger: DecisionRecord["trigger"];
  readonly decisionId: string;
  readonly order: Order;
  readonly features: FeatureVector;
  readonly featureVectorId: string;
  readonly selection: ModelSelection;
  readonly explain: boolean;
  readonly asOf: number;
  readonly decidedAt: number;
}

interface Scored {
  readonly model: ServingModel | null;
  readonly rawScore: number | null;
  readonly score: number;
  readonly outcome: FraudOutcome;
  readonly reasons: ReasonCode[];
  readonly degraded: DegradedFlag[];
}

/**
 * From vector to decision record. The model answers if there is one for these features; the stated rule set otherwise, flagged. At
 * once, unless the model runs elsewhere.
 */
export function decide(service: FraudFeatures, input: DecideInput): DecisionRecord | Promise<DecisionRecord> {
  const scored = scoredByModel(service, input);
  return scored instanceof Promise ? scored.then((later) => recordOf(input, later)) : recordOf(input, scored);
}

function recordOf(input: DecideInput, scored: Scored): DecisionRecord {
  const { features, order, selection } = input;
  return {
    v: 1,
    decisionId: input.decisionId,
    tenant: input.tenant,
    kind: "fraud",
    trigger: input.trigger,
    orderId: order.orderId,
    subject: order.customerId,
    model: scored.model?.name ?? null,
    modelVersion: scored.model?.version ?? null,
    arm: selection.arm,
    epoch: selection.epoch,
    featureService: { name: features.service.name, hash: features.service.hash },
    featureVectorId: input.featureVectorId,
    vector: withNulls(features.vector),
    watermarks: features.watermarks.slice(),
    asOf: input.asOf,
    rawScore: scored.rawScore,
    score: scored.score,
    outcome: scored.outcome,
    reasons: scored.reasons,
    degraded: distinct(selection.degraded, features.degraded, scored.degraded),
    decidedAt: input.decidedAt,
  };
}

/** JSON has no NaN. */
function withNulls(vector: Float32Array): (number | null)[] {
  const values: (number | null)[] = [];
  for (let index = 0; index < vector.length; index++) {
    const value = vector[index] as number;
    values.push(Number.isNaN(value) ? null : value);
  }
  return values;
}

function distinct(...flags: readonly (readonly DegradedFlag[])[]): DegradedFlag[] {
  return flags.every(({ length }) => length === 0) ? [] : [...new Set(flags.flat())];
}

export function outcomeOf(score: number, policy: FraudPolicy): FraudOutcome {
  return score >= policy.declineAt ? "decline" : score >= policy.reviewAt ? "review" : "approve";
}

function scoredByModel(service: FraudFeatures, input: DecideInput): Scored | Promise<Scored> {
  const { model } = input.selection;
  if (!model) return scoredByRules(service, input, []);
  if (model.featureService.hash !== service.hash) return scoredByRules(service, input, ["feature-set-unknown"]);
  const failed = (): Scored => scoredByRules(service, input, ["engine-failed"]);
  let score: number | Promise<number>;
  try {
    score = model.score(input.features.vector);
  } catch {
    return failed();
  }
  return typeof score === "number"
    ? judged(service, input, model, score)
    : score.then((later) => judged(service, input, model, later), failed);
}

function judged(service: FraudFeatures, input: DecideInput, model: ServingModel, score: number): Scored {
  if (!(score >= 0 && score <= 1)) return scoredByRules(service, input, ["engine-failed"]);
  const outcome = outcomeOf(score, model.policy ?? RULES_POLICY);
  if (outcome === "approve" && !input.explain)
    return { model, rawScore: null, score, outcome, reasons: [], degraded: [] };
  if (!model.explain) return { model, rawScore: null, score, outcome, reasons: [], degraded: ["explanation-missing"] };
  const contributions = model.explain(input.features.vector);
  const reasons = reasonsOf(service, input.features.vector, contributions);
  return { model, rawScore: contributions.raw[0] ?? null, score, outcome, reasons, degraded: [] };
}

function scoredByRules(service: FraudFeatures, input: DecideInput, degraded: DegradedFlag[]): Scored {
  const { vector } = input.features;
  const { rawScore, score, reasons } = scoreByRules((feature) => vector[service.indexOf(feature)] ?? Number.NaN);
  return { model: null, rawScore, score, outcome: outcomeOf(score, RULES_POLICY), reasons, degraded };
}

/** The largest attributions by size, then the sum of all others, so that base and reasons together are the raw score. */
function reasonsOf(service: FraudFeatures, vector: Float32Array, contributions: Contributions): ReasonCode[] {
  const base = contributions.base[0] ?? 0;
  const order = Array.from({ length: contributions.features }, (_, index) => index)
    .filter((index) => contributions.values[index] !== 0)
    .toSorted((a, b) => Math.abs(contributions.values[b] ?? 0) - Math.abs(contributions.values[a] ?? 0));
  const reasons: ReasonCode[] = order.slice(0, MAX_REASONS).map((index) => {
    const code = service.names[index] ?? `feature_${index}`;
    const value = vector[index] ?? Number.NaN;
    return {
      code,
      value: Number.isNaN(value) ? null : value,
      contribution: contributions.values[index] ?? 0,
      text: service.describe(code),
    };
  });
  const rest = order.slice(MAX_REASONS).reduce((sum, index) => sum + (contributions.values[index] ?? 0), 0);
  if (order.length > MAX_REASONS)
    reasons.push({ code: "other", value: null, contribution: rest, text: "All other features" });
  reasons.push({ code: "base", value: null, contribution: base, text: "Where every score starts" });
  return reasons;
}
