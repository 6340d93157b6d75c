/** Ranking vectors of real questions: what the second stage is proven on. */
import type { GoldenVectors } from "../../../models/contract/manifest.ts";
import type { Session } from "../../../models/engine/session.ts";
import { RANKING_WIDTH } from "../../../models/recommend/ranking-features.ts";
import type { Parameters } from "../model-definition.ts";
import { questionsOf } from "./questions.ts";
import { rankingRows } from "./ranking-rows.ts";
import { filesOf } from "./recommend-checks.ts";
import type { RecommendSplit } from "./recommend-data.ts";
import type { RecommenderModel } from "./recommend-fit.ts";
import { policyOf } from "./recommend-parameters.ts";
import type { ShopLog } from "./shop-log.ts";

/** Questions whose candidates the engines are compared on. */
const QUESTIONS = 30;
const GOLDEN_ROWS = 32;
/** Sums of a few hundred leaves in float32 differ between engines in the sixth digit. */
const TOLERANCE = 1e-4;

/** Vectors of the candidates of a few questions of the test slice, row-major. */
export function rankingSample(
  rows: ShopLog,
  split: RecommendSplit,
  model: Pick<RecommenderModel, "judged">,
  parameters: Parameters,
): Float32Array {
  const { sessionGapSeconds, maxEvents } = policyOf(parameters);
  const slice = { from: split.testFrom, until: Infinity, gapSeconds: sessionGapSeconds, maxEvents };
  const questions = questionsOf(rows, { ...slice, limit: QUESTIONS, seed: 1 });
  return rankingRows(filesOf(model.judged), questions, { log: rows, since: split.testFrom }).values;
}

/** An even spread of the sample with the scores of the engine that serves. */
export function goldenRanking(batch: Float32Array, session: Session): GoldenVectors {
  const count = batch.length / RANKING_WIDTH;
  const chosen = Array.from({ length: Math.min(GOLDEN_ROWS, count) }, (_, at) =>
    Math.floor((at * count) / Math.min(GOLDEN_ROWS, count)),
  );
  return {
    tolerance: TOLERANCE,
    rows: chosen.map((row) => {
      const vector = batch.slice(row * RANKING_WIDTH, (row + 1) * RANKING_WIDTH);
      return {
        vector: Array.from(vector, (value) => (Number.isNaN(value) ? null : value)),
        score: [session.run(vector, 1)[0] ?? 0],
      };
    }),
  };
}
