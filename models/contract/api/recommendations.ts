import * as z from "zod";
import { Id, ModelName, ModelVersion, Timestamp } from "../primitives.ts";
import { RECOMMENDATION_FLAGS } from "../recommendation-flags.ts";
import { ARMS } from "../../recommend/experiment.ts";
import { defineRoute, jsonBody, MODEL_VERSION_HEADER } from "./define.ts";

/** 100 items: two screens of any shop; keeps the answer small and the ranking in budget. */
export const MAX_RECOMMENDATIONS = 100;

export const RecommendationPlacement = z
  .enum(["home", "product", "basket", "category", "content", "trending"])
  .meta({ id: "RecommendationPlacement" });

const RecommendationContext = z
  .strictObject({
    productId: Id.optional().meta({ description: "The product in view" }),
    basket: z.array(Id).max(100).optional(),
    sessionId: Id.optional(),
    recentProductIds: z.array(Id).max(100).optional().meta({ description: "Newest last" }),
    excludeProductIds: z.array(Id).max(500).optional(),
    categories: z.array(z.string().min(1).max(64)).max(16).optional(),
    priceFrom: z.int().min(0).optional(),
    priceTo: z.int().min(0).optional(),
  })
  .meta({ id: "RecommendationContext" });

export const RecommendationRequest = z
  .strictObject({
    userId: Id.optional(),
    placement: RecommendationPlacement.default("home"),
    limit: z.int().min(1).max(MAX_RECOMMENDATIONS).default(10),
    context: RecommendationContext.optional(),
  })
  .meta({ id: "RecommendationRequest" });

export const RecommendedItem = z
  .strictObject({
    productId: Id,
    position: z.int().min(1),
    score: z.number(),
    source: z.string().max(64).meta({ description: "The candidate source that found the item" }),
    reason: z.string().max(200),
  })
  .meta({ id: "RecommendedItem" });

export const RecommendationResponse = z
  .strictObject({
    recommendationId: Id,
    items: z.array(RecommendedItem).max(MAX_RECOMMENDATIONS),
    model: ModelName.nullable(),
    modelVersion: ModelVersion.nullable(),
    arm: z.enum(ARMS).meta({
      description:
        "`recommender`; `control`: popularity and the catalogue on purpose, to compare with; `outside`: the list is not part of that comparison",
    }),
    degraded: z.array(z.string()).meta({
      description: Object.entries(RECOMMENDATION_FLAGS)
        .map(([flag, text]) => `${flag}: ${text}`)
        .join("; "),
    }),
  })
  .meta({ id: "RecommendationResponse" });

const responses = {
  200: {
    description: "Never empty while the catalogue is not",
    schema: RecommendationResponse,
    headers: { [MODEL_VERSION_HEADER]: "Version that ranked; `popularity` when none did" },
  },
};

export const recommendProducts = defineRoute({
  operationId: "recommendProducts",
  method: "get",
  path: "/api/v1/recommendations/products",
  tag: "Recommendations",
  summary: "Products for a customer",
  access: ["client"],
  query: z.strictObject({ userId: Id, limit: z.coerce.number().int().min(1).max(MAX_RECOMMENDATIONS).default(10) }),
  responses,
  errors: ["invalid-request"],
});

export const recommend = defineRoute({
  operationId: "recommend",
  method: "post",
  path: "/api/v1/recommendations",
  tag: "Recommendations",
  summary: "Products for a customer in a context",
  access: ["client"],
  body: jsonBody(RecommendationRequest, { maxBytes: 64 * 1024 }),
  responses,
  errors: ["invalid-json", "invalid-request", "body-too-large"],
});

export const recommendBulk = defineRoute({
  operationId: "recommendBulk",
  method: "post",
  path: "/api/v1/recommendations/bulk",
  tag: "Recommendations",
  summary: "Several recommendation requests at once",
  access: ["client"],
  body: jsonBody(
    z
      .strictObject({ requests: z.array(RecommendationRequest).min(1).max(100) })
      .meta({ id: "RecommendationBulkRequest" }),
    {
      maxBytes: 1024 * 1024,
    },
  ),
  responses: {
    200: {
      description: "In the order of the request",
      schema: z.strictObject({ responses: z.array(RecommendationResponse) }),
    },
  },
  errors: ["invalid-json", "invalid-request", "body-too-large", "unavailable"],
});

export const RecommendationFeedback = z
  .strictObject({
    recommendationId: Id,
    productId: Id,
    kind: z.enum(["click", "cart", "purchase", "dismiss"]),
    userId: Id.optional().meta({ description: "Whose history the outcome belongs to; needed for `dismiss` to last" }),
    sessionId: Id.optional(),
    occurredAt: Timestamp.optional().meta({ description: "Now, where it is not given" }),
  })
  .meta({ id: "RecommendationFeedback" });

export const FeedbackResponse = z.strictObject({ accepted: z.int().min(0), unknown: z.array(z.string()) }).meta({
  id: "FeedbackResponse",
  description: "`unknown`: recommendation ids that no answer had, or that are too old",
});

export const sendFeedback = defineRoute({
  operationId: "sendFeedback",
  method: "post",
  path: "/api/v1/feedback",
  tag: "Recommendations",
  summary: "Attribute clicks, carts and purchases to recommendations",
  description:
    "One outcome or up to 100. The same outcome of the same product counts once. Behaviour events with a recommendationId say the same and need not be sent twice.",
  access: ["client", "producer"],
  body: jsonBody(z.union([RecommendationFeedback, z.array(RecommendationFeedback).min(1).max(100)]), {
    maxBytes: 64 * 1024,
  }),
  responses: { 202: { description: "Handed to the durable queue", schema: FeedbackResponse } },
  errors: ["invalid-json", "invalid-request", "body-too-large", "recommendation-not-found"],
});
