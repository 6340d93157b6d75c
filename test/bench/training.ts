import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Report, ReportRow } from "../../models/contract/report.ts";
import { rocAuc } from "../../models/stats/ranking-metrics.ts";
import { generateRows } from "../support/tabular-data.ts";
import type { BenchOptions } from "./main.ts";
import { benchRecommenders } from "./recommenders.ts";
import { makeReport, median, rowOf } from "./report.ts";
import { FILES, readFloats, type TrainingOutcome, type TrainingTask } from "./training/task.ts";

/**
 * Time and memory of training boosted trees: each contender in its own process on the same bytes, in turn, round after
 * round. LightGBM, XGBoost and scikit-learn run where EDGEWISE_PYTHON names an interpreter that has them. Then the large fits of recommenders
 * (`recommenders.ts`). EDGEWISE_TRAINING picks parts: two_threads, one_thread, growth, largest, recommenders.
 */
const BASE: TrainingTask = {
  trainRows: 500_000,
  testRows: 100_000,
  features: 30,
  trees: 100,
  leaves: 31,
  bins: 255,
  learningRate: 0.1,
  l2: 1,
  minRowsPerLeaf: 20,
  threads: 2,
};
const OUTSIDE = ["lightgbm", "xgboost", "sklearn"] as const;
type Contender = "own" | (typeof OUTSIDE)[number];

const run = promisify(execFile);
const python = process.env["EDGEWISE_PYTHON"];

export async function benchTraining({ onStage, quick }: BenchOptions): Promise<Report> {
  const base = quick ? { ...BASE, trainRows: 50_000, testRows: 10_000, trees: 20 } : BASE;
  const rounds = quick ? 1 : 3;
  if (python === undefined) onStage("EDGEWISE_PYTHON is not set: no outside library in this run, so no ratio");
  const parts: Record<string, () => Promise<readonly ReportRow[]>> = {
    two_threads: () => inFolder(base, (folder) => compare(folder, rounds, onStage)),
    one_thread: () => inFolder({ ...base, threads: 1 }, (folder) => compare(folder, rounds, onStage, "one_thread/")),
    growth: () => growth(base, onStage),
    largest: async () => (quick ? [] : largest(onStage)),
    recommenders: async () => (await benchRecommenders({ quick, onStage })).rows,
  };
  const wanted = process.env["EDGEWISE_TRAINING"]?.split(",") ?? Object.keys(parts);
  const unknown = wanted.find((name) => !Object.hasOwn(parts, name));
  if (unknown !== undefined) {
    throw new Error(`EDGEWISE_TRAINING: there is no part "${unknown}"; there are ${Object.keys(parts).join(", ")}`);
  }
  const rows: ReportRow[] = [];
  for (const name of wanted) rows.push(...((await parts[name]?.()) ?? []));
  const parameters = { ...base, rounds, parts: wanted.join(","), outside: python !== undefined };
  return makeReport("bench training", "1", { parameters, rows });
}

