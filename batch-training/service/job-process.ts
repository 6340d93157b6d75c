/**
 * The process of one job: takes its order from the service, runs the pipeline, says how it went, and ends. Without the service it ends
 * at once: nobody keeps its lease any more.
 */
import type { JobProgress, JobResult } from "../../models/contract/api/jobs.ts";
import { createApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";
import { retryingClient } from "../client/retrying-client.ts";
import { PROJECT_ROOT } from "../local/build-workers.ts";
import type { PipelineEvent, Publisher } from "../pipeline/deps.ts";
import { DEFAULT_MATURITY_MS } from "../pipeline/fraud/fraud-model.ts";
import { nodeFiles } from "../pipeline/file-system.ts";
import { modelNamed } from "../pipeline/models.ts";
import { nodeDeps, workerPublisher } from "../pipeline/node-deps.ts";
import { PipelineError } from "../pipeline/pipeline-error.ts";
import { runPipeline } from "../pipeline/run-pipeline.ts";
import { type RunRecord, RunRecords } from "../pipeline/run-record.ts";
import { workerLog, workerRegistry } from "../pipeline/sources.ts";
import { BucketError } from "../publish/bucket-error.ts";
import { bucketPublisher } from "../publish/bucket-publisher.ts";
import { openBucket } from "../publish/open-bucket.ts";
import { signerFromEnvironment } from "../publish/signing.ts";
import { TrainingError } from "../train/training-set.ts";
import type { FromJob, JobOrder, ToJob } from "./job-messages.ts";
import { reasonOf } from "./json-log.ts";

const DAY_MS = 86_400_000;
/** Half a minute of back-off: longer outages end the attempt, and what was made by then is kept for the next. */
const CALL_ATTEMPTS = 6;
/** A job may say more about itself than anybody reads: one message in so many milliseconds. */
const PROGRESS_INTERVAL_MS = 250;
/** As many reasons, of this many characters, fit into a result. */
const MAX_REASONS = 32;
const MAX_REASON_CHARACTERS = 500;

const stop = new AbortController();

process.on("disconnect", () => process.exit(1));
process.on("message", (message: ToJob) => {
  if (message.type === "cancel") stop.abort(new PipelineError("cancelled", "the job was cancelled"));
  else void run(message);
});
// The service decides when a job ends; a terminal's Ctrl-C reaches every process of its group.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});

async function run(order: JobOrder): Promise<void> {
  let last: FromJob;
  try {
    last = { type: "done", result: await train(order) };
  } catch (error) {
    last = { type: "failed", reason: reasonOf(error).slice(0, MAX_REASON_CHARACTERS), retryable: isRetryable(error) };
  }
  process.send?.(last, () => process.disconnect());
}

async function train(order: JobOrder): Promise<JobResult> {
  const { request, home, url, token } = order;
  const direct = createApiClient({ baseUrl: url, ...(token !== undefined && { token }) });
  const client = retryingClient(direct, {
    attempts: CALL_ATTEMPTS,
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    random: Math.random,
  });
  const maturityMs = request.maturityDays === undefined ? DEFAULT_MATURITY_MS : request.maturityDays * DAY_MS;
  const sources = { log: workerLog(client), registry: workerRegistry(client), maturityMs };
  const definition = modelNamed(request.model, sources);
  if (definition === null)
    throw new PipelineError("invalid_input", `this machine knows no model called ${request.model}`);
  const resume = await earlierRun(home, order.run);
  const handed = { over: false };
  const { record } = await runPipeline(
    definition,
    nodeDeps({
      home,
      codeVersion: order.codeVersion,
      root: PROJECT_ROOT,
      publisher: request.publish ? remembering(publisherFor(order, client), handed) : null,
      report: reporter(),
      signal: stop.signal,
    }),
    {
      seed: request.seed,
      trials: request.trials,
      parameters: request.parameters,
      publish: request.publish,
      promote: request.promote,
      ...(resume && { resume }),
    },
  );
  return resultOf(record, { published: handed.over, promote: request.promote });
}

/** The run that an earlier attempt began on this machine; null: there is none, it was begun elsewhere, or it ended. */
async function earlierRun(home: string, id: string | null): Promise<RunRecord | null> {
  if (id === null) return null;
  try {
    const record = await new RunRecords(nodeFiles, home).find(id);
    return record.id === id ? record : null;
  } catch (error) {
    if (error instanceof PipelineError) return null;
    throw error;
  }
}

function publisherFor(order: JobOrder, client: ReturnType<typeof retryingClient>): Publisher {
  const lease = { jobId: order.jobId, fence: order.fence };
  const signer = signerFromEnvironment(process.env, order.signingKeyFile);
  const publisher = workerPublisher(client, order.url, signer, lease);
  if (order.to === "worker") return publisher;
  const bucket = openBucket(process.env, stop.signal);
  return bucketPublisher({ bucket, tenant: order.tenant, signer, worker: { client, publisher, lease } });
}

/** Whether a version was handed over is told from what was done, not from how the run ended: it may be published and not promoted. */
function remembering(publisher: Publisher, handed: { over: boolean }): Publisher {
  return {
    ...publisher,
    publish: async (manifest, files) => {
      await publisher.publish(manifest, files);
      handed.over = true;
    },
  };
}

function resultOf(record: RunRecord, { published, promote }: { published: boolean; promote: boolean }): JobResult {
  const isRefused = record.state === "refused" && !published;
  return {
    outcome: isRefused ? "refused" : "succeeded",
    run: record.id,
    version: record.version,
    published,
    promoted: record.state === "published" && promote,
    reasons: record.reasons.slice(0, MAX_REASONS).map((reason) => reason.slice(0, MAX_REASON_CHARACTERS)),
  };
}

function reporter(): (event: PipelineEvent) => void {
  let progress: JobProgress = { run: null, stage: "", done: null, note: "" };
  let sentAt = 0;
  return (event) => {
    if (event.type === "warning") return;
    if (event.type === "run") progress = { ...progress, run: event.record.id };
    else if (event.type === "stage")
      progress = { ...progress, stage: event.stage, done: null, note: event.detail.slice(0, 200) };
    else {
      const done = Math.min(1, Math.max(0, event.done / Math.max(1, event.total)));
      progress = { ...progress, stage: event.stage, done, note: event.note.slice(0, 200) };
      if (performance.now() - sentAt < PROGRESS_INTERVAL_MS) return;
    }
    sentAt = performance.now();
    const message: FromJob = { type: "progress", progress };
    process.send?.(message);
  };
}

/** Whether the same job may go through another time or on another machine: not where its input is wrong. */
function isRetryable(error: unknown): boolean {
  if (error instanceof ApiError || error instanceof BucketError) return error.retryable;
  if (error instanceof PipelineError) return error.code === "disk_full";
  return !(error instanceof TrainingError);
}
