import { Worker } from "node:worker_threads";
import { checkTrainingSet, type LabelledRows, TrainingError, type TrainingSet } from "../training-set.ts";
import { averaged, type BoostProgress, type BoostResult } from "./boost.ts";
import { compileKernel } from "./kernel.ts";
import { type Layout, type LayoutInput, planLayout } from "./layout.ts";
import { type GbdtParameters, type GbdtParametersInput, parseGbdtParameters, threadCount } from "./parameters.ts";
import { Team } from "./team.ts";
import type { GbdtModel, Tree } from "./tree.ts";
import type { WorkerInput, WorkerReply, WorkerRequest } from "./worker.ts";

/**
 * Trains boosted trees on worker threads; this thread only stages columns and stays free for anything else. The same
 * set, parameters and seed give the same model, bit for bit, for any number of threads.
 */
export interface GbdtFit {
  readonly model: GbdtModel;
  readonly parameters: GbdtParameters;
  /** Mean loss on the validation rows after each round, those past the best included; empty without them. */
  readonly validationLosses: readonly number[];
}

export interface FitOptions {
  readonly progress?: (progress: BoostProgress) => void;
  readonly signal?: AbortSignal;
}

/** @throws TrainingError: `invalid_data`, `invalid_parameters`, `too_large`, `cancelled`. */
export async function fitGbdt(
  set: TrainingSet,
  parameters: GbdtParametersInput,
  seed: number,
  options: FitOptions = {},
): Promise<GbdtFit> {
  const parsed = parseGbdtParameters(parameters);
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
    throw new TrainingError("invalid_parameters", `seed ${seed} is not a whole number 0..2^32 - 1`);
  }
  checkTrainingSet(set);
  checkObjective(set, parsed);
  const weightOf = rowWeights(set, parsed);
  const input: LayoutInput = {
    trainRows: set.train.labels.length,
    validationRows: set.validation?.labels.length ?? 0,
    features: set.features.length,
    leaves: parsed.leaves,
    histogramMegabytes: parsed.histogramMegabytes,
    threads: threadCount(parsed),
    outputs: parsed.objective === "softmax" ? classCount(set) : 1,
    weighted: weightOf !== null,
    trainGroups: parsed.objective === "lambdarank" ? (set.train.groups?.length ?? 0) : 0,
    validationGroups: parsed.objective === "lambdarank" ? (set.validation?.groups?.length ?? 0) : 0,
  };
  const results: BoostResult[] = [];
  for (let bag = 0; bag < parsed.bags; bag++) {
    const result = await runTeam(set, parsed, (seed + bag) >>> 0, planLayout(input), input, weightOf, options);
    if (result.cancelled) throw new TrainingError("cancelled", "training was cancelled");
    results.push(result);
  }
  return {
    model: {
      kind: "gbdt",
      objective: parsed.objective,
      features: set.features.map((feature) => feature.name),
      bases: results[0]?.bases ?? [0],
      trees: averageTrees(results),
      calibration: { kind: "linear", scale: 1, offset: 0 },
    },
    parameters: parsed,
    validationLosses: results[0]?.validationLosses ?? [],
  };
}

/** The mean of several ensembles is one ensemble with all trees and leaves as much smaller. */
function averageTrees(results: readonly BoostResult[]): readonly Tree[] {
  if (results.length === 1) return results[0]?.trees ?? [];
  return results.flatMap(({ trees }) => averaged(trees, results.length));
}

/** Classes a softmax model tells apart at most: each is a tree per round. */
const MAX_CLASSES = 256;

/** @throws TrainingError unless the labels are 0..K - 1 and each occurs */
function classCount(set: TrainingSet): number {
  const seen = new Set(set.train.labels);
  for (const [what, rows] of [["training", set.train] as const, ["validation", set.validation] as const]) {
    for (const label of new Set(rows?.labels)) {
      if (Number.isInteger(label) && label >= 0 && label < seen.size) continue;
      const message = `label ${label} in the ${what} rows; softmax takes 0 to K - 1, and each must occur in training`;
      throw new TrainingError("invalid_data", message);
    }
  }
  if (seen.size < 2 || seen.size > MAX_CLASSES) {
    throw new TrainingError("invalid_data", `${seen.size} classes; softmax tells 2 to ${MAX_CLASSES} apart`);
  }
  return seen.size;
}

