/** The recommender's data: from log objects to facts, and the slices of time that teach and judge. */
import type { ExposureRecord } from "../../../models/recommend/exposure.ts";
import { shownLists } from "./shown-lists.ts";
import { type LogObject, readLogObjects, snapshotOf } from "../log-objects.ts";
import type { SplitPlan, StageContext } from "../model-definition.ts";
import { PipelineError, StageRefusal } from "../pipeline-error.ts";
import type { LogSource } from "../sources.ts";
import { bookBefore } from "./products-at.ts";
import { type ShopLog, shopLog } from "./shop-log.ts";

/** Shares of the time that the log covers: the latest judges, the one before it teaches the blend and the second stage. */
const TEST_SHARE = 0.15;
const LEARNING_SHARE = 0.15;
/** A log shorter than this shows no habits, and one with fewer facts no neighbours. */
const MIN_DAYS = 7;
const MIN_FACTS = 1_000;
const DAY_MS = 86_400_000;

export interface RecommendData {
  readonly objects: readonly LogObject[];
  /** Recommendations as they were shown. */
  readonly exposures: readonly LogObject[];
}

export interface RecommendSplit extends SplitPlan {
  /** Epoch milliseconds: parts learn from what is before `learnFrom`, blend and second stage from there to `testFrom`, the rest judges. */
  readonly learnFrom: number;
  readonly testFrom: number;
}

export async function readLogs(
  log: LogSource,
  names: { readonly objects: readonly string[]; readonly exposures: readonly string[] },
  context: StageContext,
): Promise<RecommendData> {
  return {
    objects: await readLogObjects(log, names.objects, context),
    exposures: await readLogObjects(log, names.exposures, context),
  };
}

/**
 * @param outcomeWaitMs how long a list waits for its outcomes before it is learned from
 * @throws StageRefusal for a log that no recommender can come from
 */
export function factsFrom(data: RecommendData, outcomeWaitMs: number): ShopLog {
  const snapshot = snapshotOf(data.objects);
  const log = shopLog(snapshot.events());
  describeFacts(log);
  if (data.exposures.length === 0) return log;
  let asOf = 0;
  for (const { ingestedAt } of snapshot.events()) asOf = Math.max(asOf, ingestedAt);
  return { ...log, shown: shownLists(exposuresOf(data), snapshot.events(), { waitMs: outcomeWaitMs, asOf }) };
}

function* exposuresOf({ exposures }: RecommendData): Generator<ExposureRecord> {
  for (const { name, bytes } of exposures) {
    for (const [at, line] of new TextDecoder().decode(bytes).split("\n").entries()) {
      if (line === "") continue;
      try {
        yield JSON.parse(line) as ExposureRecord;
      } catch (error) {
        throw new PipelineError(
          "invalid_input",
          `the log of exposures is damaged at ${name}, line ${at + 1}: ${String(error)}`,
        );
      }
    }
  }
}

/** @throws StageRefusal for a log that no recommender can come from */
export function describeFacts(log: ShopLog): string {
  const days = (log.until - log.from) / DAY_MS;
  if (log.product.length < MIN_FACTS || days < MIN_DAYS) {
    throw new StageRefusal([
      `the log holds ${log.product.length} views, carts and purchases over ${days.toFixed(1)} days; ${MIN_FACTS} over ${MIN_DAYS} days are needed. Ingest more history`,
    ]);
  }
  if (log.productIds.length < 2) {
    throw new StageRefusal([`the log knows ${log.productIds.length} product: there is nothing to choose from`]);
  }
  const book = bookBefore(log.changes, Infinity);
  if (log.productIds.every((id) => book.product(id)?.active === false)) {
    throw new StageRefusal(["every product that anyone met is withdrawn: there is nothing to recommend"]);
  }
  const customers = log.known.reduce((sum, known) => sum + known, 0);
  const day = (at: number): string => new Date(at).toISOString().slice(0, 10);
  return `${log.product.length} views, carts and purchases from ${day(log.from)} to ${day(log.until)} by ${customers} customers and ${log.visitors - customers} visits of strangers, with ${log.productIds.length} products`;
}

export function splitFacts(log: ShopLog): RecommendSplit {
  const span = log.until - log.from;
  const testFrom = Math.floor(log.until - TEST_SHARE * span);
  const learnFrom = Math.floor(testFrom - LEARNING_SHARE * span);
  const before = (time: number): number => log.at.reduce((count, at) => count + (at < time ? 1 : 0), 0);
  const [first, second] = [before(learnFrom), before(testFrom)];
  if (first === 0 || second === first || second === log.at.length) {
    throw new StageRefusal(["a slice of the log's time is empty: ingest history without gaps"]);
  }
  const day = (at: number): string => new Date(at).toISOString().slice(0, 10);
  return {
    learnFrom,
    testFrom,
    trainRows: second,
    testRows: log.at.length - second,
    trainedFrom: log.from,
    // What is published is fitted once more on everything, with what was learned before the test slice.
    trainedTo: log.until,
    notes: [
      describeFacts(log),
      `parts learn from ${first} facts before ${day(learnFrom)}, blend and second stage from ${second - first} up to ${day(testFrom)}, ${log.at.length - second} later ones judge; then the parts are fitted on all of them`,
    ],
  };
}
