import type { InboundEvent } from "../../models/contract/events.ts";
import { planRetailImport } from "../sources/online-retail.ts";
import type { RunParameters } from "./local-state.ts";
import type { History } from "./run-local-system.ts";

/** Real purchases as events to send; there is nothing to learn fraud from. Every row is accepted or refused; `report` has the counts. */
export async function retailHistory({ folder, end }: Pick<RunParameters, "folder" | "end">): Promise<History> {
  const plan = await planRetailImport(folder ?? ".", end);
  return {
    events: (): Iterable<InboundEvent> => plan.events(),
    demonstration: null,
    visitors: () => [plan.visitor],
    shoppers: null,
    report: () => ({
      file: plan.file,
      sha256: plan.sha256,
      offsetDays: plan.offsetMs / 86_400_000,
      rows: plan.rows,
      acceptedRows: plan.accepted,
      refusedRows: plan.refused,
      customers: plan.customers,
      products: plan.products,
      orders: plan.orders,
    }),
  };
}
