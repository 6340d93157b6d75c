/** One trial of the search for a recommender's parameters. */
import { availableParallelism } from "node:os";
import type { StageContext, TrainInput } from "../model-definition.ts";
import type { TrialResult } from "../search.ts";
import { assemble, learn, type LearnContext } from "./fit-recommender.ts";
import { LIST, measure } from "./measure.ts";
import { questionsOf } from "./questions.ts";
import { meanOf, rankerOf } from "./recommend-checks.ts";
import type { RecommendSplit } from "./recommend-data.ts";
import { settingsOf } from "./recommend-parameters.ts";
import { factsBefore, type ShopLog } from "./shop-log.ts";

/** Share of the learning slice that teaches blend and second stage of a trial; the rest of it looks at what came of them. */
const LEARNING_SHARE = 0.6;
/** As many as judge a run: fewer, and the search would follow noise. */
const QUESTIONS = 1_000;
const MIN_QUESTIONS = 50;

/**
 * Parts learn from what is before the learning slice, blend and second stage from its first part; parts fitted anew up to there answer the
 * questions of the rest. The log is cut where the slice that judges the run begins, so nothing of that can be seen. Loss: 1 - NDCG@10 of the
 * served pipeline, what the gates compare on.
 */
export async function tryRecommenderParameters(
  { rows, split, parameters }: TrainInput<ShopLog, RecommendSplit>,
  { seed }: StageContext,
): Promise<TrialResult> {
  const settings = settingsOf(parameters);
  const log = factsBefore(rows, split.testFrom);
  const { sessionGapSeconds: gapSeconds, maxEvents } = settings.policy;
  const from = Math.floor(split.learnFrom + LEARNING_SHARE * (split.testFrom - split.learnFrom));
  const questions = questionsOf(log, { from, until: Infinity, gapSeconds, maxEvents, limit: QUESTIONS, seed });
  if (questions.length < MIN_QUESTIONS) {
    const note = `${questions.length} questions at the end of the learning slice; ${MIN_QUESTIONS} are needed`;
    return { loss: null, found: {}, note };
  }
  const context: LearnContext = { seed, threads: availableParallelism(), progress: () => {} };
  const learned = await learn(log, { from: split.learnFrom, until: from }, settings, context);
  const bundle = await assemble(log, from, { settings, learned }, context);
  const since = { log, since: from };
  const { ndcg, hit } = measure({ bundle, ranker: rankerOf(bundle), everywhereHome: false }, questions, since);
  const stages = learned.ranker === null ? "first stage alone" : "two stages";
  const note = `NDCG@${LIST} ${meanOf(ndcg).toFixed(4)}, HR@${LIST} ${meanOf(hit).toFixed(4)} over ${questions.length} questions, ${stages}`;
  return { loss: 1 - meanOf(ndcg), found: {}, note };
}
