import { beforeAll, describe, expect, it } from "vitest";
import { plainOrder, suspiciousOrder } from "../../../../batch-training/simulator/demonstration.ts";
import { simulateShop } from "../../../../batch-training/simulator/simulate-shop.ts";
import { Order } from "../../../../models/contract/events/orders.ts";

const END = Date.UTC(2026, 2, 1, 10, 17);
const shop = simulateShop({ seed: "demo", scale: 0.1, end: END });
const orders: Order[] = [];
const prices = new Map<string, number>();

beforeAll(() => {
  for (const { event } of shop.events()) {
    if (event.type === "order.paid.v1") orders.push(event.data.order);
    if (event.type === "catalog.product.updated.v1") prices.set(event.data.productId, event.data.price?.amount ?? 0);
    if (event.type === "pricing.updated.v1") prices.set(event.data.productId, event.data.price.amount);
  }
});

const options = { placedAt: END + 60_000, name: "a1" };

describe.each([
  ["plain", plainOrder],
  ["suspicious", suspiciousOrder],
] as const)("the %s order", (_, make) => {
  it("is valid, of this shop's catalogue and prices, and adds up", () => {
    const order = Order.parse(make(shop, options));
    expect(order.lines.length).toBeGreaterThan(0);
    for (const line of order.lines) expect(prices.get(line.productId)).toBe(line.unitPrice.amount);
    expect(order.total.amount).toBe(order.lines.reduce((sum, line) => sum + line.unitPrice.amount, 0));
    expect(order.placedAt).toBe("2026-03-01T10:18:00.000Z");
  });

  it("needs a past", () => {
    expect(() => make(simulateShop({ seed: "demo", scale: 0.1, end: END }), options)).toThrow("has not been told");
  });

  it("is the same for the same name, and an order of its own for another", () => {
    expect(make(shop, options)).toEqual(make(shop, options));
    expect(make(shop, { ...options, name: "a2" }).orderId).not.toBe(make(shop, options).orderId);
    expect(orders.some((order) => order.orderId === make(shop, options).orderId)).toBe(false);
  });
});

it("the plain order is a loyal customer's, with the device, card and address of earlier orders", () => {
  const order = plainOrder(shop, options);
  const earlier = orders.filter((one) => one.customerId === order.customerId);
  expect(earlier.length).toBeGreaterThan(5);
  expect(earlier.some((one) => one.deviceId === order.deviceId)).toBe(true);
  expect(earlier.some((one) => one.payment.cardId === order.payment.cardId)).toBe(true);
  expect(earlier.some((one) => one.shippingAddress?.addressId === order.shippingAddress?.addressId)).toBe(true);
  const most = Math.max(...earlier.map((one) => one.total.amount));
  expect(order.total.amount).toBeLessThanOrEqual(2 * most);
});

it("the suspicious order takes a known card to a new account, a new device and an address abroad, for much money", () => {
  const order = suspiciousOrder(shop, options);
  expect(orders.some((one) => one.payment.cardId === order.payment.cardId)).toBe(true);
  expect(orders.some((one) => one.customerId === order.customerId || one.deviceId === order.deviceId)).toBe(false);
  expect(order.shippingAddress?.country).not.toBe(order.payment.cardCountry);
  const larger = orders.filter((one) => one.total.amount > order.total.amount).length;
  expect(larger / orders.length).toBeLessThan(0.02);
});
