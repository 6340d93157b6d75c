import { type Frame, readFrame } from "../sources/read-frame.ts";
import { gatherRows } from "../train/gather-rows.ts";
import type { GbdtParametersInput } from "../train/gbdt/parameters.ts";
import { fitGbdt } from "../train/gbdt/train-gbdt.ts";
import { scoreRows } from "../train/gbdt/tree.ts";
import { CANDIDATES, tuneGbdt } from "../train/gbdt/tune-gbdt.ts";
import { fitLogisticRegression, predictLogisticRegression } from "../train/logistic-regression.ts";
import { type LabelledRows, TrainingError, type TrainingSet } from "../train/training-set.ts";
import { deriveColumns, type DeriveOptions } from "./derive-columns.ts";
import { findLeaks } from "./find-leaks.ts";
import { type RowSplit, splitByTime, splitFolds, type SplitPlan } from "./split-rows.ts";
import { type Groups, groupsOf, type TabularColumns, trainingSetOf } from "./tabular-data.ts";

/**
 * Trains and scores a table under a stated split: boosted trees with size and rounds chosen on training rows alone, and
 * beside them logistic regression and the constant score, on the same rows. Reported rows are seen once, by the final models.
 */
export interface TabularOptions extends TabularColumns {
  readonly data: string;
  readonly group: string | null;
  readonly split: SplitPlan;
  readonly seed: number;
  /** Parameters laid over the defaults and over every candidate. */
  readonly parameters: GbdtParametersInput;
  /** Keep columns that tell the label by themselves. */
  readonly allowLeaks: boolean;
  /** Models of others on the same rows, for comparison: scores of the reported rows by name. */
  readonly rivals?: (train: TrainingSet, test: LabelledRows) => Promise<ReadonlyMap<string, Float64Array>>;
  readonly progress: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface Fold {
  readonly name: string;
  readonly trainRows: number;
  readonly labels: Float32Array;
  /** Positive share of the training rows: the constant score. */
  readonly trainRate: number;
  /** By model: `gbdt`, `logistic_regression`, `constant`. */
  readonly scores: ReadonlyMap<string, Float64Array>;
  readonly groups: Groups | null;
  readonly parameters: GbdtParametersInput;
  readonly seconds: number;
}

export interface TabularResult {
  readonly folds: readonly Fold[];
  readonly features: readonly string[];
  readonly rows: number;
  /** Labels and groups of all rows of the data file, for parity of the labels themselves. */
  readonly all: { readonly labels: Float32Array; readonly groups: Groups | null };
}

/** Share of the training rows held back to choose size and rounds. */
const HOLDOUT_SHARE = 0.2;
/** Fits that the final model averages; more than one only tells where rows or features are drawn. */
const BAGS = 3;
const BASE: GbdtParametersInput = { learningRate: 0.05 };

export async function evaluateTabular(options: TabularOptions): Promise<TabularResult> {
  const read = await readFrame(options.data);
  const frame = { ...read, columns: [...read.columns, ...deriveColumns(read, deriving(options))] };
  options.progress(`${frame.rows} rows, ${frame.columns.length} columns in ${options.data}`);
  const columns: TabularColumns = {
    ...options,
    // Every later time is out of the range that training saw.
    drop: options.split.kind === "by-time" ? [...new Set([...options.drop, options.split.column])] : options.drop,
  };
  const set = trainingSetOf(frame, columns);
  const groups = options.group === null ? null : groupsOf(frame, options.group);
  const folds: Fold[] = [];
  for (const part of await parts(frame, set, groups, columns, options)) {
    options.progress(`${part.name}: training on ${part.train.train.labels.length} rows`);
    folds.push(await runFold(part, options));
  }
  return {
    folds,
    features: set.features.map(({ name }) => name),
    rows: frame.rows,
    all: { labels: Float32Array.from(set.train.labels), groups },
  };
}

function deriving({ drop, target, split }: TabularOptions): DeriveOptions {
  return { drop: [...drop, target], countEarlier: split.kind !== "given" };
}

interface Part {
  readonly name: string;
  readonly train: TrainingSet;
  readonly test: TrainingSet["train"];
  readonly groups: Groups | null;
}

async function parts(
  frame: Frame,
  set: TrainingSet,
  groups: Groups | null,
  columns: TabularColumns,
  options: TabularOptions,
): Promise<Part[]> {
  const { split, data, group } = options;
  if (split.kind === "given") {
    const read = await readFrame(split.file, { like: await readFrame(data) });
    const later = { ...read, columns: [...read.columns, ...deriveColumns(read, deriving(options))] };
    const test = trainingSetOf({ ...later, columns: orderLike(frame, later) }, columns).train;
    return [{ name: "given", train: set, test, groups: group === null ? null : groupsOf(later, group) }];
  }
  const splits: RowSplit[] =
    split.kind === "by-time"
      ? [splitByTime(frame, split.column, split.trainShare)]
      : splitFolds(frame.rows, split.folds, split.seed);
  return splits.map(({ name, train, test }) => {
    const labels = new Set(train.map((row) => set.train.labels[row] ?? 0));
    if (labels.size < 2)
      throw new TrainingError("invalid_data", `${data}: the training rows of ${name} are of one class`);
    return {
      name,
      train: { ...set, train: gatherRows(set.train, train) },
      test: gatherRows(set.train, test),
      groups: groups && { ...groups, of: test.map((row) => groups.of[row] ?? 0) },
    };
  });
}

function orderLike(frame: Frame, later: Frame): Frame["columns"] {
  return frame.columns.flatMap(({ name }) => later.columns.filter((column) => column.name === name));
}

async function runFold(part: Part, options: TabularOptions): Promise<Fold> {
  const leaks = options.allowLeaks ? [] : findLeaks(part.train);
  if (leaks.length > 0) {
    const names = leaks.map(({ feature, rocAuc }) => `"${feature}" (ROC AUC ${rocAuc.toFixed(5)})`).join(", ");
    throw new TrainingError(
      "invalid_data",
      `${options.data}: ${names} tells the label by itself: drop it with --drop, or keep it with --allow-leaks`,
    );
  }
  const started = performance.now();
  const signal = options.signal ? { signal: options.signal } : {};
  const tuned = await tuneGbdt(part.train, {
    holdout: options.split.kind === "by-time" ? "last" : "random",
    holdoutShare: HOLDOUT_SHARE,
    candidates: CANDIDATES,
    base: { ...BASE, ...options.parameters },
    seed: options.seed,
    progress: (done, total) => options.progress(`${part.name}: candidate ${done} of ${total}`),
    ...signal,
  });
  const { model } = await fitGbdt(part.train, { bags: BAGS, ...tuned.parameters }, options.seed, signal);
  const rows = part.test.labels.length;
  const trainRate =
    [...part.train.train.labels].reduce((sum, label) => sum + label, 0) / part.train.train.labels.length;
  const logistic = fitLogisticRegression(part.train, { l2: 1 });
  const rivals = (await options.rivals?.(part.train, part.test)) ?? [];
  return {
    name: part.name,
    trainRows: part.train.train.labels.length,
    labels: Float32Array.from(part.test.labels),
    trainRate,
    scores: new Map([
      ["gbdt", scoreRows(model, part.test.columns, rows)],
      ["logistic_regression", predictLogisticRegression(logistic, part.test.columns, rows)],
      ["constant", new Float64Array(rows).fill(trainRate)],
      ...rivals,
    ]),
    groups: part.groups,
    parameters: tuned.parameters,
    seconds: (performance.now() - started) / 1000,
  };
}
