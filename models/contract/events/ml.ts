import * as z from "zod";
import { Id, ModelName, ModelVersion, Probability, Timestamp } from "../primitives.ts";
import { FraudOutcome, ReasonCode } from "../decision-record.ts";
import { ARMS } from "../recommendation-arms.ts";
import { defineEvent } from "./define.ts";

/** Events that Edgewise sends out. Their ids are derived from the stored decision, so a re-send is recognisable. */
export const ML_EVENTS = {
  "ml.fraud.order.scored.v1": defineEvent({
    direction: "out",
    description: "A paid order was scored for fraud.",
    dataSensitivity: "internal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({
        orderId: Id,
        decisionId: Id,
        score: Probability,
        outcome: FraudOutcome,
        model: ModelName.nullable(),
        modelVersion: ModelVersion.nullable(),
        reasons: z.array(ReasonCode),
        degraded: z.array(z.string()),
        decidedAt: Timestamp,
      })
      .meta({ id: "FraudOrderScored" }),
  }),
  "ml.recommendation.served.v1": defineEvent({
    direction: "out",
    description: "A list of recommendations was answered.",
    dataSensitivity: "personal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({
        recommendationId: Id,
        customerId: Id.optional(),
        sessionId: Id.optional(),
        items: z
          .array(z.strictObject({ productId: Id, position: z.int().min(1), source: z.string().max(64) }))
          .max(200),
        model: ModelName.nullable(),
        modelVersion: ModelVersion.nullable(),
        arm: z.enum(ARMS).meta({ description: "Who made the list, see the answer" }),
        degraded: z.array(z.string()),
      })
      .meta({ id: "RecommendationServed" }),
  }),
  "ml.recommendation.feedback.v1": defineEvent({
    direction: "out",
    description: "An outcome was attributed to a recommendation.",
    dataSensitivity: "personal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({
        recommendationId: Id,
        productId: Id,
        kind: z.enum(["click", "cart", "purchase", "dismiss"]),
        occurredAt: Timestamp,
      })
      .meta({ id: "RecommendationFeedback" }),
  }),
  "ml.anomaly.detected.v1": defineEvent({
    direction: "out",
    description: "A sensor's reading was anomalous.",
    dataSensitivity: "internal",
    retentionPolicy: "90-days",
    data: z
      .strictObject({ sensorId: Id, score: Probability, channel: z.string().max(64).nullable(), detectedAt: Timestamp })
      .meta({ id: "AnomalyDetected" }),
  }),
  "ml.content.moderated.v1": defineEvent({
    direction: "out",
    description: "A message or post was labelled.",
    dataSensitivity: "internal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({
        contentId: Id,
        labels: z.array(z.strictObject({ label: z.string().max(64), score: Probability })).max(50),
        action: z.enum(["allow", "review", "remove"]),
      })
      .meta({ id: "ContentModerated" }),
  }),
  "ml.model.promoted.v1": defineEvent({
    direction: "out",
    description: "The serving version of a model changed.",
    dataSensitivity: "internal",
    retentionPolicy: "7-years",
    data: z
      .strictObject({
        model: ModelName,
        version: ModelVersion,
        previousVersion: ModelVersion.nullable(),
        epoch: z.int().min(1),
        reason: z.enum(["promote", "rollback"]),
      })
      .meta({ id: "ModelPromoted" }),
  }),
  "ml.alert.raised.v1": defineEvent({
    direction: "out",
    description: "Monitoring raised an alert.",
    dataSensitivity: "internal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({
        alertId: Id,
        kind: z.string().max(64),
        severity: z.enum(["info", "warning", "critical"]),
        summary: z.string().max(500),
        model: ModelName.nullable(),
      })
      .meta({ id: "AlertRaised" }),
  }),
} as const;
