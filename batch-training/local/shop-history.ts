import type { InboundEvent } from "../../models/contract/events.ts";
import { plainOrder, suspiciousOrder } from "../simulator/demonstration.ts";
import { simulateShop } from "../simulator/simulate-shop.ts";
import type { RunParameters } from "./local-state.ts";
import type { History } from "./run-local-system.ts";

/** The simulated shop's past as events to send. */
export function shopHistory({ seed, scale, end }: RunParameters): History {
  const shop = simulateShop({ seed: String(seed), scale, end });
  return {
    *events(): Generator<InboundEvent> {
      for (const { event } of shop.events()) yield event;
    },
    demonstration: (placedAt, name) => ({
      plain: plainOrder(shop, { placedAt, name }),
      suspicious: suspiciousOrder(shop, { placedAt, name }),
    }),
    report: () => null,
  };
}
