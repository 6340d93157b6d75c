/** One thread of `buildFeatures`: takes jobs one at a time and answers each. */
import { parentPort } from "node:worker_threads";
import { FEATURE_CATALOG, featureService } from "../../models/catalog/feature-catalog.ts";
import { fraudLabel } from "../../models/catalog/fraud-orders/label.ts";
import { buildPartition } from "./build-partition.ts";
import { partitionLog } from "./partition-log.ts";

export type BuildJob = {
  readonly folder: string;
  readonly service: string;
} & (
  | {
      readonly pass: 1;
      readonly files: readonly { readonly path: string; readonly number: number }[];
      readonly partitions: number;
      readonly writer: number;
      readonly from: number;
      readonly to: number;
    }
  | { readonly pass: 2; readonly partition: number; readonly writers: number; readonly maturityMs: number }
);

export type BuildAnswer =
  | { readonly ok: true; readonly events: number; readonly newest: number }
  | { readonly ok: false; readonly message: string };

async function run(job: BuildJob): Promise<BuildAnswer> {
  const service = featureService(job.service);
  if (!service) throw new Error(`there is no feature service ${job.service}`);
  if (job.pass === 1) {
    const counts = await partitionLog({ ...job, catalog: FEATURE_CATALOG, service, label: fraudLabel });
    return { ok: true, ...counts };
  }
  buildPartition({ ...job, catalog: FEATURE_CATALOG, service });
  return { ok: true, events: 0, newest: Number.NEGATIVE_INFINITY };
}

parentPort?.on("message", (job: BuildJob) => {
  run(job)
    .catch((error: unknown): BuildAnswer => ({
      ok: false,
      message: error instanceof Error ? error.message : String(error),
    }))
    // A worker thread's port, not a window: there is no origin.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    .then((answer) => parentPort?.postMessage(answer))
    .catch(() => process.exit(1));
});