/** Writes the data of a task, works on it, removes it. */
async function inFolder<T>(task: TrainingTask, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "bench-training-"));
  try {
    writeFileSync(join(folder, FILES.task), JSON.stringify(task));
    const train = generateRows(task.trainRows, task.features, 1);
    for (const column of train.columns) writeFileSync(join(folder, FILES.trainColumns), column, { flag: "a" });
    writeFileSync(join(folder, FILES.trainLabels), train.labels);
    const test = generateRows(task.testRows, task.features, 2);
    for (const column of test.columns) writeFileSync(join(folder, FILES.testColumns), column, { flag: "a" });
    writeFileSync(join(folder, FILES.testLabels), test.labels);
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Measured extends TrainingOutcome {
  readonly rocAuc: number;
}

async function measure(folder: string, contender: Contender): Promise<Measured> {
  const here = join(import.meta.dirname, "training");
  const command: [string, string[]] =
    contender === "own"
      ? [process.execPath, [join(here, "own.ts"), folder]]
      : [python ?? "python3", [join(here, "outside.py"), contender, folder]];
  const { stdout } = await run(...command);
  const outcome = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as TrainingOutcome;
  const bytes = readFileSync(join(folder, FILES.scores));
  const scores = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
  return { ...outcome, rocAuc: rocAuc(readFloats(folder, FILES.testLabels), scores) };
}

async function compare(
  folder: string,
  rounds: number,
  onStage: BenchOptions["onStage"],
  prefix = "",
): Promise<ReportRow[]> {
  // At one thread the question is the kernel against LightGBM's; the others add minutes and no answer.
  const outside = prefix === "" ? OUTSIDE : OUTSIDE.slice(0, 1);
  const contenders: Contender[] = python === undefined ? ["own"] : ["own", ...outside];
  const measured = new Map<Contender, Measured[]>(contenders.map((contender) => [contender, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      const outcome = await measure(folder, contender);
      measured.get(contender)?.push(outcome);
      onStage(`round ${round + 1}: ${contender} ${outcome.seconds.toFixed(2)} s, AUC ${outcome.rocAuc.toFixed(5)}`);
    }
  }
  const rows = contenders.flatMap((contender) => contenderRows(contender, measured.get(contender) ?? [], prefix));
  const own = measured.get("own") ?? [];
  const light = measured.get("lightgbm");
  if (light === undefined) return rows;
  // Round by round: what disturbed the machine disturbed both.
  const ratios = own.map((outcome, round) => outcome.seconds / (light[round]?.seconds ?? Number.NaN));
  const gap = median(own.map(({ rocAuc }) => rocAuc)) - median(light.map(({ rocAuc }) => rocAuc));
  return [
    ...rows,
    rowOf(`${prefix}own_over_lightgbm/time`, "x", ratios, { floor: 2, aim: 1.2, better: "lower" }),
    { id: `${prefix}own_minus_lightgbm/roc_auc`, value: gap, unit: "1", floor: -0.001, aim: 0, better: "higher" },
  ];
}

function contenderRows(contender: Contender, outcomes: readonly Measured[], prefix: string): ReportRow[] {
  const note = outcomes[0]?.version ?? "";
  const goal = contender === "own" ? { floor: 400, aim: 250 } : {};
  return [
    rowOf(
      `${prefix}${contender}/time`,
      "s",
      outcomes.map(({ seconds }) => seconds),
      { better: "lower", note },
    ),
    rowOf(
      `${prefix}${contender}/peak_memory`,
      "MB",
      outcomes.map(({ peakBytes }) => peakBytes / 1e6),
      { ...goal, better: "lower" },
    ),
    {
      id: `${prefix}${contender}/roc_auc`,
      value: median(outcomes.map(({ rocAuc }) => rocAuc)),
      unit: "1",
      better: "higher",
    },
  ];
}

/** Time with half the rows, half the columns, one thread and four, each beside the base in the same turn. */
async function growth(base: TrainingTask, onStage: BenchOptions["onStage"]): Promise<ReportRow[]> {
  const variants: Record<string, TrainingTask> = {
    rows_half: { ...base, trainRows: base.trainRows / 2 },
    columns_half: { ...base, features: base.features / 2 },
    threads_1: { ...base, threads: 1 },
    threads_4: { ...base, threads: 4 },
  };
  const rows: ReportRow[] = [];
  const reference = await inFolder(base, (folder) => measure(folder, "own"));
  for (const [name, task] of Object.entries(variants)) {
    const outcome = await inFolder(task, (folder) => measure(folder, "own"));
    onStage(`${name}: ${outcome.seconds.toFixed(2)} s, base ${reference.seconds.toFixed(2)} s`);
    rows.push(
      rowOf(`growth/${name}/time`, "s", [outcome.seconds], { note: `base ${reference.seconds.toFixed(2)} s` }),
      rowOf(`growth/${name}/peak_memory`, "MB", [outcome.peakBytes / 1e6]),
    );
  }
  return rows;
}

/** 5,000,000 x 30. */
async function largest(onStage: BenchOptions["onStage"]): Promise<ReportRow[]> {
  onStage("5,000,000 rows");
  const task = { ...BASE, trainRows: 5_000_000 };
  const outcome = await inFolder(task, (folder) => measure(folder, "own"));
  onStage(`5,000,000 rows, ${task.trees} trees: ${outcome.seconds.toFixed(1)} s`);
  const note = `${task.trees} trees in ${outcome.seconds.toFixed(1)} s`;
  return [
    rowOf("rows_5000000/time", "s", [outcome.seconds], { better: "lower", note }),
    rowOf("rows_5000000/peak_memory", "MB", [outcome.peakBytes / 1e6], { floor: 4000, better: "lower", note }),
  ];
}
