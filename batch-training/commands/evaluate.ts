/** `edgewise evaluate`: quality of the trainers on outside data under a stated protocol. */
import { readFile, writeFile } from "node:fs/promises";
import { defineCommand } from "citty";
import type { Report } from "../../models/contract/report.ts";
import { evaluateFraud } from "../evaluate/evaluate-fraud.ts";
import { evaluateTabular } from "../evaluate/evaluate-tabular.ts";
import { fraudReport } from "../evaluate/fraud-report.ts";
import { parseSplit, SplitError } from "../evaluate/split-rows.ts";
import { tabularReport } from "../evaluate/tabular-report.ts";
import { TableError } from "../sources/table.ts";
import type { GbdtParametersInput } from "../train/gbdt/parameters.ts";
import { TrainingError } from "../train/training-set.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

const json = { type: "string", description: "write the result as JSON", valueHint: "FILE" } as const;
const seed = { type: "string", default: "1", description: "seed of every draw", valueHint: "NUMBER" } as const;

const tabular = strictCommand({
  meta: { name: "tabular", description: "Train and score boosted trees on a CSV, NDJSON or Parquet file (gzip too)" },
  args: {
    data: { type: "string", description: "the rows", valueHint: "FILE", required: true },
    target: { type: "string", description: "the label", valueHint: "COLUMN", required: true },
    positive: { type: "string", description: "value of the label that counts as 1", valueHint: "VALUE" },
    group: { type: "string", description: 'compare groups: COLUMN, "COLUMN>=25", "COLUMN=A,B"', valueHint: "COLUMN" },
    drop: { type: "string", description: "columns not to learn from", valueHint: "COLUMN,COLUMN" },
    split: {
      type: "string",
      default: "folds:5:1",
      description: "by-time:COLUMN:SHARE, folds:COUNT:SEED or given:FILE",
      valueHint: "SPLIT",
    },
    parameters: { type: "string", description: "training parameters laid over the defaults", valueHint: "FILE.json" },
    "allow-leaks": { type: "boolean", default: false, description: "keep columns that tell the label by themselves" },
    seed,
    json,
  },
  run: async ({ args }) => {
    const parameters = args.parameters === undefined ? {} : await readParameters(args.parameters);
    const chosenSeed = parseSeed(args.seed);
    const report = await asUserErrors(async () => {
      const result = await evaluateTabular({
        data: args.data,
        target: args.target,
        positive: args.positive ?? null,
        group: args.group ?? null,
        drop: splitList(args.drop),
        split: parseSplit(args.split),
        seed: chosenSeed,
        parameters,
        allowLeaks: args["allow-leaks"],
        progress: (message) => console.error(message),
      });
      return tabularReport(result, chosenSeed, {
        data: args.data,
        target: args.target,
        positive: args.positive ?? null,
        group: args.group ?? null,
        drop: args.drop ?? null,
        split: args.split,
        seed: chosenSeed,
        features: result.features.join(","),
        fitted: JSON.stringify(result.folds.map((fold) => fold.parameters)),
      });
    });
    printReport(report);
    await writeReport(args.json, report);
  },
});

const fraud = strictCommand({
  meta: { name: "fraud", description: "The Fraud Detection Handbook's protocol on raw card transactions" },
  args: {
    transactions: { type: "string", description: "labelled transactions", valueHint: "FILE", required: true },
    "train-start": { type: "string", description: "first training day", valueHint: "YYYY-MM-DD", required: true },
    "train-days": { type: "string", default: "7", description: "days to train on", valueHint: "DAYS" },
    "delay-days": { type: "string", default: "7", description: "days until a label is known", valueHint: "DAYS" },
    "test-days": { type: "string", default: "7", description: "days to report", valueHint: "DAYS" },
    windows: { type: "string", default: "1", description: "rolling windows, one test period apart", valueHint: "N" },
    seed,
    json,
  },
  run: async ({ args }) => {
    const plan = {
      trainStart: parseDay(args["train-start"]),
      trainDays: parseCount("train-days", args["train-days"], 366),
      delayDays: parseCount("delay-days", args["delay-days"], 366),
      testDays: parseCount("test-days", args["test-days"], 366),
    };
    const windows = parseCount("windows", args.windows, 100);
    const chosenSeed = parseSeed(args.seed);
    const progress = (message: string): void => console.error(message);
    const report = await asUserErrors(async () =>
      fraudReport(await evaluateFraud({ transactions: args.transactions, plan, windows, seed: chosenSeed, progress }), {
        transactions: args.transactions,
        trainStart: args["train-start"],
        trainDays: plan.trainDays,
        delayDays: plan.delayDays,
        testDays: plan.testDays,
        windows,
        seed: chosenSeed,
      }),
    );
    printReport(report);
    await writeReport(args.json, report);
  },
});

export const evaluate = defineCommand({
  meta: { name: "evaluate", description: "Quality on outside data under a stated protocol" },
  subCommands: { tabular, fraud, recs: async () => (await import("./evaluate-recs.ts")).evaluateRecs },
});

function splitList(text: string | undefined): string[] {
  return (text ?? "").split(",").flatMap((name) => (name.trim() === "" ? [] : [name.trim()]));
}

function parseSeed(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= 0xffffffff) return value;
  throw new UserError(`--seed ${text} is not a whole number 0..2^32 - 1`, 2);
}

function parseDay(text: string): number {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(time)) throw new UserError(`--train-start ${text} is no day like 2018-07-11`, 2);
  return time;
}

function parseCount(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new UserError(`--${name} ${text} is not a whole number 1..${most}`, 2);
}

async function readParameters(file: string): Promise<GbdtParametersInput> {
  try {
    // Checked by the trainer, which names each wrong field.
    return JSON.parse(await readFile(file, "utf8")) as GbdtParametersInput;
  } catch (error) {
    throw new UserError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Errors about data, split or parameters are the user's to mend; any other is a bug and keeps its type. */
async function asUserErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SplitError) throw new UserError(error.message, 2);
    if (error instanceof TableError || error instanceof TrainingError) throw new UserError(error.message);
    throw error;
  }
}

function printReport(report: Report): void {
  const width = Math.max(...report.rows.map(({ id }) => id.length));
  for (const { id, value, low, high, unit } of report.rows) {
    const interval = low === undefined || high === undefined ? "" : `  (95 % ${low.toFixed(4)} to ${high.toFixed(4)})`;
    const shown = unit === "rows" ? String(value) : value.toFixed(6);
    console.log(`${id.padEnd(width)}  ${shown}${interval}`);
  }
}

async function writeReport(file: string | undefined, report: Report): Promise<void> {
  if (file === undefined) return;
  try {
    await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  } catch (error) {
    throw new UserError(`cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
