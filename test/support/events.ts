import type { InboundEvent } from "../../models/contract/events.ts";
import type { Order } from "../../models/contract/events/orders.ts";

/** A fixed instant that tests count from. */
export const T0 = Date.parse("2026-03-02T12:00:00Z");

export const at = (offsetMs: number): string => new Date(T0 + offsetMs).toISOString();

export function anOrder(overrides: Partial<Order> = {}): Order {
  return {
    orderId: "ord-1",
    customerId: "cus-1",
    customerRegisteredAt: at(-30 * 86_400_000),
    deviceId: "dev-1",
    channel: "web",
    placedAt: at(0),
    total: { amount: 4_999, currency: "EUR" },
    lines: [{ productId: "prd-1", quantity: 1, unitPrice: { amount: 4_999, currency: "EUR" } }],
    payment: { method: "card", cardId: "card-1", cardCountry: "DE" },
    shippingAddress: { addressId: "adr-1", country: "DE" },
    ...overrides,
  };
}

export function aPlacedOrder(order: Partial<Order> = {}, envelope: Partial<InboundEvent> = {}): InboundEvent {
  const data = anOrder(order);
  return {
    specversion: "1.0",
    id: `placed-${data.orderId}`,
    source: "/shop",
    time: data.placedAt,
    ...envelope,
    type: "order.placed.v1",
    data,
  };
}

export function aPaidOrder(order: Partial<Order> = {}, envelope: Partial<InboundEvent> = {}): InboundEvent {
  const data = anOrder(order);
  const paid = { order: data, paidAt: data.placedAt };
  return {
    specversion: "1.0",
    id: `paid-${data.orderId}`,
    source: "/shop",
    time: data.placedAt,
    ...envelope,
    type: "order.paid.v1",
    data: paid,
  };
}

export function aPageView(
  overrides: Record<string, unknown> = {},
  envelope: Record<string, unknown> = {},
): InboundEvent {
  return {
    specversion: "1.0",
    id: "view-1",
    source: "/shop",
    time: at(0),
    ...envelope,
    type: "behavior.page_view.v1",
    data: { sessionId: "ses-1", page: "/p/1", productId: "prd-1", ...overrides },
  };
}
