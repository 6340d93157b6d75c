import { writeFileSync } from "node:fs";
import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../models/catalog/feature-catalog.ts";
import { getFraudDecision } from "../../models/contract/api/fraud.ts";
import type { DecisionRecord } from "../../models/contract/decision-record.ts";
import type { ConsistencyReport } from "../../models/features/consistency.ts";
import type { ApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";
import { connectionArgs } from "../client/connection.ts";
import { checkConsistency } from "../features/check-consistency.ts";
import { type EventLogSnapshot, readEventLogSnapshot } from "../sources/event-log.ts";
import { asUserError, connectOrExplain } from "./connection.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

/** Orders whose decisions are asked for side by side. */
const CONCURRENCY = 16;

export const consistency = strictCommand({
  meta: {
    name: "consistency",
    description:
      "Compare served vectors with the same vectors recomputed from the log; run it on a schedule. Fails above --max-share",
  },
  args: {
    sample: {
      type: "string",
      description: "share of customers compared, whole histories each",
      valueHint: "SHARE",
      default: "1",
    },
    orders: {
      type: "string",
      description: "newest orders whose decisions are fetched",
      valueHint: "N",
      default: "2000",
    },
    maxShare: { type: "string", description: "share of values that may differ", valueHint: "SHARE", default: "0.001" },
    json: { type: "string", description: "write the report", valueHint: "FILE" },
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const sample = share("--sample", args.sample);
    const maxShare = share("--max-share", args.maxShare);
    const client = connectOrExplain(args);
    const log = await readEventLogSnapshot(client).catch(asUserError);
    const decisions = await decisionsOf(client, log, Number(args.orders)).catch(asUserError);
    const report = await checkConsistency({
      events: log.events(),
      decisions,
      catalog: FEATURE_CATALOG,
      service: FRAUD_FEATURES,
      sample,
    });
    if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(report, null, 2)}\n`);
    console.log(consistencyText(report));
    if (report.mismatchShare > maxShare)
      throw new UserError(
        `${(report.mismatchShare * 100).toFixed(3)} % of the values differ, at most ${maxShare * 100} % may`,
      );
  },
});

function share(option: string, text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 1)) throw new UserError(`${option} needs a share from 0 to 1, not "${text}"`, 2);
  return value;
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

function consistencyText(report: ConsistencyReport): string {
  const differing = report.features.filter(({ mismatched, missing, extra }) => mismatched + missing + extra > 0);
  const skipped = Object.entries(report.skipped).map(([reason, count]) => `${count} ${reason}`);
  const lines = [
    `${report.service} ${report.hash.slice(0, 12)}: ${report.decisions} decisions, ${report.features.length} features`,
    `state was ${report.watermarkAge.p50.toFixed(0)} s old at the median, ${report.watermarkAge.p99.toFixed(0)} s at the 99th percentile`,
    ...(skipped.length > 0 ? [`not compared: ${skipped.join(", ")}`] : []),
    differing.length === 0 ? "no difference" : `${differing.length} features differ:`,
    ...differing.map(
      ({ name, mismatched, missing, extra, largestDifference, examples }) =>
        `  ${name}: ${mismatched} mismatched (largest difference ${largestDifference}), ${missing} missing, ${extra} extra; ${examples.join(", ")}`,
    ),
  ];
  return lines.join("\n");
}
