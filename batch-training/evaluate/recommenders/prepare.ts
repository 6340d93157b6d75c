import { seededRandom } from "../../../models/stats/random.ts";
import { shuffle } from "../../../models/stats/random-draws.ts";
import type { InteractionFormat } from "../../sources/interaction-format.ts";
import {
  type InteractionReading,
  type Interactions,
  readInteractions,
  Vocabulary,
} from "../../sources/interactions.ts";
import { type TrainingLog, trainingLog } from "../../train/recommenders/training-log.ts";
import { type CandidateFile, drawNegatives, readCandidates } from "./candidates.ts";
import { buildCases, type Case } from "./cases.ts";
import { countLeftOut, type LeftOut } from "./left-out.ts";
import type { Validation } from "./search.ts";
import type { Exclusion } from "./top-items.ts";
import { type Split, SplitError, type SplitRule, splitRows, validationSplit } from "./split.ts";

export interface EvaluationFiles {
  readonly data: string;
  readonly test: string | null;
  readonly valid: string | null;
  readonly candidates: string | null;
  readonly format: InteractionFormat | "auto";
}

export interface EvaluationRules {
  readonly split: SplitRule;
  readonly next: boolean;
  readonly exclude: Exclusion;
  readonly seed: number;
  /** Validation cuts; a file of validation rows and next-item sessions have one. */
  readonly folds: number;
  /** Validation cases used at most in each fold, drawn at random. */
  readonly validationCases: number;
}

export interface Prepared {
  readonly log: TrainingLog;
  readonly cases: readonly Case[];
  readonly folds: readonly Validation[];
  readonly readings: ReadonlyMap<string, InteractionReading>;
  readonly leftOut: LeftOut;
}

/** Several readings as one log; rows of the second follow those of the first. */
function joined(readings: readonly Interactions[]): { log: Interactions; ranges: Int32Array[] } {
  const total = readings.reduce((sum, part) => sum + part.user.length, 0);
  const log = {
    user: new Int32Array(total),
    item: new Int32Array(total),
    time: new Float64Array(total),
    value: new Float32Array(total),
  };
  const ranges: Int32Array[] = [];
  let at = 0;
  for (const part of readings) {
    log.user.set(part.user, at);
    log.item.set(part.item, at);
    log.time.set(part.time, at);
    log.value.set(part.value, at);
    const from = at;
    ranges.push(Int32Array.from({ length: part.user.length }, (_, row) => from + row));
    at += part.user.length;
  }
  return { log, ranges };
}

/** Reads, splits and turns into questions. @throws InteractionError, SplitError */
export async function prepareEvaluation(files: EvaluationFiles, rules: EvaluationRules): Promise<Prepared> {
  checkFiles(files, rules);
  const users = new Vocabulary();
  const items = new Vocabulary();
  const readings = new Map<string, InteractionReading>();
  for (const path of [files.data, files.test, files.valid]) {
    if (path !== null) readings.set(path, await readInteractions(path, { users, items, format: files.format }));
  }
  const { log, ranges } = joined([...readings.values()].map((reading) => reading.interactions));
  const [all = new Int32Array(0), second, third] = ranges;
  const candidates = files.candidates === null ? null : await readCandidates(files.candidates, users, items);
  const split: Split =
    rules.split.kind === "given"
      ? { train: all, test: second ?? new Int32Array(0) }
      : candidates === null
        ? splitRows(log, all, rules.split)
        : splitByCandidates(log, all, candidates);
  const validRows = files.valid === null ? null : files.test === null ? second : third;
  const training = trainingLog(log, split.train);
  const options = { next: rules.next, newOnly: rules.exclude === "history" };
  const negatives = candidates === null ? {} : { candidates: candidates.negatives };
  const cases = buildCases(log, split.test, { ...options, ...negatives, log: training });
  if (cases.length === 0) throw new SplitError("no test user has an item to find under these rules");
  const fraction = rules.split.kind === "per-user-random" ? rules.split.fraction : 0;
  const idealShare = fraction / (1 - fraction);
  const single = validRows !== undefined && validRows !== null;
  const folds = Array.from(
    { length: single || (rules.next && rules.split.kind === "given") ? 1 : rules.folds },
    (_, fold) => {
      const inner = single ? { train: split.train, test: validRows } : innerSplit(log, split, { rules, fold });
      const drawn =
        candidates === null
          ? {}
          : {
              candidates: drawLike(candidates, { log, train: split.train, test: inner.test, seed: rules.seed + fold }),
            };
      const innerLog = trainingLog(log, inner.train);
      const innerCases = buildCases(log, inner.test, { ...options, ...drawn, idealShare, log: innerLog });
      if (innerCases.length === 0) throw new SplitError("the training data leaves no validation case");
      return { log: innerLog, cases: sample(innerCases, rules.validationCases, rules.seed) };
    },
  );
  const leftOut = countLeftOut(log, split.test, { log: training, cases, newOnly: options.newOnly && !rules.next });
  return { log: training, cases, folds, readings, leftOut };
}

