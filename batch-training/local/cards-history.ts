import type { InboundEvent } from "../../models/contract/events.ts";
import type { Order } from "../../models/contract/events/orders.ts";
import { planCardImport } from "../sources/handbook-cards.ts";
import type { RunParameters } from "./local-state.ts";
import type { History } from "./run-local-system.ts";

/** An amount far above what the simulated cardholders spend, in minor units. */
const SUSPICIOUS_CENTS = 64_900;

/** Card transactions with labels as events to send. Every row is accepted or refused; `report` has the counts. */
export async function cardsHistory({ folder, end, days, seed }: RunParameters): Promise<History> {
  const plan = await planCardImport({ path: folder ?? ".", now: end, days, seed: String(seed) });
  let last: Order | null = null;
  return {
    async *events(): AsyncGenerator<InboundEvent> {
      for await (const event of plan.events()) {
        if (event.type === "order.paid.v1") last = event.data.order;
        yield event;
      }
    },
    demonstration: (placedAt, name) => {
      if (last === null) throw new Error("the import had no transaction");
      const usual = { ...last, orderId: `demo-plain-${name}`, placedAt: new Date(placedAt).toISOString() };
      const suspicious = {
        ...usual,
        orderId: `demo-suspicious-${name}`,
        total: { ...last.total, amount: SUSPICIOUS_CENTS },
      };
      return { plain: usual, suspicious };
    },
    visitors: null,
    shoppers: null,
    report: () => ({
      files: plan.files.length,
      sha256: plan.sha256,
      offsetDays: plan.offsetMs / 86_400_000,
      rows: plan.read,
      refusedRows: plan.refusedRows,
      events: plan.made,
    }),
  };
}
