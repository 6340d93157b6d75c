import { listQuality } from "../../../models/stats/recommendation-metrics.ts";
import {
  defaults,
  type FitContext,
  type FittedRecommender,
  type Parameters,
  type Recommender,
} from "../../train/recommenders/recommender.ts";
import type { TrainingLog } from "../../train/recommenders/training-log.ts";
import type { Case } from "./cases.ts";
import { type RankOptions, topItems } from "./top-items.ts";

export interface Found {
  readonly parameters: Parameters;
  /** One for each validation fold. */
  readonly fitted: readonly FittedRecommender[];
  /** NDCG@k on the validation cases, the mean of the folds. */
  readonly value: number;
  /** Settings tried. */
  readonly trials: number;
}

export interface Validation {
  readonly log: TrainingLog;
  readonly cases: readonly Case[];
}

export function meanNdcg(
  fitted: FittedRecommender,
  cases: readonly Case[],
  options: RankOptions & { readonly items: number },
): number {
  const scores = new Float32Array(options.items);
  let sum = 0;
  for (const question of cases) {
    fitted.score(question.history, question.at, scores);
    const list = topItems(scores, question, options);
    sum += listQuality(list, (item) => question.relevant.has(item), {
      relevant: question.idealCount,
      k: options.k,
    }).ndcg;
  }
  return cases.length === 0 ? 0 : sum / cases.length;
}

/** Settings by coordinate search: one setting after the other through its values, the best kept. */
export async function searchSettings(
  model: Recommender,
  folds: readonly Validation[],
  options: { readonly rank: RankOptions; readonly context: FitContext },
): Promise<Found> {
  const contexts = folds.map((): FitContext => ({ ...options.context, reuse: new Map<string, unknown>() }));
  const tried = new Set<string>();
  const attempt = async (parameters: Parameters): Promise<Omit<Found, "trials">> => {
    tried.add(JSON.stringify(parameters));
    const fitted: FittedRecommender[] = [];
    let sum = 0;
    for (const [fold, { log, cases }] of folds.entries()) {
      const own = await model.fit(log, parameters, contexts[fold] ?? options.context);
      sum += meanNdcg(own, cases, { ...options.rank, items: log.items });
      fitted.push(own);
    }
    return { parameters, fitted, value: sum / folds.length };
  };
  let best = await attempt(defaults(model));
  for (const [name, values] of Object.entries(model.search)) {
    // Without times no setting in days can make a difference.
    if (name.toLowerCase().endsWith("days") && folds.every(({ log }) => Number.isNaN(log.lastTime))) continue;
    for (const value of values) {
      const parameters = { ...best.parameters, [name]: value };
      if (tried.has(JSON.stringify(parameters))) continue;
      const found = await attempt(parameters);
      if (found.value > best.value) best = found;
    }
  }
  return { ...best, trials: tried.size };
}
