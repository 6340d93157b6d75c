import * as z from "zod";
import { CountryCode, Id, Money, Pseudonym, Timestamp } from "../primitives.ts";
import { defineEvent } from "./define.ts";

/** 200 lines: a large wholesale basket; keeps one event far below the queue's 128 KB message. */
export const MAX_ORDER_LINES = 200;

export const OrderLine = z
  .strictObject({
    productId: Id,
    quantity: z.int().min(1).max(10_000),
    unitPrice: Money,
    category: z.string().min(1).max(64).optional(),
  })
  .meta({ id: "OrderLine", description: "One line of an order" });

export const Address = z
  .strictObject({
    addressId: Id.meta({ description: "Stable id of the normalised address" }),
    country: CountryCode,
    postalCode: z.string().min(1).max(16).optional(),
  })
  .meta({ id: "Address", description: "A postal address, by reference" });

export const Payment = z
  .strictObject({
    method: z.enum(["card", "wallet", "invoice", "bank_transfer", "voucher"]),
    cardId: Id.optional().meta({ description: "Token or fingerprint of the card, never its number" }),
    cardCountry: CountryCode.optional(),
    authenticated: z.boolean().optional().meta({ description: "Strong customer authentication succeeded" }),
  })
  .meta({ id: "Payment", description: "How an order is paid" });

/** An order as the shop knows it when it is placed. The unit of a fraud decision. */
export const Order = z
  .strictObject({
    orderId: Id,
    customerId: Id,
    customerRegisteredAt: Timestamp.optional(),
    sessionId: Id.optional(),
    deviceId: Id.optional(),
    terminalId: Id.optional().meta({ description: "Point of sale, for card-present payments" }),
    ipAddress: z.union([z.ipv4(), z.ipv6(), Pseudonym]).optional(),
    channel: z.enum(["web", "app", "store", "phone"]),
    placedAt: Timestamp,
    total: Money,
    lines: z.array(OrderLine).max(MAX_ORDER_LINES),
    payment: Payment,
    billingAddress: Address.optional(),
    shippingAddress: Address.optional(),
  })
  .meta({
    id: "Order",
    description: "An order with its customer, device, card, addresses, terminal and lines",
    example: {
      orderId: "ord-10001",
      customerId: "cus-7",
      customerRegisteredAt: "2025-11-02T09:00:00Z",
      deviceId: "dev-3",
      channel: "web",
      placedAt: "2026-03-01T12:30:00Z",
      total: { amount: 4999, currency: "EUR" },
      lines: [{ productId: "prd-12", quantity: 1, unitPrice: { amount: 4999, currency: "EUR" }, category: "shoes" }],
      payment: { method: "card", cardId: "card-55", cardCountry: "DE", authenticated: true },
      shippingAddress: { addressId: "adr-9", country: "DE" },
    },
  });
export type Order = z.infer<typeof Order>;

/** Which order a later fact is about, with the entities that the fact changes and the time of the order itself. */
const aboutOrder = {
  orderId: Id,
  customerId: Id,
  deviceId: Id.optional(),
  cardId: Id.optional(),
  terminalId: Id.optional(),
  orderPlacedAt: Timestamp,
};

export const ORDER_EVENTS = {
  "order.placed.v1": defineEvent({
    direction: "in",
    description: "A customer placed an order; payment has not been confirmed.",
    dataSensitivity: "personal",
    retentionPolicy: "400-days",
    data: Order,
  }),
  "order.paid.v1": defineEvent({
    direction: "in",
    description: "Payment of an order was confirmed. Carries the whole order, so that it can be scored on its own.",
    dataSensitivity: "personal",
    retentionPolicy: "400-days",
    data: z.strictObject({ order: Order, paidAt: Timestamp }).meta({ id: "OrderPaid" }),
  }),
  "order.refunded.v1": defineEvent({
    direction: "in",
    description: "An order was refunded in whole or in part.",
    dataSensitivity: "personal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({ ...aboutOrder, amount: Money, reason: z.string().max(200).optional() })
      .meta({ id: "OrderRefunded" }),
  }),
  "payment.chargeback.v1": defineEvent({
    direction: "in",
    description: "A payment was charged back: the label of a fraudulent order, usually weeks late.",
    dataSensitivity: "personal",
    retentionPolicy: "400-days",
    data: z
      .strictObject({ ...aboutOrder, amount: Money, reason: z.enum(["fraud", "dispute", "processing_error"]) })
      .meta({ id: "PaymentChargeback" }),
  }),
} as const;
