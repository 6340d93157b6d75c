import type { InboundEvent } from "../../../models/contract/events.ts";
import { SeededRandom } from "../../support/seeded-random.ts";

const VIEWS = 12;
const MINUTE_MS = 60_000;

/** Twelve products looked at by each visitor within the last day. */
export function behavior({ visitors, items }: { readonly visitors: number; readonly items: number }): InboundEvent[] {
  const random = new SeededRandom(items);
  const now = Date.now();
  return Array.from({ length: visitors * VIEWS }, (_, at): InboundEvent => {
    const visitor = Math.floor(at / VIEWS);
    const productId = `p-${Math.floor(items * random.next() ** 2)}`;
    const data = { customerId: `v-${visitor}`, sessionId: `s-${visitor}`, page: `/p/${productId}`, productId };
    const time = new Date(now - (VIEWS - (at % VIEWS)) * 90 * MINUTE_MS).toISOString();
    return {
      specversion: "1.0",
      id: `view-${items}-${at}`,
      source: "/bench",
      time,
      type: "behavior.page_view.v1",
      data,
    };
  });
}
