import * as z from "zod";
import { DecisionRecord, FraudDecision } from "../decision-record.ts";
import { Order } from "../events/orders.ts";
import { Id } from "../primitives.ts";
import { defineRoute, jsonBody, MODEL_VERSION_HEADER } from "./define.ts";

export const FraudScoreRequest = z
  .union([z.strictObject({ orderId: Id }), z.strictObject({ order: Order })])
  .meta({ id: "FraudScoreRequest", description: "The id of an ingested order, or an order inline" });
export type FraudScoreRequest = z.infer<typeof FraudScoreRequest>;

export const scoreFraud = defineRoute({
  operationId: "scoreFraud",
  method: "post",
  path: "/api/v1/fraud/score",
  tag: "Fraud",
  summary: "Score an order for fraud",
  description:
    "Scores an ingested order by its id, or an order given inline. The decision is stored before it is answered. An inline order counts " +
    "in the velocity features from then on; its event, arriving later, is recognised by the order id. Send `Idempotency-Key` to " +
    "get the same decision again on a retry.",
  access: ["client"],
  query: z.strictObject({
    explain: z.enum(["0", "1"]).optional().meta({ description: "1: reasons also for an approval" }),
  }),
  body: jsonBody(FraudScoreRequest, { maxBytes: 64 * 1024 }),
  responses: {
    200: {
      description: "The decision. `degraded` says what was missing, if anything.",
      schema: FraudDecision,
      headers: { [MODEL_VERSION_HEADER]: "Version that decided; `rules` when the rule set did" },
    },
  },
  errors: [
    "invalid-json",
    "invalid-request",
    "body-too-large",
    "order-not-found",
    "idempotency-conflict",
    "unavailable",
  ],
});

export const getFraudDecision = defineRoute({
  operationId: "getFraudDecision",
  method: "get",
  path: "/api/v1/fraud/orders/{orderId}/decisions",
  tag: "Fraud",
  summary: "Decisions stored for an order",
  access: ["client", "analyst", "operator"],
  params: z.strictObject({ orderId: Id }),
  responses: {
    200: {
      description: "Oldest first",
      schema: z.strictObject({ decisions: z.array(DecisionRecord) }),
    },
  },
  errors: ["invalid-request", "order-not-found"],
});
