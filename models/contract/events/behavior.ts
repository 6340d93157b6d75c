import * as z from "zod";
import { Id, Money, Timestamp } from "../primitives.ts";
import { MAX_ORDER_LINES, OrderLine } from "./orders.ts";
import { defineEvent } from "./define.ts";

/** Who did it; a visitor without an account has only a session. */
const visitor = {
  customerId: Id.optional(),
  sessionId: Id,
  deviceId: Id.optional(),
};
const recommendationId = Id.optional().meta({ description: "The recommendation that led here, for attribution" });

export const BEHAVIOR_EVENTS = {
  "behavior.page_view.v1": defineEvent({
    direction: "in",
    description: "A visitor looked at a page; with a product id, at a product.",
    dataSensitivity: "personal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({
        ...visitor,
        page: z.string().min(1).max(512).meta({ description: "Path, without query" }),
        productId: Id.optional(),
        referrer: z.string().max(512).optional(),
        dwellMs: z.int().min(0).max(86_400_000).optional(),
        recommendationId,
      })
      .meta({ id: "PageView" }),
  }),
  "behavior.add_to_cart.v1": defineEvent({
    direction: "in",
    description: "A visitor put a product into the cart.",
    dataSensitivity: "personal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({
        ...visitor,
        productId: Id,
        quantity: z.int().min(1).max(10_000),
        unitPrice: Money.optional(),
        recommendationId,
      })
      .meta({ id: "AddToCart" }),
  }),
  "behavior.purchase.v1": defineEvent({
    direction: "in",
    description: "A visitor bought products: the behavioural fact, beside the order's own events.",
    dataSensitivity: "personal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({
        ...visitor,
        orderId: Id,
        lines: z.array(OrderLine).min(1).max(MAX_ORDER_LINES),
        recommendationId,
      })
      .meta({ id: "Purchase" }),
  }),
  "behavior.recommendation_feedback.v1": defineEvent({
    direction: "in",
    description: "A visitor acted on a recommended product.",
    dataSensitivity: "personal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({
        recommendationId: Id,
        productId: Id,
        kind: z.enum(["click", "cart", "purchase", "dismiss"]),
        customerId: Id.optional(),
        sessionId: Id.optional(),
      })
      .meta({ id: "RecommendationOutcome" }),
  }),
  "cart.updated.v1": defineEvent({
    direction: "in",
    description: "The whole content of a cart after a change.",
    dataSensitivity: "personal",
    retentionPolicy: "90-days",
    data: z
      .strictObject({ ...visitor, cartId: Id, lines: z.array(OrderLine).max(MAX_ORDER_LINES) })
      .meta({ id: "CartUpdated" }),
  }),
  "customer.segment.recalculated.v1": defineEvent({
    direction: "in",
    description: "A customer was assigned to segments.",
    dataSensitivity: "personal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({
        customerId: Id,
        segments: z.array(z.string().min(1).max(64)).max(50),
        lifetimeValue: Money.optional(),
      })
      .meta({ id: "CustomerSegmentRecalculated" }),
  }),
  "customer.consent.changed.v1": defineEvent({
    direction: "in",
    description: "A customer granted or withdrew consent for a purpose.",
    dataSensitivity: "personal",
    retentionPolicy: "7-years",
    data: z
      .strictObject({
        customerId: Id,
        purpose: z.enum(["personalisation", "analytics", "marketing", "fraud_prevention"]),
        granted: z.boolean(),
        effectiveAt: Timestamp,
      })
      .meta({ id: "CustomerConsentChanged" }),
  }),
  "chat.message.posted.v1": defineEvent({
    direction: "in",
    description: "A message was posted in a chat.",
    dataSensitivity: "personal",
    retentionPolicy: "90-days",
    data: z
      .strictObject({
        messageId: Id,
        conversationId: Id,
        authorId: Id,
        text: z.string().max(8_000),
        language: z
          .string()
          .regex(/^[a-z]{2,3}$/)
          .optional(),
      })
      .meta({ id: "ChatMessagePosted" }),
  }),
  "social.post.created.v1": defineEvent({
    direction: "in",
    description: "A review, question or post was published.",
    dataSensitivity: "personal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({
        postId: Id,
        authorId: Id,
        text: z.string().max(20_000),
        productId: Id.optional(),
        rating: z.int().min(1).max(5).optional(),
        language: z
          .string()
          .regex(/^[a-z]{2,3}$/)
          .optional(),
      })
      .meta({ id: "SocialPostCreated" }),
  }),
} as const;
