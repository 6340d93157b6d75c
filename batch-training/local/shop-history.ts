import type { InboundEvent } from "../../models/contract/events.ts";
import { plainOrder, suspiciousOrder } from "../simulator/demonstration.ts";
import { Shoppers } from "../simulator/shoppers.ts";
import { simulateShop } from "../simulator/simulate-shop.ts";
import type { RunParameters } from "./local-state.ts";
import type { History } from "./run-local-system.ts";
import { shiftTimes } from "./shift-times.ts";

const WEEK_MS = 7 * 86_400_000;

/**
 * The shop's past is always told as if it ended here, a Monday, and then moved by whole weeks to end within the last one: a seed means the same
 * shop whenever it is started, with the same model and the same gates, and weekdays and hours stay what they were.
 */
const TOLD_AS_OF = Date.parse("2026-01-26T00:00:00Z");

export interface ShopHistory extends History {
  events(): Iterable<InboundEvent>;
  readonly demonstration: NonNullable<History["demonstration"]>;
  readonly visitors: NonNullable<History["visitors"]>;
  readonly shoppers: NonNullable<History["shoppers"]>;
}

/** Orders from which a customer has a past worth showing. */
const PAST_ORDERS = 3;
/** Regular customers that are named, the newest first: all of them in the control arm would be a miracle. */
const REGULARS = 20;

/** The simulated shop's past as events to send. */
export function shopHistory({ seed, scale, end }: Pick<RunParameters, "seed" | "scale" | "end">): ShopHistory {
  const shop = simulateShop({ seed: String(seed), scale, end: TOLD_AS_OF });
  const offsetMs = Math.floor((end - TOLD_AS_OF) / WEEK_MS) * WEEK_MS;
  const orders = new Map<string, number>();
  const regulars: string[] = [];
  return {
    *events(): Generator<InboundEvent> {
      for (const { event } of shop.events()) {
        if (event.type === "order.placed.v1") {
          const { customerId } = event.data;
          const placed = (orders.get(customerId) ?? 0) + 1;
          orders.set(customerId, placed);
          if (placed >= PAST_ORDERS || regulars.length === 0) regulars.push(customerId);
        }
        yield shiftTimes(event, offsetMs);
      }
    },
    visitors: () => [...new Set(regulars.toReversed())].slice(0, REGULARS),
    shoppers: () => new Shoppers(shop),
    demonstration: (placedAt, name) => {
      const told = { placedAt: placedAt - offsetMs, name };
      return {
        plain: shiftTimes(plainOrder(shop, told), offsetMs),
        suspicious: shiftTimes(suspiciousOrder(shop, told), offsetMs),
      };
    },
    report: () => null,
  };
}