/** Relevance grades: the gain 2^31 - 1 is the last that stays a sensible weight. */
const MAX_GRADE = 31;

function checkRanking(what: string, rows: LabelledRows): void {
  if (rows.groups === null)
    throw new TrainingError("invalid_data", `the ${what} rows have no groups; ranking needs them`);
  const wrong = rows.labels.find((label) => !Number.isInteger(label) || label < 0 || label > MAX_GRADE);
  if (wrong !== undefined) {
    throw new TrainingError(
      "invalid_data",
      `label ${wrong} in the ${what} rows; grades are whole numbers 0 to ${MAX_GRADE}`,
    );
  }
}

function checkObjective(set: TrainingSet, parameters: GbdtParameters): void {
  if (
    parameters.ensemble === "forest" &&
    (parameters.earlyStoppingRounds > 0 || parameters.objective === "lambdarank")
  ) {
    throw new TrainingError("invalid_parameters", "ensemble: a forest neither stops early nor ranks");
  }
  if (parameters.earlyStoppingRounds > 0 && set.validation === null) {
    throw new TrainingError("invalid_parameters", "early stopping needs validation rows");
  }
  for (const name of Object.keys(parameters.monotone)) {
    const feature = set.features.find((candidate) => candidate.name === name);
    if (feature?.kind === "numeric") continue;
    const what = feature ? "is categorical, only numeric features have a direction" : "is not a feature";
    throw new TrainingError("invalid_parameters", `monotone: ${JSON.stringify(name)} ${what}`);
  }
  if (parameters.objective === "lambdarank") {
    checkRanking("training", set.train);
    if (set.validation) checkRanking("validation", set.validation);
  }
  if (parameters.objective !== "logistic") return;
  for (const [what, rows] of [["training", set.train] as const, ["validation", set.validation] as const]) {
    const seen = new Set(rows?.labels);
    for (const label of seen) {
      if (label !== 0 && label !== 1) {
        throw new TrainingError(
          "invalid_data",
          `label ${label} in the ${what} rows; the logistic objective takes 0 and 1`,
        );
      }
    }
    if (what === "training" && seen.size < 2) {
      throw new TrainingError(
        "invalid_data",
        `every training label is ${[...seen][0]}: there is nothing to tell apart`,
      );
    }
  }
}

/** Row weight times class weight; null where all are one. */
function rowWeights(
  set: TrainingSet,
  parameters: GbdtParameters,
): ((rows: LabelledRows, row: number) => number) | null {
  let positive = 1;
  if (parameters.objective === "logistic" && parameters.classWeight !== "none") {
    positive = parameters.classWeight === "balanced" ? classRatio(set.train) : parameters.classWeight;
  }
  if (positive === 1 && !set.train.weights && !set.validation?.weights) return null;
  return (rows, row) => (rows.weights?.[row] ?? 1) * (rows.labels[row] === 1 ? positive : 1);
}

/** Weight of class 0 over weight of class 1. */
function classRatio(rows: LabelledRows): number {
  const sums = [0, 0];
  for (let row = 0; row < rows.labels.length; row++) {
    const label = rows.labels[row] === 1 ? 1 : 0;
    sums[label] = (sums[label] ?? 0) + (rows.weights?.[row] ?? 1);
  }
  return (sums[0] ?? 0) / (sums[1] ?? 1);
}

type RowWeight = (rows: LabelledRows, row: number) => number;

