import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type ConsistencyReport,
  getFeatureConsistency,
  publishFeatureConsistency,
  type StoredConsistencyReport,
} from "../../models/contract/api/feature-consistency.ts";
import type { ApiClient } from "../client/api-client.ts";
import { connectionArgs } from "../client/connection.ts";
import { fetchAndCheckConsistency } from "../features/fetch-consistency.ts";
import { asUserError, connectOrExplain } from "./connection.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

export const consistency = strictCommand({
  meta: {
    name: "consistency",
    description:
      "Compare served vectors with the same vectors recomputed from the log. Fails above --max-share; with --every it goes on, for a service",
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
    publish: {
      type: "boolean",
      description: "send the report to the Worker: kept, and shown as metrics",
      default: false,
    },
    every: { type: "string", description: "check and publish again after so many minutes", valueHint: "MINUTES" },
    stored: { type: "boolean", description: "print what was published last, and check nothing", default: false },
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const options = {
      sample: share("--sample", args.sample),
      orders: positive("--orders", args.orders),
      maxShare: share("--max-share", args.maxShare),
      publish: args.publish || args.every !== undefined,
      json: args.json,
    };
    const client = connectOrExplain(args);
    if (args.stored) {
      const { body } = await client.call(getFeatureConsistency).catch(asUserError);
      console.log(body.reports.map(storedText).join("\n\n") || "no report was published yet");
      return;
    }
    if (args.every === undefined) return await checkOnce(client, options);
    const pauseMs = positive("--every", args.every) * 60_000;
    for (;;) {
      // A check that fails is told, and the next one is made all the same: that is what the schedule is for.
      await checkOnce(client, options).catch((error: unknown) => {
        if (!(error instanceof UserError)) throw error;
        console.error(error.message);
      });
      await sleep(pauseMs);
    }
  },
});

interface CheckOptions {
  readonly sample: number;
  readonly orders: number;
  readonly maxShare: number;
  readonly publish: boolean;
  readonly json: string | undefined;
}

async function checkOnce(client: Pick<ApiClient, "call">, options: CheckOptions): Promise<void> {
  const report = await fetchAndCheckConsistency(client, options).catch(asUserError);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  console.log(consistencyText(report));
  if (options.publish)
    await client.call(publishFeatureConsistency, { body: { sample: options.sample, report } }).catch(asUserError);
  if (report.mismatchShare > options.maxShare)
    throw new UserError(
      `${(report.mismatchShare * 100).toFixed(3)} % of the values differ, at most ${options.maxShare * 100} % may`,
    );
}

function share(option: string, text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 1)) throw new UserError(`${option} needs a share from 0 to 1, not "${text}"`, 2);
  return value;
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new UserError(`${option} needs a number above 0, not "${text}"`, 2);
  return value;
}

function storedText({ checkedAt, sample, by, report }: StoredConsistencyReport): string {
  return `checked ${checkedAt} by ${by}, ${sample * 100} % of the customers\n${consistencyText(report)}`;
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
