import * as z from "zod";
import { Id, ModelName, ModelVersion, Timestamp } from "../primitives.ts";
import { ARMS } from "../recommendation-arms.ts";
import { RECOMMENDATION_FLAGS } from "../recommendation-flags.ts";
import { defineRoute, type Examples, jsonBody, MODEL_VERSION_HEADER } from "./define.ts";

/** 100 items: two screens of any shop; keeps the answer small and the ranking in budget. */
export const MAX_RECOMMENDATIONS = 100;

export const RecommendationPlacement = z.enum(["home", "product", "basket", "category", "content", "trending"]).meta({
  id: "RecommendationPlacement",
  description:
    "home: for the customer; product: to the product in view; basket: bought together with what is in it; category: within `categories`; content: " +
    "like the product in view by category and brand; trending: what many look at now",
});

const RecommendationContext = z
  .strictObject({
    productId: Id.optional().meta({ description: "The product in view" }),
    basket: z.array(Id).max(100).optional().meta({ description: "Products in the basket" }),
    sessionId: Id.optional().meta({
      description: "As in behaviour events; the history of somebody without an account",
    }),
    recentProductIds: z.array(Id).max(100).optional().meta({ description: "Newest last" }),
    excludeProductIds: z.array(Id).max(500).optional().meta({ description: "Never shown, whatever else is relaxed" }),
    categories: z.array(z.string().min(1).max(64)).max(16).optional().meta({ description: "Only these" }),
    priceFrom: z.int().min(0).optional().meta({ description: "Minor units" }),
    priceTo: z.int().min(0).optional().meta({ description: "Minor units, not below `priceFrom`" }),
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
    source: z
      .string()
      .max(64)
      .meta({
        description:
          "What speaks loudest for the item: embeddings, neighbours, sessions, repeat (of the visitor); similar, together, content (of the page); popular, " +
          "trending, new, scores, catalogue (of the shop)",
      }),
    reason: z.string().max(200).meta({ description: "Why, for a person; products are named by their ids" }),
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

const RECOMMENDATION_ID = "rec-mwp1jswm-rz1zj9ufzvur-i1NSosIq1e";
const ANSWER = {
  recommendationId: RECOMMENDATION_ID,
  items: [
    { productId: "prd-378", position: 1, score: 2.71, source: "repeat", reason: "You bought this before" },
    {
      productId: "prd-352",
      position: 2,
      score: 0.93,
      source: "together",
      reason: "Often bought together with prd-378",
    },
  ],
  model: "product-recommendations",
  modelVersion: "a225823f97bcb46d50e981f5c4218c3a057d59f71d3a8ced5a18b935d0b454f3",
  arm: "recommender",
  degraded: [],
};

const responses = {
  200: {
    description: "Never empty while there is a product that may be shown; where there is none, `degraded` says so",
    schema: RecommendationResponse,
    examples: { list: { summary: "Two products with their reasons", value: ANSWER } },
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

const REQUESTS: Examples = {
  home: { summary: "For a customer", value: { userId: "cus-7", limit: 10 } },
  product: {
    summary: "On the page of a product, for somebody without an account",
    value: { placement: "product", limit: 6, context: { productId: "prd-42", sessionId: "ses-9" } },
  },
  basket: {
    summary: "Bought together with the basket",
    value: { userId: "cus-7", placement: "basket", limit: 4, context: { basket: ["prd-42", "prd-50"] } },
  },
  category: {
    summary: "In a category and a price band, without what the page shows already",
    value: {
      placement: "category",
      context: { categories: ["laptops"], priceFrom: 50_000, priceTo: 150_000, excludeProductIds: ["prd-42"] },
    },
  },
};

export const recommend = defineRoute({
  operationId: "recommend",
  method: "post",
  path: "/api/v1/recommendations",
  tag: "Recommendations",
  summary: "Products for a customer in a context",
  access: ["client"],
  body: jsonBody(RecommendationRequest, { maxBytes: 64 * 1024, examples: REQUESTS }),
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
      examples: {
        two: {
          summary: "A home page and what goes with the basket, in one call",
          value: { requests: [{ userId: "cus-7" }, { placement: "basket", context: { basket: ["prd-42"] } }] },
        },
      },
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

const CLICK = { recommendationId: RECOMMENDATION_ID, productId: "prd-352", kind: "click", userId: "cus-7" };
const FEEDBACK: Examples = {
  click: { summary: "A product of the list was clicked", value: CLICK },
  several: {
    summary: "A purchase, and a product that the customer does not want to see again",
    value: [
      { ...CLICK, kind: "purchase" },
      { ...CLICK, productId: "prd-378", kind: "dismiss" },
    ],
  },
};

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
    examples: FEEDBACK,
  }),
  responses: { 202: { description: "Handed to the durable queue", schema: FeedbackResponse } },
  errors: ["invalid-json", "invalid-request", "body-too-large", "recommendation-not-found"],
});
