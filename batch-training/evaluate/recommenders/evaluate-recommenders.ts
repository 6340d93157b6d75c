import { openScorer, type Scorer } from "../../../models/recommend/scorer.ts";
import { servedBytes } from "../../../models/recommend/served-recommender.ts";
import type { FitContext, Parameters, Recommender } from "../../train/recommenders/recommender.ts";
import { interactionMatrix, transpose } from "../../train/recommenders/sparse-matrix.ts";
import type { TrainingLog } from "../../train/recommenders/training-log.ts";
import type { Case } from "./cases.ts";
import { blendScores, fitBlend, type LearnedBlend } from "./fit-blend.ts";
import { type ModelQuality, QualityTable } from "./quality-table.ts";
import { type Found, searchSettings, type Validation } from "./search.ts";
import { type RankOptions, topItems } from "./top-items.ts";

export interface Evaluation {
  readonly name: string;
  readonly parameters: Parameters;
  readonly quality: ModelQuality;
  /** Mean NDCG@k on the validation cases, where a search was made. */
  readonly validation: number;
  readonly trials: number;
  readonly fitSeconds: number;
  /** Mean microseconds of scoring one case. */
  readonly scoreMicros: number;
  /** Bytes of the served form. */
  readonly bytes: number;
}

export interface EvaluationPlan {
  readonly models: readonly Recommender[];
  readonly blend: boolean;
  readonly log: TrainingLog;
  readonly cases: readonly Case[];
  readonly folds: readonly Validation[];
  readonly rank: RankOptions;
  readonly context: FitContext;
  /** Entries of each served neighbour list. */
  readonly neighbours: number;
  /** Measure what the edge gets, lists cut to `neighbours`, instead of the full model. */
  readonly served: boolean;
  readonly now: () => number;
  readonly progress: (line: string) => void;
}

/** Chooses settings on the validation cases, fits on all of the training log, and measures every model on the same cases. */
export async function evaluateRecommenders(plan: EvaluationPlan): Promise<Evaluation[]> {
  const found = new Map<string, Found>();
  for (const model of plan.models) {
    const started = plan.now();
    const best = await searchSettings(model, plan.folds, plan);
    const seconds = (plan.now() - started) / 1000;
    plan.progress(
      `${model.name}: ${best.trials} settings in ${seconds.toFixed(1)} s, validation NDCG ${best.value.toFixed(4)} ${JSON.stringify(best.parameters)}`,
    );
    found.set(model.name, best);
  }
  const blend = plan.blend ? learnBlend(plan, [...found.values()]) : null;
  // The memory of the validation models is free for the final fits.
  found.forEach((best, name) => found.set(name, { ...best, fitted: [] }));
  return measure(plan, found, blend);
}

function learnBlend(plan: EvaluationPlan, found: readonly Found[]): LearnedBlend {
  const started = plan.now();
  const folds = plan.folds.map(({ log, cases }, fold) => ({
    parts: found.flatMap((best) => best.fitted[fold] ?? []),
    cases,
    items: log.items,
  }));
  const learned = fitBlend(folds, plan.rank);
  const parts = plan.models.map((model, part) => `${model.name} ${(learned.weights[part] ?? 0).toFixed(3)}`).join(", ");
  plan.progress(
    `blend: by ${learned.scale}, validation NDCG ${learned.value.toFixed(4)} in ${((plan.now() - started) / 1000).toFixed(1)} s: ${parts}`,
  );
  return learned;
}

interface Fitted {
  readonly scorer: Scorer;
  readonly bytes: number;
}

async function measure(
  plan: EvaluationPlan,
  found: ReadonlyMap<string, Found>,
  blend: LearnedBlend | null,
): Promise<Evaluation[]> {
  const { log, cases, models, rank, now } = plan;
  const byItem = transpose(interactionMatrix(log));
  const table = (): QualityTable => new QualityTable(cases, { log, byItem, k: rank.k });
  const fits: { fitted: Fitted; seconds: number; table: QualityTable; micros: number }[] = [];
  for (const model of models) {
    const started = now();
    const full = await model.fit(log, found.get(model.name)?.parameters ?? {}, plan.context);
    const seconds = (now() - started) / 1000;
    const served = full.serve(plan.neighbours);
    // The full model is let go where only its served form is measured.
    const scorer = plan.served ? openScorer(served) : full;
    fits.push({ fitted: { scorer, bytes: servedBytes(served) }, seconds, table: table(), micros: 0 });
  }
  const scores = models.map(() => new Float32Array(log.items));
  const blended = new Float32Array(log.items);
  const blendTable = table();
  let blendMillis = 0;
  for (const [index, question] of cases.entries()) {
    for (const [part, fit] of fits.entries()) {
      const own = scores[part] ?? blended;
      const started = now();
      fit.fitted.scorer.score(question.history, question.at, own);
      fit.micros += (now() - started) * 1000;
      fit.table.add(index, topItems(own, question, rank));
    }
    if (blend === null) continue;
    const started = now();
    blendScores(scores, blend, blended);
    blendMillis += now() - started;
    blendTable.add(index, topItems(blended, question, rank));
  }
  const evaluations = models.map((model, part): Evaluation => {
    const fit = fits[part];
    const best = found.get(model.name);
    if (fit === undefined || best === undefined) throw new Error(`${model.name} was not fitted`);
    return {
      name: model.name,
      parameters: best.parameters,
      quality: fit.table.finish(plan.context.seed),
      validation: best.value,
      trials: best.trials,
      fitSeconds: fit.seconds,
      scoreMicros: fit.micros / Math.max(1, cases.length),
      bytes: fit.fitted.bytes,
    };
  });
  if (blend === null) return evaluations;
  const used = evaluations.filter((_, part) => (blend.weights[part] ?? 0) > 0);
  evaluations.push({
    name: "blend",
    parameters: Object.fromEntries(models.map((model, part) => [model.name, blend.weights[part] ?? 0])),
    quality: blendTable.finish(plan.context.seed),
    validation: blend.value,
    trials: 0,
    fitSeconds: used.reduce((sum, part) => sum + part.fitSeconds, 0),
    scoreMicros:
      used.reduce((sum, part) => sum + part.scoreMicros, 0) + (blendMillis * 1000) / Math.max(1, cases.length),
    bytes: used.reduce((sum, part) => sum + part.bytes, 0),
  });
  return evaluations;
}
