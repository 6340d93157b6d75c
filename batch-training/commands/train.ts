/** `edgewise train`: from a log to a version that serves, or to the reasons why not. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";
import { connectionArgs } from "../client/connection.ts";
import { PROJECT_ROOT } from "../local/build-workers.ts";
import { codeVersion } from "../local/code-version.ts";
import { LocalState } from "../local/local-state.ts";
import { DEFAULT_MATURITY_MS } from "../pipeline/fraud/fraud-model.ts";
import type { Parameters } from "../pipeline/model-definition.ts";
import { MODELS, modelNamed } from "../pipeline/models.ts";
import { nodeDeps, workerPublisher } from "../pipeline/node-deps.ts";
import { nodeFiles } from "../pipeline/file-system.ts";
import { PipelineError } from "../pipeline/pipeline-error.ts";
import { runPipeline, type RunResult } from "../pipeline/run-pipeline.ts";
import { RunRecords } from "../pipeline/run-record.ts";
import { MAX_TRIALS } from "../pipeline/search.ts";
import { emptyRegistry, fileLog, workerLog, workerRegistry } from "../pipeline/sources.ts";
import { TrainingError } from "../train/training-set.ts";
import { connectOrExplain, signerOrExplain, STATE_FOLDER } from "./connection.ts";
import { strictCommand } from "./run-cli.ts";
import { showProgress } from "./show-progress.ts";
import { UserError } from "./user-error.ts";

const DAY_MS = 86_400_000;
const option = (description: string, valueHint: string) => ({ type: "string", description, valueHint }) as const;

export const train = strictCommand({
  meta: {
    name: "train",
    description: "Train, judge, publish and promote a model; what is known from earlier runs is not done again",
  },
  args: {
    model: { ...option(Object.keys(MODELS).join(", "), "NAME"), default: "fraud-orders" },
    seed: { ...option("of every draw", "N"), default: "1" },
    search: { ...option("look for better parameters with so many trials", "TRIALS"), default: "0" },
    set: option("parameters laid over the model's own, as JSON", "JSON"),
    resume: option(
      "go on with a run that was stopped: its id, a part of it, or latest (with --events where it had them)",
      "RUN",
    ),
    "maturity-days": { ...option("how long a label may take", "DAYS"), default: String(DEFAULT_MATURITY_MS / DAY_MS) },
    events: option("take the log from NDJSON files (.gz too) and not from a Worker", "FILE,FILE"),
    publish: {
      type: "boolean",
      default: true,
      description: "hand the version over (--no-publish: only train and judge)",
    },
    promote: { type: "boolean", default: true, description: "make it serve (--no-promote: only publish)" },
    out: option("write manifest, model and card there", "FOLDER"),
    home: option("where stage outputs and run records lie; default: the local state", "FOLDER"),
    json: option("write the run's record", "FILE"),
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const home = homeOf(args.home);
    const resume =
      args.resume === undefined
        ? null
        : await asUserErrors(() => new RunRecords(nodeFiles, home).find(args.resume ?? ""));
    const files = args.events?.split(",").filter((name) => name !== "");
    const client = files === undefined ? connectOrExplain(args) : null;
    const definition = modelNamed(resume?.model ?? args.model, {
      log: client ? workerLog(client) : fileLog(files ?? []),
      registry: client ? workerRegistry(client) : emptyRegistry,
      maturityMs: wholeNumber("maturity-days", args["maturity-days"], [1, 90]) * DAY_MS,
    });
    if (definition === null)
      throw new UserError(`no model is called "${args.model}"; there are ${Object.keys(MODELS).join(", ")}`, 2);
    const stop = new AbortController();
    const onSignal = (): void => stop.abort(new PipelineError("cancelled", "cancelled"));
    process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
    const shown = showProgress(process.stdout);
    const deps = nodeDeps({
      home,
      codeVersion: codeVersion(),
      root: PROJECT_ROOT,
      publisher: client && workerPublisher(client, client.baseUrl, signerOrExplain(args)),
      report: shown.report,
      signal: stop.signal,
    });
    const run = asUserErrors(() =>
      runPipeline(definition, deps, {
        seed: wholeNumber("seed", args.seed, [0, 2 ** 32 - 1]),
        trials: wholeNumber("search", args.search, [0, MAX_TRIALS]),
        parameters: args.set === undefined ? {} : parseParameters(args.set),
        publish: args.publish && client !== null,
        promote: args.promote,
        ...(resume && { resume }),
      }),
    );
    await run.catch(() => null);
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    await shown.end();
    const result = await run;
    await write(args, result);
    conclude(result, client);
  },
});

/** The folder of runs: the argument, else below the local state. */
export function homeOf(argument: string | undefined): string {
  return argument ?? new LocalState(STATE_FOLDER).trainingFolder;
}

async function write(
  args: { readonly json?: string | undefined; readonly out?: string | undefined },
  result: RunResult,
): Promise<void> {
  try {
    if (args.json !== undefined) await writeFile(args.json, `${JSON.stringify(result.record, null, 2)}\n`);
    if (args.out === undefined || result.manifest === null) return;
    await mkdir(args.out, { recursive: true });
    for (const { path, bytes } of result.files) await writeFile(join(args.out, path), bytes);
    await writeFile(join(args.out, "manifest.json"), `${JSON.stringify(result.manifest, null, 2)}\n`);
  } catch (error) {
    throw new UserError(`cannot write the result: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function conclude({ record, manifest }: RunResult, client: ApiClient | null): void {
  for (const { passed, reason } of record.gates) console.log(`  ${passed ? "passed " : "REFUSED"}  ${reason}`);
  console.log(`run ${record.id}: ${record.state}`);
  if (manifest === null) throw new UserError(`Nothing was published: ${record.reasons.join("; ")}`);
  const done = record.state === "published" ? (record.options.promote ? "promoted" : "published") : "trained";
  console.log(
    `${done} ${manifest.name} ${manifest.version}${client === null ? " (no Worker: nothing was handed over)" : ""}`,
  );
}

function parseParameters(text: string): Parameters {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Parameters;
  } catch {
    // Said below.
  }
  throw new UserError(`--set takes a JSON object such as '{"leaves":8}', not ${text}`, 2);
}

export function wholeNumber(name: string, text: string, [min, max]: readonly [number, number]): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UserError(`--${name} takes a whole number from ${min} to ${max}, not "${text}"`, 2);
}

/** Errors about the run's inputs, its disk or the Worker are the user's to mend; any other is a bug and keeps its type. */
export async function asUserErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const known = error instanceof PipelineError || error instanceof TrainingError || error instanceof ApiError;
    throw known ? new UserError(error.message) : error;
  }
}
