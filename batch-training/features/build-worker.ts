/** One thread of `buildFeatures`: takes jobs one at a time and answers each. */
import { join } from "node:path";
import { parentPort } from "node:worker_threads";
import { FEATURE_CATALOG, featureService } from "../../models/catalog/feature-catalog.ts";
import { fraudLabel } from "../../models/catalog/fraud-orders/label.ts";
import { assembleRange } from "./assemble-range.ts";
import { answerStreams, buildPartition, type PartitionCounts } from "./build-partition.ts";
import { type BuildPlan, planBuild } from "./build-plan.ts";
import type { LogPart } from "./log-lines.ts";
import { type EncodedRows, encodeRows } from "./parquet-parts.ts";
import { LogPartitioner, type PartitionedLog } from "./partition-log.ts";
import { type Spill, SpillWriter } from "./spill-file.ts";

export interface BuildStart {
  readonly kind: "start";
  readonly folder: string;
  /** Number among the threads: part of the names of its files. */
  readonly thread: number;
  readonly service: string;
  readonly partitions: number;
  readonly from: number;
  readonly to: number;
  readonly wanted: ReadonlySet<string> | null;
  readonly maturityMs: number;
}

/** In this order: start, parts and their end, replay, partitions and their end, assemble, ranges. Most have an answer. */
export type BuildJob =
  | BuildStart
  | { readonly kind: "part"; readonly part: LogPart; readonly number: number }
  | { readonly kind: "end-parts" }
  | {
      readonly kind: "replay";
      readonly spills: readonly Spill[];
      readonly splits: Float64Array;
      readonly knownAt: number;
    }
  | { readonly kind: "partition"; readonly partition: number }
  | { readonly kind: "end-partitions" }
  | { readonly kind: "assemble"; readonly spills: readonly Spill[] }
  | { readonly kind: "range"; readonly range: number };

/** What the answer to each kind of job is. */
export interface BuildResults {
  readonly start: null;
  readonly part: null;
  readonly "end-parts": PartitionedLog;
  readonly replay: null;
  readonly partition: PartitionCounts;
  readonly "end-partitions": Spill;
  readonly assemble: null;
  readonly range: EncodedRows;
}

export type BuildAnswer =
  | { readonly ok: true; readonly result: BuildResults[BuildJob["kind"]] }
  | { readonly ok: false; readonly message: string };

interface Replaying {
  readonly spills: readonly Spill[];
  readonly splits: Float64Array;
  readonly knownAt: number;
  readonly out: SpillWriter;
}

interface Running {
  readonly start: BuildStart;
  readonly plan: BuildPlan;
  partitioner: LogPartitioner | null;
  replaying: Replaying | null;
  answers: readonly Spill[];
}

let running: Running | null = null;

async function run(job: BuildJob): Promise<BuildResults[BuildJob["kind"]]> {
  if (job.kind === "start") {
    running = started(job);
    return null;
  }
  if (running === null) throw new Error("a build has not been started");
  switch (job.kind) {
    case "part":
      await must(running.partitioner).read(job.part, job.number);
      return null;
    case "end-parts": {
      const result = must(running.partitioner).close();
      running.partitioner = null;
      return result;
    }
    case "replay":
      running.replaying = { ...job, out: answersOut(running, job.splits.length / 2 + 1) };
      return null;
    case "partition": {
      const { plan, start } = running;
      return buildPartition({
        ...must(running.replaying),
        plan,
        maturityMs: start.maturityMs,
        partition: job.partition,
      });
    }
    case "end-partitions": {
      const result = must(running.replaying).out.close();
      running.replaying = null;
      return result;
    }
    case "assemble":
      running.answers = job.spills;
      return null;
    case "range":
      return encodeRows(running.plan.service, assembleRange(running.plan, running.answers, job.range));
  }
}

function must<T>(value: T | null): T {
  if (value === null) throw new Error("the jobs of a build came out of order");
  return value;
}

function started(start: BuildStart): Running {
  const service = featureService(start.service);
  if (!service) throw new Error(`there is no feature service ${start.service}`);
  const plan = planBuild(service, FEATURE_CATALOG);
  const path = join(start.folder, `records-${start.thread}.bin`);
  const partitioner = new LogPartitioner({ ...start, plan, label: fraudLabel, path });
  return { start, plan, partitioner, replaying: null, answers: [] };
}

function answersOut({ start, plan }: Running, partitions: number): SpillWriter {
  const path = join(start.folder, `answers-${start.thread}.bin`);
  return new SpillWriter(path, { partitions, streams: answerStreams(plan) });
}

parentPort?.on("message", (job: BuildJob) => {
  run(job)
    .then((result): BuildAnswer => ({ ok: true, result }))
    .catch((error: unknown): BuildAnswer => ({
      ok: false,
      message: error instanceof Error ? error.message : String(error),
    }))
    // A worker thread's port, not a window: there is no origin.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    .then((answer) => parentPort?.postMessage(answer))
    .catch(() => process.exit(1));
});
