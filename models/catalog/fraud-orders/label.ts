import type { EventData } from "../../contract/events.ts";
import { source } from "../../features/definition.ts";
import { constant, equal } from "../../features/expression.ts";

/** An order is fraudulent if it was charged back as fraud: one fact per order, visible once it is reported. */
export const fraudLabel = source<EventData<"payment.chargeback.v1">>({
  name: "fraud_label",
  version: 1,
  events: [{ type: "payment.chargeback.v1", root: "" }],
  identity: (chargeback) => chargeback.text("orderId"),
  time: (chargeback) => chargeback.time("orderPlacedAt"),
  where: (chargeback) => equal(chargeback.text("reason"), constant("fraud")),
});