function checkFiles(files: EvaluationFiles, rules: EvaluationRules): void {
  const given = [files.data, files.test, files.valid, files.candidates].flatMap((path) => path ?? []);
  const twice = given.find((path, at) => given.indexOf(path) !== at);
  if (twice !== undefined)
    throw new SplitError(`${twice} is given twice: --data, --test, --valid and --candidates name different files`);
  if (rules.split.kind === "given" && files.test === null) throw new SplitError("--split given needs --test FILE");
  if (rules.split.kind !== "given" && files.test !== null) {
    throw new SplitError("--test FILE goes with --split given; other splits cut --data themselves");
  }
  if (files.candidates !== null && rules.split.kind !== "leave-last-out") {
    throw new SplitError("--candidates FILE goes with --split leave-last-out");
  }
  if (rules.next && rules.split.kind !== "given" && rules.split.kind !== "by-time") {
    throw new SplitError("--task next needs --split given or by-time: it predicts through whole later sequences");
  }
}

/** The file says which item of each user is the test item; all the rest is training. */
function splitByCandidates(log: Interactions, rows: Int32Array, candidates: CandidateFile): Split {
  const isTest = (row: number): boolean => candidates.testItem.get(log.user[row] ?? -1) === log.item[row];
  const test = rows.filter(isTest);
  const found = new Set(test.map((row) => log.user[row] ?? -1)).size;
  if (found < candidates.testItem.size) {
    const missing = candidates.testItem.size - found;
    throw new SplitError(`${missing} test items of the candidates file do not occur in the data with their user`);
  }
  return { train: rows.filter((row) => !isTest(row)), test };
}

function innerSplit(
  log: Interactions,
  split: Split,
  { rules, fold }: { readonly rules: EvaluationRules; readonly fold: number },
): Split {
  let testEnd = -Infinity;
  for (const row of split.test) testEnd = Math.max(testEnd, log.time[row] ?? Number.NaN);
  return validationSplit(log, split.train, { rule: rules.split, next: rules.next, testEnd, fold, folds: rules.folds });
}

function drawLike(
  file: CandidateFile,
  { log, train, test, seed }: Split & { readonly log: Interactions; readonly seed: number },
): Map<number, readonly number[]> {
  const count = Math.max(...[...file.negatives.values()].map((list) => list.length));
  const users = new Set([...test].map((row) => log.user[row] ?? -1));
  return drawNegatives(log, train, { users, count, seed });
}

function sample(cases: readonly Case[], limit: number, seed: number): readonly Case[] {
  if (cases.length <= limit) return cases;
  const order = Int32Array.from(cases.keys());
  shuffle(order, seededRandom(seed));
  return [...order.subarray(0, limit).sort()].flatMap((index) => cases[index] ?? []);
}
