/** `edgewise worker`: the training service. Takes jobs from the Worker until it is stopped. */
import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { connectionArgs, localSigningKeyFile } from "../client/connection.ts";
import { MAX_LEASE_SECONDS } from "../../models/contract/api/jobs.ts";
import { codeVersion } from "../local/code-version.ts";
import { MODELS } from "../pipeline/models.ts";
import { openBucket } from "../publish/open-bucket.ts";
import { runService } from "../service/run-service.ts";
import { readSchedule, type ScheduleEntry } from "../service/schedule.ts";
import { connectionOrExplain, signerOrExplain, STATE_FOLDER } from "./connection.ts";
import { strictCommand } from "./run-cli.ts";
import { homeOf, wholeNumber } from "./train.ts";
import { UserError } from "./user-error.ts";

/** A supervisor gives a service some time to stop; systemd and containers 90 and 10 seconds where nothing is said. */
const GRACE_MS = 8_000;
const option = (description: string, valueHint: string) => ({ type: "string", description, valueHint }) as const;

export const worker = strictCommand({
  meta: {
    name: "worker",
    description: "Take training jobs from the Worker, until stopped; SIGTERM hands the job under way back",
  },
  args: {
    name: option("of this service among all; default: host and home", "NAME"),
    models: option(`only these; default: ${Object.keys(MODELS).join(",")}`, "NAME,…"),
    to: {
      ...option("where versions go: through the Worker, or straight into the bucket", "worker|s3"),
      default: "worker",
    },
    tenant: { ...option("with --to s3: whose part of the bucket", "TENANT"), default: "default" },
    schedule: option("jobs at fixed times: a JSON file", "FILE"),
    home: option("where stage outputs and run records lie; default: the local state", "FOLDER"),
    "lease-seconds": { ...option("how long a lost machine goes unnoticed", "N"), default: "60" },
    "poll-seconds": { ...option("how often it asks for work", "N"), default: "10" },
    "max-stored-gb": { ...option("outputs of earlier runs are kept up to this size", "N"), default: "20" },
    "min-free-gb": { ...option("no job is taken where less is free", "N"), default: "2" },
    "max-job-hours": { ...option("a job that takes longer is ended", "N"), default: "24" },
    host: { ...option("where /healthz, /readyz and /metrics answer", "ADDRESS"), default: "127.0.0.1" },
    port: { ...option("of the same; 0: any free one", "PORT"), default: "9464" },
    once: { type: "boolean", default: false, description: "end when no job waits" },
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const home = resolve(homeOf(args.home));
    const { baseUrl, token } = connectionOrExplain(args);
    const stop = new AbortController();
    const onSignal = (): void => stop.abort();
    const to = destination(args.to);
    // A key or a bucket that cannot be used is said now and not after an hour of training.
    signerOrExplain(args);
    process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
    await orUserError(() =>
      runService(
        {
          url: baseUrl,
          token,
          home,
          to,
          tenant: args.tenant,
          codeVersion: codeVersion(),
          signingKeyFile: localSigningKeyFile({ url: args.url, stateFolder: STATE_FOLDER, environment: process.env }),
          name: args.name ?? defaultName(home),
          ...(args.models !== undefined && { models: knownModels(args.models) }),
          leaseSeconds: wholeNumber("lease-seconds", args["lease-seconds"], [1, MAX_LEASE_SECONDS]),
          pollMs: wholeNumber("poll-seconds", args["poll-seconds"], [1, 3_600]) * 1_000,
          once: args.once,
          graceMs: GRACE_MS,
          maxStoredBytes: wholeNumber("max-stored-gb", args["max-stored-gb"], [0, 100_000]) * 1e9,
          minFreeBytes: wholeNumber("min-free-gb", args["min-free-gb"], [0, 100_000]) * 1e9,
          maxJobMs: wholeNumber("max-job-hours", args["max-job-hours"], [1, 1_000]) * 3_600_000,
          schedule: args.schedule === undefined ? [] : scheduleOf(args.schedule),
          http: { host: args.host, port: wholeNumber("port", args.port, [0, 65_535]) },
          writeLog: (line) => console.log(line),
        },
        stop.signal,
      ),
    );
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  },
});

/** The same after a restart, so that the service goes on with its own job; another for another home. */
function defaultName(home: string): string {
  const host = hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "");
  return `${host.slice(0, 100) || "worker"}-${createHash("sha256").update(home).digest("hex").slice(0, 6)}`;
}

function destination(text: string): "worker" | "s3" {
  if (text !== "worker" && text !== "s3") throw new UserError(`--to takes worker or s3, not "${text}"`, 2);
  if (text === "s3") userErrorOf(() => openBucket(process.env));
  return text;
}

function knownModels(text: string): string[] {
  const names = text.split(",").filter((name) => name !== "");
  const unknown = names.find((name) => !Object.hasOwn(MODELS, name));
  if (unknown !== undefined || names.length === 0)
    throw new UserError(`--models takes names of ${Object.keys(MODELS).join(", ")}, not "${unknown ?? text}"`, 2);
  return names;
}

const scheduleOf = (file: string): ScheduleEntry[] => userErrorOf(() => readSchedule(file));

function userErrorOf<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), 2);
  }
}

/** A home in use and a port that is taken are the user's to mend. */
async function orUserError(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const isKnown = error instanceof Error && (/is in use by process/.test(error.message) || "code" in error);
    throw isKnown ? new UserError(error.message) : error;
  }
}
