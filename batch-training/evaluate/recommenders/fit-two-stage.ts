import { listQuality } from "../../../models/stats/recommendation-metrics.ts";
import {
  fitRanker,
  joinRows,
  type Ranker,
  RANKER_PARAMETERS,
  type RankingRows,
} from "../../train/recommenders/two-stage/fit-ranker.ts";
import { itemStatistics } from "../../train/recommenders/two-stage/item-statistics.ts";
import {
  type RankingCandidates,
  RankingFeatures,
  type RankingQuestion,
} from "../../train/recommenders/two-stage/ranking-features.ts";
import type { FitContext, FittedRecommender } from "../../train/recommenders/recommender.ts";
import type { TrainingLog } from "../../train/recommenders/training-log.ts";
import { loadCompact } from "../load-session.ts";
import type { Case } from "./cases.ts";
import { SplitError } from "./split.ts";
import { excludedItems, type RankOptions, topItems } from "./top-items.ts";

/**
 * The second stage: boosted trees with LambdaRank over the candidates of every part, learned on validation cases that no part was trained
 * on, and scored by the compact engine as it would be served.
 */
export interface TwoStageFold {
  readonly parts: readonly FittedRecommender[];
  readonly cases: readonly Case[];
  readonly log: TrainingLog;
}

export interface LearnedTwoStage {
  readonly ranker: Ranker;
  /** Mean NDCG@k on validation cases by rankers that did not learn from them. */
  readonly validation: number;
}

type Score = (question: Case, scores: readonly Float32Array[], out: Float32Array) => void;

interface Block {
  readonly rows: RankingRows;
  readonly cases: readonly Case[];
  readonly candidates: readonly RankingCandidates[];
}

/** @param names of the parts. @throws SplitError with fewer than two groups of cases to learn and judge on */
export async function fitTwoStage(
  folds: readonly TwoStageFold[],
  names: readonly string[],
  options: RankOptions & { readonly context: FitContext; readonly bags: number },
): Promise<LearnedTwoStage> {
  const blocks = folds.flatMap((fold) => {
    // A single fold judges itself by halves; sessions and users stay whole.
    const halves =
      folds.length > 1 ? [fold.cases] : [0, 1].map((half) => fold.cases.filter((c) => c.cluster % 2 === half));
    return halves.filter((cases) => cases.length > 0).map((cases) => blockOf({ ...fold, cases }, names, options));
  });
  if (blocks.length < 2) throw new SplitError("a second stage needs validation cases of two users or sessions");
  const fitting = { ...options.context, parameters: { ...RANKER_PARAMETERS, bags: options.bags } };
  const qualities: number[] = [];
  for (const [held, block] of blocks.entries()) {
    const others = blocks.filter((_, index) => index !== held).map(({ rows }) => rows);
    const ranker = await fitRanker(joinRows(others), fitting);
    qualities.push(blockQuality(block, ranker, options));
  }
  const ranker = await fitRanker(joinRows(blocks.map(({ rows }) => rows)), fitting);
  return { ranker, validation: qualities.reduce((sum, value) => sum + value, 0) / Math.max(1, qualities.length) };
}

/** Scores with a learned second stage over parts that were fitted on `log`. */
export function openTwoStage(
  ranker: Ranker,
  names: readonly string[],
  options: RankOptions & { readonly log: TrainingLog },
): Score {
  const features = new RankingFeatures(names, itemStatistics(options.log));
  const session = loadCompact(ranker.onnx);
  return (question, scores, out) => {
    const { asked, candidates } = candidatesOf(features, question, scores, options);
    const rows = candidates.items.length;
    const batch = new Float32Array(rows * features.names.length);
    features.encode(asked, candidates, batch);
    out.fill(Number.NaN);
    const ranked = session.run(batch, rows);
    for (const [row, item] of candidates.items.entries()) if (item >= 0) out[item] = ranked[row] ?? Number.NaN;
  };
}

function candidatesOf(
  features: RankingFeatures,
  question: Case,
  scores: readonly Float32Array[],
  { exclude }: RankOptions,
): { asked: RankingQuestion; candidates: RankingCandidates } {
  const asked = { history: question.history, at: question.at, scores };
  if (question.candidates !== null) return { asked, candidates: features.given(asked, question.candidates) };
  const excluded = excludedItems(question, exclude);
  return { asked, candidates: features.candidates(asked, (item) => excluded.has(item)) };
}

function blockOf(fold: TwoStageFold, names: readonly string[], options: RankOptions): Block {
  const { log, parts } = fold;
  const features = new RankingFeatures(names, itemStatistics(log));
  const scores = parts.map(() => new Float32Array(log.items));
  const values: Float32Array[] = [];
  const labels: number[] = [];
  const kept: { question: Case; candidates: RankingCandidates }[] = [];
  for (const question of fold.cases) {
    for (const [part, fitted] of parts.entries()) {
      fitted.score(question.history, question.at, scores[part] ?? new Float32Array(log.items));
    }
    const { asked, candidates } = candidatesOf(features, question, scores, options);
    const batch = new Float32Array(candidates.items.length * features.names.length);
    features.encode(asked, candidates, batch);
    values.push(batch);
    for (const item of candidates.items) labels.push(question.relevant.has(item) ? 1 : 0);
    kept.push({ question, candidates });
  }
  const rows = {
    names: features.names,
    values: concatenated(values),
    labels: Float32Array.from(labels),
    groups: Int32Array.from(kept, ({ candidates }) => candidates.items.length),
  };
  return { rows, cases: kept.map(({ question }) => question), candidates: kept.map(({ candidates }) => candidates) };
}

function concatenated(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function blockQuality({ rows, cases, candidates }: Block, ranker: Ranker, options: RankOptions): number {
  const session = loadCompact(ranker.onnx);
  const width = ranker.names.length;
  let sum = 0;
  let from = 0;
  for (const [index, question] of cases.entries()) {
    const items = candidates[index]?.items ?? new Int32Array(0);
    const ranked = session.run(rows.values.subarray(from * width, (from + items.length) * width), items.length);
    from += items.length;
    const scores = new Float32Array(items.reduce((most, item) => Math.max(most, item), 0) + 1).fill(Number.NaN);
    for (const [row, item] of items.entries()) if (item >= 0) scores[item] = ranked[row] ?? Number.NaN;
    const list = topItems(scores, question, options);
    const { idealCount, relevant } = question;
    sum += listQuality(list, (item) => relevant.has(item), { relevant: idealCount, k: options.k }).ndcg;
  }
  return cases.length === 0 ? 0 : sum / cases.length;
}
