import * as z from "zod";
import { Id, ModelName, ModelVersion, Probability, Sha256, TenantId, Timestamp } from "./primitives.ts";

/** What a fraud decision tells the shop to do with the order. */
export const FraudOutcome = z
  .enum(["approve", "review", "decline"])
  .meta({ id: "FraudOutcome", description: "approve: ship; review: hold for a person; decline: refuse" });
export type FraudOutcome = z.infer<typeof FraudOutcome>;

/** Why an answer is less than it could be. The answer still holds; the flag says which part was missing. */
export const DEGRADED_FLAGS = {
  "no-model": "no version is promoted; the stated rule set answered",
  "model-refused": "the promoted version failed verification and no earlier one is loaded; the rule set answered",
  "model-stale": "the promoted version is not loadable yet; the previous one answered",
  "feature-set-unknown": "the model is pinned to a feature service this build does not have; the rule set answered",
  "features-missing": "entity state could not be read before the deadline; defaults were used",
  "features-stale": "entity state came from memory and could not be confirmed before the deadline",
  "engine-failed": "the engine refused the row; the rule set answered",
  "explanation-missing": "reasons could not be computed for this model",
  "decision-set-aside":
    "the decision's shard did not answer; the decision is in the decision log, not among the order's",
} as const;
export type DegradedFlag = keyof typeof DEGRADED_FLAGS;
export const DegradedFlag = z.enum(Object.keys(DEGRADED_FLAGS) as [DegradedFlag, ...DegradedFlag[]]).meta({
  id: "DegradedFlag",
  description: Object.entries(DEGRADED_FLAGS)
    .map(([flag, text]) => `${flag}: ${text}`)
    .join("; "),
});

/** One reason: an exact attribution of a tree model on the raw (log-odds) scale, or a rule that fired. */
export const ReasonCode = z
  .strictObject({
    code: z.string().min(1).max(96).meta({ description: "Feature name, or rule name prefixed `rule:`" }),
    value: z.number().nullable().meta({ description: "The feature's value; null when missing" }),
    contribution: z.number().meta({ description: "Share of the raw score; base + all contributions = raw score" }),
    text: z.string().max(200),
  })
  .meta({ id: "ReasonCode" });
export type ReasonCode = z.infer<typeof ReasonCode>;

/** How current the state behind a vector was: per entity, its version and the newest ingestion time it contains. */
export const Watermark = z
  .strictObject({ entity: z.string().max(256), version: z.int().min(0), ingestedAt: z.int().min(0) })
  .meta({ id: "Watermark" });
export type Watermark = z.infer<typeof Watermark>;

/** Everything needed to answer for a decision later: stored before the decision is answered, never changed. */
export const DecisionRecord = z
  .object({
    v: z.literal(1),
    decisionId: Id,
    tenant: TenantId,
    kind: z.literal("fraud"),
    trigger: z.enum(["api", "order-paid"]),
    orderId: Id,
    subject: z.string().max(64).meta({ description: "Keyed pseudonym of the customer" }),
    model: ModelName.nullable(),
    modelVersion: ModelVersion.nullable(),
    arm: z.string().max(32).meta({ description: "Routing arm that was assigned; `serving` without an experiment" }),
    epoch: z.int().min(0).meta({ description: "Epoch of the routing record that was used; 0 without one" }),
    featureService: z.strictObject({ name: z.string().max(96), hash: Sha256 }),
    featureVectorId: Sha256.meta({ description: "SHA-256 over service hash, as-of time and the vector's bytes" }),
    vector: z
      .array(z.number().nullable())
      .max(1_024)
      .meta({ description: "The encoded vector; null stands for missing (NaN)" }),
    watermarks: z.array(Watermark).max(32),
    asOf: z.int().meta({ description: "Epoch milliseconds the features were finished at" }),
    rawScore: z.number().nullable(),
    score: Probability,
    outcome: FraudOutcome,
    reasons: z.array(ReasonCode).max(64),
    degraded: z.array(DegradedFlag),
    decidedAt: z.int().meta({ description: "Epoch milliseconds" }),
  })
  .meta({ id: "DecisionRecord" });
export type DecisionRecord = z.infer<typeof DecisionRecord>;

/** A decision as it is answered over HTTP. */
export const FraudDecision = z
  .strictObject({
    decisionId: Id,
    orderId: Id,
    score: Probability.meta({ description: "Calibrated probability that the order is fraudulent" }),
    decision: FraudOutcome,
    model: ModelName.nullable(),
    modelVersion: ModelVersion.nullable().meta({ description: "Null when the rule set answered" }),
    featureVectorId: Sha256,
    reasons: z.array(ReasonCode),
    degraded: z.array(DegradedFlag),
    decidedAt: Timestamp,
  })
  .meta({ id: "FraudDecision", description: "A fraud decision" });
export type FraudDecision = z.infer<typeof FraudDecision>;
