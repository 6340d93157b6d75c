import { createJob, getJob, type TrainingJob } from "../../models/contract/api/jobs.ts";
import type { ApiClient } from "../client/api-client.ts";
import { nodeFiles } from "../pipeline/file-system.ts";
import { type RunRecord, RunRecords } from "../pipeline/run-record.ts";
import { runService, type ServiceOptions } from "../service/run-service.ts";

export interface TrainThroughService extends Pick<
  ServiceOptions,
  "url" | "token" | "home" | "signingKeyFile" | "codeVersion"
> {
  readonly client: Pick<ApiClient, "call">;
  /** Name of the model, as in the registry. */
  readonly model: string;
  readonly seed: number;
  readonly onStage: (stage: string) => void;
  readonly onLog: (line: string, level: string) => void;
}

/** Every start that was killed costs an attempt. */
const MAX_ATTEMPTS = 10;
/** A job that ended without a model is followed by another one; so many are looked through. */
const MAX_JOBS = 100;
const LEASE_SECONDS = 30;
const POLL_MS = 1_000;
/** Half a day: far beyond the largest history that fits on one machine. */
const MAX_JOB_MS = 43_200_000;
const GRACE_MS = 8_000;

/** Training went through and found nothing that may be published, or did not go through; the message says why. */
export class TrainingRefused extends Error {
  override readonly name = "TrainingRefused";
}

/**
 * Trains a model as a production system does: a job is asked for, this machine's training service takes it, trains, judges, publishes and
 * promotes. After a start that was killed, the next one goes on with the same job and run.
 * @throws {TrainingRefused} where no version came of it
 */
export async function trainThroughService(options: TrainThroughService): Promise<RunRecord> {
  const { client } = options;
  const { jobId } = await openJob(client, options);
  await runService(serviceOf(options), new AbortController().signal);
  const job = (await client.call(getJob, { params: { jobId } })).body;
  const { state, result, error } = job;
  if (state !== "succeeded" || result === null) {
    const why = result === null ? (error ?? `the job is ${state}`) : result.reasons.join("; ");
    throw new TrainingRefused(`No version was published: ${why}`);
  }
  return await new RunRecords(nodeFiles, options.home).find(result.run);
}

/** The job of this state that has not ended without a model: of an earlier start, or a new one. */
async function openJob(
  client: Pick<ApiClient, "call">,
  { model, seed }: Pick<TrainThroughService, "model" | "seed">,
): Promise<TrainingJob> {
  const request = { model, seed, promote: true, maxAttempts: MAX_ATTEMPTS };
  for (let index = 0; index < MAX_JOBS; index++) {
    const headers = { "idempotency-key": `npm-start-${model}-${index}` };
    const { body } = await client.call(createJob, { body: request, headers });
    if (body.state === "queued" || body.state === "running") return body;
  }
  throw new TrainingRefused(
    `${MAX_JOBS} jobs of this state have ended without a model. Start with --reset to begin anew.`,
  );
}

function serviceOf({
  url,
  token,
  home,
  signingKeyFile,
  codeVersion,
  onStage,
  onLog,
}: TrainThroughService): ServiceOptions {
  return {
    url,
    token,
    home,
    signingKeyFile,
    codeVersion,
    to: "worker",
    tenant: "default",
    name: "npm-start",
    leaseSeconds: LEASE_SECONDS,
    pollMs: POLL_MS,
    once: true,
    graceMs: GRACE_MS,
    maxStoredBytes: Number.POSITIVE_INFINITY,
    minFreeBytes: 0,
    maxJobMs: MAX_JOB_MS,
    schedule: [],
    http: null,
    writeLog: (line) => onLog(line, (JSON.parse(line) as { level: string }).level),
    onProgress: ({ stage }) => onStage(stage),
  };
}
