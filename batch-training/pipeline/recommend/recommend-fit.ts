/** Fits the recommender twice: as it is judged, without the latest slice, and as it is published, with everything. */
import { availableParallelism } from "node:os";
import { BUNDLE_FILES, encodeBundle } from "../../../models/recommend/bundle.ts";
import { GOLDEN_HISTORY } from "../../../models/recommend/golden.ts";
import type { ModelFileContent } from "../../publish/publish-model.ts";
import type { StageContext, TrainInput } from "../model-definition.ts";
import { assemble, describeWeights, learn, type LearnContext, withLaterLists } from "./fit-recommender.ts";
import type { RecommendSplit } from "./recommend-data.ts";
import { settingsOf } from "./recommend-parameters.ts";
import type { ShopLog } from "./shop-log.ts";

export interface RecommenderModel {
  /** Files of the bundle that knows nothing of the test slice, and of the one that is published. */
  readonly judged: readonly ModelFileContent[];
  readonly published: readonly ModelFileContent[];
  /** Names of the parts that were fitted, and the weight of each. */
  readonly parts: readonly string[];
  readonly weights: readonly number[];
  readonly scale: string;
  /** Questions that the second stage learned from; 0 without one. */
  readonly rankingQuestions: number;
  /** Lists shown, with what became of them, that the second stages learned from. */
  readonly rankingLists: { readonly judged: number; readonly published: number };
  /** Histories of item indices of the published bundle, for its golden rows. */
  readonly histories: readonly (readonly number[])[];
}

export async function trainRecommender(
  { rows, split, parameters }: TrainInput<ShopLog, RecommendSplit>,
  { seed, progress }: StageContext,
): Promise<RecommenderModel> {
  const settings = settingsOf(parameters);
  const context: LearnContext = { seed, progress, threads: availableParallelism() };
  const learned = await learn(rows, { from: split.learnFrom, until: split.testFrom }, settings, context);
  const judged = await assemble(rows, split.testFrom, { settings, learned }, context);
  const later = await withLaterLists(learned, rows, settings, context);
  const published = await assemble(rows, rows.until + 1, { settings, learned: later }, context);
  progress(1, 1, `blend by ${learned.scale}: ${describeWeights(settings, learned.weights)}`);
  return {
    judged: filesFrom(encodeBundle(judged)),
    published: filesFrom(encodeBundle(published)),
    parts: Object.keys(settings.parts),
    weights: learned.weights,
    scale: learned.scale,
    rankingQuestions: learned.ranker === null ? 0 : learned.questions,
    rankingLists: { judged: learned.lists, published: later.lists },
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
