import { simulateShop } from "../../batch-training/simulator/simulate-shop.ts";
import type { StoredEvent } from "../../models/contract/events.ts";

/** Events of a small simulated shop, as the Worker would have logged them. Same seed, same events. */
export function simulatedShopEvents(options: { seed: string; scale: number; days: number }): StoredEvent[] {
  const shop = simulateShop({ ...options, end: Date.parse("2026-01-26T00:00:00Z") });
  return Array.from(shop.events(), ({ event }) => {
    const { recordedtime, time } = event as { recordedtime?: string; time: string };
    return { ...event, tenant: "default", ingestedAt: Date.parse(recordedtime ?? time) };
  });
}
