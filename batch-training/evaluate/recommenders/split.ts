import { type Random, seededRandom } from "../../../models/stats/random.ts";
import { shuffle } from "../../../models/stats/random-draws.ts";
import type { Interactions } from "../../sources/interactions.ts";
import { parseTime } from "../../sources/interaction-format.ts";
import { eventOrder } from "../../train/recommenders/training-log.ts";

/** How a log is cut into what is known and what is asked for. */
export type SplitRule =
  | { readonly kind: "given" }
  | { readonly kind: "leave-last-out" }
  | { readonly kind: "per-user-random"; readonly fraction: number; readonly seed: number }
  | { readonly kind: "by-time"; readonly from: number };

/** Row numbers of one log. */
export interface Split {
  readonly train: Int32Array;
  readonly test: Int32Array;
}

export class SplitError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "SplitError";
  }
}

/** `given | leave-last-out | per-user-random:0.25:SEED | by-time:DATE`. @throws SplitError */
export function parseSplit(text: string): SplitRule {
  const [kind = "", first = "", ...rest] = text.split(":");
  if (kind === "given" || kind === "leave-last-out") return { kind };
  if (kind === "per-user-random") {
    const fraction = Number(first);
    const seed = Number(rest[0] ?? "1");
    if (fraction > 0 && fraction < 1 && Number.isInteger(seed)) return { kind, fraction, seed };
    throw new SplitError(`"${text}": the fraction lies between 0 and 1, the seed is a whole number`);
  }
  if (kind === "by-time") {
    const from = parseTime([first, ...rest].join(":"));
    if (Number.isFinite(from)) return { kind, from };
    throw new SplitError(`"${text}": not a date; write by-time:2011-09-04 or by-time:2011-09-04T09:34:00Z`);
  }
  throw new SplitError(`unknown split "${text}": given, leave-last-out, per-user-random:0.25:SEED or by-time:DATE`);
}

/** Calls `each` with the rows of one user at a time, oldest first. */
function byUser(log: Interactions, rows: Int32Array, each: (rows: Int32Array) => void): void {
  const order = eventOrder(log, rows);
  let from = 0;
  for (let at = 1; at <= order.length; at++) {
    if (at < order.length && log.user[order[at] ?? 0] === log.user[order[from] ?? 0]) continue;
    each(order.subarray(from, at));
    from = at;
  }
}

/**
 * Cuts `rows` of a log. Leave-last-out keeps users with one interaction in training only; a random cut takes `fraction` of each user's
 * interactions, rounded, but never all of them.
 * @throws SplitError when a side would be empty
 */
export function splitRows(log: Interactions, rows: Int32Array, rule: Exclude<SplitRule, { kind: "given" }>): Split {
  const train: number[] = [];
  const test: number[] = [];
  if (rule.kind === "by-time") {
    for (const row of rows) {
      const time = log.time[row] ?? Number.NaN;
      if (Number.isNaN(time)) throw new SplitError("by-time needs a time in every row");
      (time < rule.from ? train : test).push(row);
    }
  } else {
    const random = seededRandom(rule.kind === "per-user-random" ? rule.seed : 0);
    byUser(log, rows, (own) => {
      const order = rule.kind === "per-user-random" ? shuffled(own, random) : own;
      const wanted = rule.kind === "per-user-random" ? Math.round(own.length * rule.fraction) : 1;
      const cut = Math.max(1, own.length - wanted);
      for (const [place, row] of order.entries()) (place < cut ? train : test).push(row);
    });
  }
  if (train.length === 0) throw new SplitError(`the split leaves nothing to train on${spanOf(log, rows)}`);
  if (test.length === 0) throw new SplitError(`the split leaves nothing to test on${spanOf(log, rows)}`);
  return { train: Int32Array.from(train), test: Int32Array.from(test) };
}

/** Where the rows lie in time, for someone who has to choose another date. */
function spanOf({ time }: Interactions, rows: Int32Array): string {
  let [first, last] = [Infinity, -Infinity];
  for (const row of rows) {
    first = Math.min(first, time[row] ?? Number.NaN);
    last = Math.max(last, time[row] ?? Number.NaN);
  }
  const text = (seconds: number): string => new Date(seconds * 1_000).toISOString();
  const readable = Math.abs(first) < LATEST_SECONDS && Math.abs(last) < LATEST_SECONDS;
  return readable ? `; the rows lie between ${text(first)} and ${text(last)}` : "";
}

/** Times beyond this have no date (ECMA-262, 21.4.1.1). */
const LATEST_SECONDS = 8.64e12;

function shuffled(rows: Int32Array, random: Random): Int32Array {
  const copy = rows.slice();
  shuffle(copy, random);
  return copy;
}

/**
 * Share of each user's training interactions that a random split validates on. Small, because the test items are still among the candidates
 * then: the more relevant items are unseen, the less the lower places of a list matter, and settings come out too bold.
 */
const RANDOM_VALIDATION = 0.1;
/** Share of the training data, by users or sessions in time order, that a given split validates on. */
const GIVEN_VALIDATION = 0.15;

/**
 * The same kind of cut once more inside the training rows, for choosing settings. Fold 0 is the nearest to the reported cut; further folds
 * repeat it with another seed, one interaction earlier, or one slice earlier. By time: a slice as long as the test slice just before it, shorter
 * where the training rows would not reach back that far: every fold and what it learns from get an equal share of their time then. For a
 * given split: per user at random, or for next-item prediction the users or sessions that end last (one fold).
 */
export function validationSplit(
  log: Interactions,
  rows: Int32Array,
  options: {
    readonly rule: SplitRule;
    readonly next: boolean;
    /** Seconds of the last test row: all that is known of the test rows here. */
    readonly testEnd: number;
    readonly fold: number;
    readonly folds: number;
  },
): Split {
  const { rule, fold, folds } = options;
  if (rule.kind === "per-user-random") {
    return splitRows(log, rows, { ...rule, fraction: RANDOM_VALIDATION, seed: rule.seed + 7_919 * (fold + 1) });
  }
  if (rule.kind === "leave-last-out") {
    const earlier = fold === 0 ? rows : splitRows(log, rows, rule).train;
    return fold <= 1 ? splitRows(log, earlier, rule) : validationSplit(log, earlier, { ...options, fold: fold - 1 });
  }
  if (rule.kind === "by-time") {
    let first = Infinity;
    for (const row of rows) first = Math.min(first, log.time[row] ?? Number.NaN);
    const length = Math.min(options.testEnd - rule.from, (rule.from - first) / (folds + 1));
    const until = rule.from - fold * length;
    const earlier = rows.filter((row) => (log.time[row] ?? 0) < until);
    return splitRows(log, earlier, { kind: "by-time", from: until - length });
  }
  if (options.next) return lastSessions(log, rows);
  return splitRows(log, rows, { kind: "per-user-random", fraction: 0.2, seed: 7_919 * (fold + 1) });
}

function lastSessions(log: Interactions, rows: Int32Array): Split {
  const ends: { time: number; rows: Int32Array }[] = [];
  byUser(log, rows, (own) => ends.push({ time: log.time[own.at(-1) ?? 0] ?? 0, rows: own }));
  ends.sort((a, b) => a.time - b.time || (a.rows[0] ?? 0) - (b.rows[0] ?? 0));
  const cut = Math.floor(ends.length * (1 - GIVEN_VALIDATION));
  const join = (part: typeof ends): Int32Array => Int32Array.from(part.flatMap((session) => [...session.rows]));
  if (cut === 0) throw new SplitError("too few sessions to keep some for validation");
  return { train: join(ends.slice(0, cut)), test: join(ends.slice(cut)) };
}