async function runTeam(
  set: TrainingSet,
  parameters: GbdtParameters,
  seed: number,
  layout: Layout,
  input: LayoutInput,
  weightOf: RowWeight | null,
  options: FitOptions,
): Promise<BoostResult> {
  options.signal?.throwIfAborted();
  const pages = layout.totalBytes / 65_536;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const module = compileKernel();
  const url = new URL("./worker.ts", import.meta.url);
  const workers = Array.from({ length: layout.threads }, (_, index) => {
    const workerData: WorkerInput = { index, module, memory, layout: input, parameters, seed };
    return new Worker(url, { workerData, execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: 8 } });
  });
  const coordinator = new Coordinator(workers, options.progress);
  const cancel = (): void => Team.cancel(memory, layout.control);
  options.signal?.addEventListener("abort", cancel, { once: true });
  try {
    writeRows(set, layout, memory, weightOf);
    writeFeatures(set, parameters, layout, memory);
    for (let first = 0; first < layout.features; first += layout.stageColumns) {
      const count = Math.min(layout.stageColumns, layout.features - first);
      for (let i = 0; i < count; i++) stageColumn(set, layout, memory, first + i, i);
      await coordinator.ask({ type: "bin", firstFeature: first, count });
    }
    const reply = await coordinator.ask({ type: "boost" });
    if (reply.type !== "boosted") throw new Error(`unexpected answer ${reply.type} of the training thread`);
    return reply.result;
  } finally {
    options.signal?.removeEventListener("abort", cancel);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** Messages to thread 0, one at a time; a failure of any thread fails the question in hand. */
class Coordinator {
  private readonly worker: Worker | undefined;
  private pending: { resolve: (reply: WorkerReply) => void; reject: (error: unknown) => void } | null = null;
  private failure: Error | null = null;

  constructor(workers: readonly Worker[], progress: FitOptions["progress"]) {
    this.worker = workers[0];
    this.worker?.on("message", (reply: WorkerReply) => {
      if (reply.type === "progress") progress?.(reply.progress);
      else this.settle((pending) => pending.resolve(reply));
    });
    for (const worker of workers) {
      worker.on("error", (error) => {
        this.failure = error;
        this.settle((pending) => pending.reject(error));
      });
    }
  }

  private settle(how: (pending: NonNullable<Coordinator["pending"]>) => void): void {
    const pending = this.pending;
    this.pending = null;
    if (pending) how(pending);
  }

  ask(request: WorkerRequest): Promise<WorkerReply> {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      this.pending = { resolve, reject };
      this.worker?.postMessage(request);
    });
  }
}

function writeRows(set: TrainingSet, layout: Layout, memory: WebAssembly.Memory, weightOf: RowWeight | null): void {
  const labels = new Float32Array(memory.buffer, layout.labels, layout.rowsTotal);
  labels.set(set.train.labels);
  if (set.validation) labels.set(set.validation.labels, layout.trainRows);
  writeGroups(set, layout, memory);
  if (weightOf === null) return;
  const weights = new Float32Array(memory.buffer, layout.weights, layout.rowsTotal);
  for (let row = 0; row < layout.trainRows; row++) weights[row] = weightOf(set.train, row);
  for (let row = 0; row < layout.validationRows; row++) {
    if (set.validation) weights[layout.trainRows + row] = weightOf(set.validation, row);
  }
}

function writeGroups(set: TrainingSet, layout: Layout, memory: WebAssembly.Memory): void {
  if (layout.trainGroups === 0) return;
  const starts = new Uint32Array(memory.buffer, layout.groupStarts, layout.trainGroups + layout.validationGroups + 1);
  let row = 0;
  let group = 0;
  for (const rows of [set.train, set.validation]) {
    for (const size of rows?.groups ?? []) {
      starts[group++] = row;
      row += size;
    }
  }
  starts[group] = row;
}

function writeFeatures(set: TrainingSet, parameters: GbdtParameters, layout: Layout, memory: WebAssembly.Memory): void {
  const monotone = new Int32Array(memory.buffer, layout.monotone, layout.features);
  const categorical = new Int32Array(memory.buffer, layout.categorical, layout.features);
  for (const [f, feature] of set.features.entries()) {
    monotone[f] = parameters.monotone[feature.name] ?? 0;
    categorical[f] = feature.kind === "categorical" ? 1 : 0;
  }
}

/** Copies a column, training rows then validation rows, as float32. */
function stageColumn(
  set: TrainingSet,
  layout: Layout,
  memory: WebAssembly.Memory,
  feature: number,
  place: number,
): void {
  const staged = new Float32Array(memory.buffer, layout.stage + place * layout.stageStride, layout.rowsTotal);
  const train = set.train.columns[feature];
  const validation = set.validation?.columns[feature];
  if (train) staged.set(train);
  if (validation) staged.set(validation, layout.trainRows);
}
