import type { StoredEvent } from "../../models/contract/events.ts";
import { anOrder, aPaidOrder, aPlacedOrder, T0 } from "./events.ts";
import { SeededRandom } from "./seeded-random.ts";

const HOUR_MS = 3_600_000;

/**
 * A log in order of visibility: orders placed and later paid by few customers on few devices and terminals, seen late by up to two
 * hours, some delivered twice, some charged back a week or two on.
 */
export function generatedLog(orders: number, seed: number): StoredEvent[] {
  const random = new SeededRandom(seed);
  const pick = (count: number): number => random.below(count);
  const events: StoredEvent[] = [];
  for (let i = 0; i < orders; i++) {
    const placedAt = T0 + Math.floor((i * 60 * 24 * HOUR_MS) / orders) + pick(HOUR_MS);
    const order = anOrder({
      orderId: `o${i}`,
      customerId: `c${pick(20)}`,
      deviceId: `d${pick(25)}`,
      placedAt: new Date(placedAt).toISOString(),
      total: { amount: 100 + pick(50_000), currency: "EUR" },
      payment: { method: "card", cardId: `k${pick(30)}`, cardCountry: pick(4) === 0 ? "FR" : "DE" },
      ...(pick(2) === 0 ? { terminalId: `t${pick(6)}` } : {}),
    });
    const seenAt = placedAt + pick(2 * HOUR_MS);
    const stored = (event: object, ingestedAt: number): StoredEvent =>
      ({ ...event, tenant: "default", ingestedAt }) as StoredEvent;
    const placed = stored(aPlacedOrder(order), seenAt);
    events.push(placed);
    if (pick(10) === 0) events.push({ ...placed, ingestedAt: seenAt + pick(HOUR_MS) });
    if (pick(3) > 0) events.push(stored(aPaidOrder(order), seenAt + pick(HOUR_MS)));
    if (pick(8) === 0) {
      const reportedAt = placedAt + (5 + pick(10)) * 24 * HOUR_MS;
      const { orderId, customerId, deviceId, terminalId } = order;
      const data = {
        orderId,
        customerId,
        deviceId,
        terminalId,
        cardId: order.payment.cardId,
        orderPlacedAt: order.placedAt,
      };
      const reason = pick(5) === 0 ? "dispute" : "fraud";
      events.push(
        stored(
          {
            specversion: "1.0",
            id: `cb-${i}`,
            source: "/shop",
            time: new Date(reportedAt).toISOString(),
            type: "payment.chargeback.v1",
            data: { ...data, amount: order.total, reason },
          },
          reportedAt,
        ),
      );
    }
  }
  return events
    .map((event, at) => ({ event, at }))
    .toSorted((a, b) => a.event.ingestedAt - b.event.ingestedAt || a.at - b.at)
    .map(({ event }) => event);
}
