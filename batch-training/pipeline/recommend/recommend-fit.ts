/** Fits the recommender twice: as it is judged, without the latest slice, and as it is published, with everything. */
import { availableParallelism } from "node:os";
import { BUNDLE_FILES, encodeBundle } from "../../../models/recommend/bundle.ts";
import { DEFAULT_POLICY, RecommendPolicy } from "../../../models/recommend/policy.ts";
import { GOLDEN_HISTORY } from "../../../models/recommend/golden.ts";
import type { ModelFileContent } from "../../publish/publish-model.ts";
import type { Parameters, StageContext, TrainInput } from "../model-definition.ts";
import { StageRefusal } from "../pipeline-error.ts";
import { assemble, describeWeights, learn, type LearnContext, type RecommenderSettings } from "./fit-recommender.ts";
import type { RecommendSplit } from "./recommend-data.ts";
import type { ShopLog } from "./shop-log.ts";

/** What `--set` may replace, besides parameters of parts such as `"ials.factors": 64`. */
export const RECOMMEND_PARAMETERS: Parameters = {
  neighbours: 100,
  blendQuestions: 400,
  rankingQuestions: 1_000,
  policy: { ...DEFAULT_POLICY, candidates: 100 },
};

export interface RecommenderModel {
  /** Files of the bundle that knows nothing of the test slice, and of the one that is published. */
  readonly judged: readonly ModelFileContent[];
  readonly published: readonly ModelFileContent[];
  /** By part. */
  readonly weights: readonly number[];
  readonly scale: string;
  /** Questions that the second stage learned from; 0 without one. */
  readonly rankingQuestions: number;
  /** Histories of item indices of the published bundle, for its golden rows. */
  readonly histories: readonly (readonly number[])[];
}

/** @throws StageRefusal for a setting that is not what it must be */
export function settingsOf(parameters: Parameters): RecommenderSettings {
  const { neighbours, blendQuestions, rankingQuestions, policy: _policy, ...parts } = parameters;
  const whole = (name: string, value: unknown, most: number): number => {
    if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= most) return value;
    throw new StageRefusal([`${name} is a whole number from 1 to ${most}, not ${JSON.stringify(value)}`]);
  };
  return {
    policy: policyOf(parameters),
    neighbours: whole("neighbours", neighbours, 1_000),
    blendQuestions: whole("blendQuestions", blendQuestions, 100_000),
    rankingQuestions: whole("rankingQuestions", rankingQuestions, 100_000),
    parts,
  };
}

export function policyOf(parameters: Parameters): RecommendPolicy {
  const parsed = RecommendPolicy.safeParse(parameters["policy"]);
  if (parsed.success) return parsed.data;
  throw new StageRefusal(parsed.error.issues.map(({ path, message }) => `policy.${path.join(".")}: ${message}`));
}

export async function trainRecommender(
  { rows, split, parameters }: TrainInput<ShopLog, RecommendSplit>,
  { seed, progress }: StageContext,
): Promise<RecommenderModel> {
  const settings = settingsOf(parameters);
  const context: LearnContext = { seed, progress, threads: availableParallelism() };
  const learned = await learn(rows, { from: split.learnFrom, until: split.testFrom }, settings, context);
  const judged = await assemble(rows, split.testFrom, { settings, learned }, context);
  const published = await assemble(rows, rows.until + 1, { settings, learned }, context);
  progress(1, 1, `blend by ${learned.scale}: ${describeWeights(learned.weights)}`);
  return {
    judged: filesFrom(encodeBundle(judged)),
    published: filesFrom(encodeBundle(published)),
    weights: learned.weights,
    scale: learned.scale,
    rankingQuestions: learned.ranker === null ? 0 : learned.questions,
    histories: goldenHistories(published.table.items),
  };
}

const filesFrom = (files: ReadonlyMap<string, Uint8Array>): ModelFileContent[] =>
  Array.from(files, ([path, bytes]) => ({ path, bytes }));

export const RANKER_FILE = BUNDLE_FILES.ranker;

/** Short and long, popular and rare: every part of the catalogue is asked for once. */
function goldenHistories(items: number): number[][] {
  const spread = (from: number, step: number, length: number): number[] =>
    Array.from({ length }, (_, at) => (from + at * step) % Math.max(1, items));
  return [[0], spread(1, 1, 4), spread(5, 7, GOLDEN_HISTORY), spread(Math.floor(items / 2), 3, 6)];
}
