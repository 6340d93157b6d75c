/** `edgewise evaluate recs`: every recommender on one data set, settings chosen on a validation part of the training data. */
import { access, constants, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, resolve } from "node:path";
import {
  type EvaluationFiles,
  type EvaluationRules,
  type Prepared,
  prepareEvaluation,
} from "../evaluate/recommenders/prepare.ts";
import { evaluateRecommenders } from "../evaluate/recommenders/evaluate-recommenders.ts";
import { describeEvaluation, evaluationReport } from "../evaluate/recommenders/report.ts";
import { describeLeftOut } from "../evaluate/recommenders/left-out.ts";
import { parseSplit, SplitError } from "../evaluate/recommenders/split.ts";
import { INTERACTION_FORMATS, InteractionError, type InteractionFormat } from "../sources/interaction-format.ts";
import { RECOMMENDERS } from "../train/recommenders/catalog.ts";
import type { Recommender } from "../train/recommenders/recommender.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

/** Lists longer than this are no recommendation, and the pools of the blend would not hold them. */
const MAX_K = 50;

const EXCLUSIONS = { all: "nothing", "except-last": "last", "new-to-user": "history" } as const;

const option = (description: string, valueHint: string) => ({ type: "string", description, valueHint }) as const;
const setting = <T extends string>(description: string, valueHint: string, fallback: T) =>
  ({ type: "string", description, valueHint, default: fallback }) as const;

export const evaluateRecs = strictCommand({
  meta: { name: "recs", description: "Recommenders: hit rate, recall, precision, NDCG, MAP, MRR, coverage and more" },
  args: {
    data: {
      type: "string",
      description: "user,item,timestamp[,value]: CSV, NDJSON or Parquet, gzip or not",
      valueHint: "FILE",
      required: true,
    },
    test: option("what is to be predicted, with --split given", "FILE"),
    valid: option("choose settings on this file; it is not trained on", "FILE"),
    candidates: option("user,item,negatives: rank each test item against these only", "FILE"),
    split: setting(
      "how the data is cut",
      "given|leave-last-out|per-user-random:0.25:SEED|by-time:DATE",
      "leave-last-out",
    ),
    task: {
      type: "enum",
      options: ["set", "next"],
      default: "set",
      description: "later items of a user, or each next item",
    },
    model: setting("models, separated by commas", "NAME[,NAME…]|all", "all"),
    k: setting("length of the lists", "N", "10"),
    items: {
      type: "enum",
      options: ["all", "except-last", "new-to-user"],
      description: "what may be shown: all, all but the item in view, nothing known; default new-to-user, all for next",
    },
    format: setting("how the files are written", ["auto", ...INTERACTION_FORMATS].join("|"), "auto"),
    seed: setting("seed of every random choice", "N", "1"),
    threads: setting("worker threads", "N", String(availableParallelism())),
    folds: setting("validation cuts settings are chosen on", "N", "2"),
    validationCases: setting("validation cases settings are chosen on, at most", "N", "700"),
    neighbours: setting("entries of each served neighbour list", "N", "100"),
    bags: setting("second stages fitted with seeds of their own and averaged", "N", "1"),
    served: { type: "boolean", default: false, description: "measure the served form, lists cut to --neighbours" },
    head: option("with --served: embeddings of the N most popular items in memory, the others in a vector index", "N"),
    json: option("write the report as JSON", "FILE"),
  },
  run: async ({ args }) => {
    const items = args.items ?? (args.task === "next" ? "all" : "new-to-user");
    const rules: EvaluationRules = {
      split: asUsage(() => parseSplit(args.split)),
      next: args.task === "next",
      exclude: EXCLUSIONS[items as keyof typeof EXCLUSIONS],
      seed: wholeNumber("seed", args.seed, [0, 2 ** 31 - 1]),
      folds: wholeNumber("folds", args.folds, [1, 20]),
      validationCases: wholeNumber("validation-cases", args.validationCases, [1, 1_000_000]),
    };
    const k = wholeNumber("k", args.k, [1, MAX_K]);
    if (args.head !== undefined && !args.served)
      throw new UserError("--head is about the served form: add --served", 2);
    const headItems = args.head === undefined ? null : wholeNumber("head", args.head, [0, 1_000_000]);
    const { models, blend, twoStage } = chooseModels(args.model);
    const files: EvaluationFiles = {
      data: args.data,
      test: args.test ?? null,
      valid: args.valid ?? null,
      candidates: args.candidates ?? null,
      format: chooseFormat(args.format),
    };
    if (args.json !== undefined) await checkFolderOf(args.json);
    const prepared = await prepareEvaluation(files, rules).catch(asUserError);
    describePrepared(prepared);
    const evaluations = await evaluateRecommenders({
      ...prepared,
      models,
      blend,
      twoStage,
      rank: { k, exclude: rules.exclude },
      bags: wholeNumber("bags", args.bags, [1, 20]),
      context: { seed: rules.seed, threads: wholeNumber("threads", args.threads, [1, 256]) },
      neighbours: wholeNumber("neighbours", args.neighbours, [1, 10_000]),
      served: args.served,
      headItems,
      now: () => performance.now(),
      progress: (line) => console.error(line),
    }).catch(asUserError);
    for (const line of describeEvaluation(evaluations, k)) console.log(line);
    if (args.json === undefined) return;
    const parameters = {
      data: args.data,
      test: args.test ?? null,
      valid: args.valid ?? null,
      candidates: args.candidates ?? null,
      split: args.split,
      task: args.task,
      items,
      k,
      seed: rules.seed,
      folds: rules.folds,
      validationCases: rules.validationCases,
      bags: Number(args.bags),
      cases: prepared.cases.length,
      ...countRows(prepared),
      ...prepared.leftOut,
    };
    const report = evaluationReport(evaluations, parameters);
    await writeFile(args.json, `${JSON.stringify(report, null, 2)}\n`).catch((error: Error) => {
      throw new UserError(`cannot write ${args.json ?? ""}: ${error.message}`);
    });
  },
});

