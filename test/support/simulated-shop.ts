import { simulateShop } from "../../batch-training/simulator/simulate-shop.ts";
import type { SimulatedEvent, SimulationOptions } from "../../batch-training/simulator/world.ts";
import type { Event, InboundEventType } from "../../models/contract/events.ts";

/** When simulated pasts of tests end. */
export const END = Date.UTC(2026, 2, 1, 10, 17);

export const simulate = (options: Partial<SimulationOptions> = {}): SimulatedEvent[] => [
  ...simulateShop({ seed: "1", scale: 0.1, end: END, ...options }).events(),
];

/** The events of one type, with what only the simulation knows. */
export function ofType<T extends InboundEventType>(
  told: readonly SimulatedEvent[],
  type: T,
): { event: Event<T>; truth: SimulatedEvent["truth"]; at: number; recordedAt: number }[] {
  return told.flatMap(({ event, truth }) =>
    event.type === type
      ? [
          {
            event: event as unknown as Event<T>,
            truth,
            at: Date.parse(event.time),
            recordedAt: Date.parse(event.recordedtime ?? event.time),
          },
        ]
      : [],
  );
}
