import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../models/catalog/feature-catalog.ts";
import type { ConsistencyReport } from "../../models/contract/api/feature-consistency.ts";
import { getFraudDecision } from "../../models/contract/api/fraud.ts";
import type { DecisionRecord } from "../../models/contract/decision-record.ts";
import type { ApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";
import { type EventLogSnapshot, readEventLogSnapshot } from "../sources/event-log.ts";
import { checkConsistency } from "./check-consistency.ts";

/** Orders whose decisions are asked for side by side. */
const CONCURRENCY = 16;

/**
 * Fetches the log and the decisions of its newest orders from a Worker, and compares.
 * @throws ApiError
 */
export async function fetchAndCheckConsistency(
  client: Pick<ApiClient, "call">,
  options: { readonly sample: number; readonly orders: number },
): Promise<ConsistencyReport> {
  const log = await readEventLogSnapshot(client);
  return await checkConsistency({
    events: log.events(),
    decisions: await decisionsOf(client, log, options.orders),
    catalog: FEATURE_CATALOG,
    service: FRAUD_FEATURES,
    sample: options.sample,
  });
}

async function decisionsOf(
  client: Pick<ApiClient, "call">,
  log: EventLogSnapshot,
  limit: number,
): Promise<DecisionRecord[]> {
  const ids = new Set<string>();
  for (const event of log.events()) {
    if (event.type === "order.placed.v1") ids.add(event.data.orderId);
    else if (event.type === "order.paid.v1") ids.add(event.data.order.orderId);
  }
  const newest = [...ids].slice(-limit);
  const decisions: DecisionRecord[] = [];
  for (let from = 0; from < newest.length; from += CONCURRENCY) {
    const found = await Promise.all(
      newest.slice(from, from + CONCURRENCY).map(async (orderId) => {
        try {
          return (await client.call(getFraudDecision, { params: { orderId } })).body.decisions;
        } catch (error) {
          // An order that nobody scored.
          if (error instanceof ApiError && error.code === "order-not-found") return [];
          throw error;
        }
      }),
    );
    decisions.push(...found.flat());
  }
  return decisions;
}