/** Before hours of work, not after. */
async function checkFolderOf(path: string): Promise<void> {
  await access(dirname(resolve(path)), constants.W_OK).catch((error: Error) => {
    throw new UserError(`cannot write ${path}: ${error.message}`);
  });
}

function wholeNumber(name: string, value: string, [low, high]: readonly [number, number]): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= low && number <= high) return number;
  throw new UserError(`--${name} is a whole number from ${low} to ${high}, not "${value}"`, 2);
}

function chooseFormat(value: string): InteractionFormat | "auto" {
  const known = (["auto", ...INTERACTION_FORMATS] as const).find((format) => format === value);
  if (known === undefined) throw new UserError(`--format is one of auto, ${INTERACTION_FORMATS.join(", ")}`, 2);
  return known;
}

/** The blend and the second stage are made of the models named beside them, or of all when they stand alone. */
function chooseModels(list: string): { models: readonly Recommender[]; blend: boolean; twoStage: boolean } {
  const names = list.split(",").map((name) => name.trim());
  const known = [...RECOMMENDERS.map((model) => model.name), "blend", "two-stage", "all"];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UserError(`unknown model "${unknown}"; there are ${known.join(", ")}`, 2);
  if (names.includes("all")) return { models: RECOMMENDERS, blend: true, twoStage: true };
  const models = RECOMMENDERS.filter((model) => names.includes(model.name));
  return {
    models: models.length === 0 ? RECOMMENDERS : models,
    blend: names.includes("blend"),
    twoStage: names.includes("two-stage"),
  };
}

/** Rows of all files that were not used, for the report. */
function countRows({ readings }: Prepared): Record<"refusedRows" | "repeatedRows" | "contradictoryRows", number> {
  const counts = { refusedRows: 0, repeatedRows: 0, contradictoryRows: 0 };
  for (const { refused, repeated, contradictory } of readings.values()) {
    for (const rows of refused.values()) counts.refusedRows += rows;
    counts.repeatedRows += repeated;
    counts.contradictoryRows += contradictory;
  }
  return counts;
}

function describePrepared({ log, cases, folds, readings, leftOut }: Prepared): void {
  for (const [path, reading] of readings) {
    const refused = [...reading.refused].map(([reason, count]) => `${count} ${reason}`).join(", ");
    const repeated =
      reading.repeated > 0 ? `; ${reading.repeated} repeated, ${reading.contradictory} of them contradictory` : "";
    console.error(
      `${path}: ${reading.format}, ${reading.rows} rows, ${reading.interactions.user.length} used${repeated}${refused === "" ? "" : `; refused: ${refused}`}`,
    );
  }
  console.error(
    `training: ${log.users} users, ${log.items} items, ${log.item.length} events; ${cases.length} test cases; ${folds.map((fold) => fold.cases.length).join(" + ")} validation cases`,
  );
  console.error(describeLeftOut(leftOut));
}

function asUsage<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof SplitError) throw new UserError(error.message, 2);
    throw error;
  }
}

/** Errors about the data are the user's to mend; any other is a bug and keeps its type. */
function asUserError(error: unknown): never {
  if (error instanceof InteractionError || error instanceof SplitError || error instanceof RangeError) {
    throw new UserError(error.message);
  }
  throw error;
}
