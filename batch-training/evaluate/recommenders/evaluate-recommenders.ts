import { openScorer, type Scorer } from "../../../models/recommend/scorer.ts";
import { servedBytes } from "../../../models/recommend/served-recommender.ts";
import type { FitContext, Parameters, Recommender } from "../../train/recommenders/recommender.ts";
import { interactionMatrix, transpose } from "../../train/recommenders/sparse-matrix.ts";
import type { TrainingLog } from "../../train/recommenders/training-log.ts";
import type { Case } from "./cases.ts";
import type { Combination } from "./combination.ts";
import { blendScores, fitBlend } from "./fit-blend.ts";
import { fitTwoStage, openTwoStage, type TwoStageFold } from "./fit-two-stage.ts";
import { openIndexed } from "./indexed-scorer.ts";
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
  /** Which combinations of the models are made, too. */
  readonly blend: boolean;
  readonly twoStage: boolean;
  /** Second stages that are averaged. */
  readonly bags: number;
  readonly log: TrainingLog;
  readonly cases: readonly Case[];
  readonly folds: readonly Validation[];
  readonly rank: RankOptions;
  readonly context: FitContext;
  /** Entries of each served neighbour list. */
  readonly neighbours: number;
  /** Measure what the edge gets, lists cut to `neighbours`, instead of the full model. */
  readonly served: boolean;
  /** Of the served form: embeddings of so many items in memory, the others in a vector index; null: all in memory. */
  readonly headItems: number | null;
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
  const best = [...found.values()];
  const combinations: Combination[] = [];
  if (plan.blend) combinations.push(learnBlend(plan, best));
  if (plan.twoStage) combinations.push(await learnTwoStage(plan, best));
  // The memory of the validation models is free for the final fits.
  found.forEach((best, name) => found.set(name, { ...best, fitted: [] }));
  return measure(plan, found, combinations);
}

function foldParts(plan: EvaluationPlan, found: readonly Found[]): TwoStageFold[] {
  return plan.folds.map(({ log, cases }, fold) => ({
    parts: found.flatMap((best) => best.fitted[fold] ?? []),
    cases,
    log,
  }));
}

function learnBlend(plan: EvaluationPlan, found: readonly Found[]): Combination {
  const started = plan.now();
  const folds = foldParts(plan, found).map((fold) => ({ ...fold, items: fold.log.items }));
  const learned = fitBlend(folds, plan.rank);
  const fitSeconds = (plan.now() - started) / 1000;
  const parts = plan.models.map((model, part) => `${model.name} ${(learned.weights[part] ?? 0).toFixed(3)}`).join(", ");
  plan.progress(
    `blend: by ${learned.scale}, validation NDCG ${learned.value.toFixed(4)} in ${fitSeconds.toFixed(1)} s: ${parts}`,
  );
  return {
    name: "blend",
    parameters: Object.fromEntries(plan.models.map((model, part) => [model.name, learned.weights[part] ?? 0])),
    validation: learned.value,
    uses: plan.models.flatMap((_, part) => ((learned.weights[part] ?? 0) > 0 ? [part] : [])),
    bytes: 0,
    fitSeconds,
    score: (_question, scores, out) => blendScores(scores, learned, out),
  };
}

async function learnTwoStage(plan: EvaluationPlan, found: readonly Found[]): Promise<Combination> {
  const started = plan.now();
  const names = plan.models.map((model) => model.name);
  const learned = await fitTwoStage(foldParts(plan, found), names, {
    ...plan.rank,
    context: plan.context,
    bags: plan.bags,
  });
  const fitSeconds = (plan.now() - started) / 1000;
  plan.progress(`two-stage: validation NDCG ${learned.validation.toFixed(4)} in ${fitSeconds.toFixed(1)} s`);
  return {
    name: "two-stage",
    parameters: {},
    validation: learned.validation,
    uses: names.map((_, part) => part),
    bytes: learned.ranker.onnx.byteLength,
    fitSeconds,
    score: openTwoStage(learned.ranker, names, { ...plan.rank, log: plan.log }),
  };
}

interface Fit {
  readonly scorer: Scorer;
  readonly bytes: number;
  readonly seconds: number;
}

async function fitAll(plan: EvaluationPlan, found: ReadonlyMap<string, Found>): Promise<Fit[]> {
  const fits: Fit[] = [];
  for (const model of plan.models) {
    const started = plan.now();
    const full = await model.fit(plan.log, found.get(model.name)?.parameters ?? {}, plan.context);
    const seconds = (plan.now() - started) / 1000;
    const served = full.serve(plan.neighbours);
    // The full model is let go where only its served form is measured.
    const scorer = plan.headItems === null ? openScorer(served) : openIndexed(served, plan.headItems);
    fits.push({ scorer: plan.served ? scorer : full, bytes: servedBytes(served), seconds });
  }
  return fits;
}

async function measure(
  plan: EvaluationPlan,
  found: ReadonlyMap<string, Found>,
  combinations: readonly Combination[],
): Promise<Evaluation[]> {
  const { log, cases, models, rank, now } = plan;
  const fits = await fitAll(plan, found);
  const byItem = transpose(interactionMatrix(log));
  const measured = [...models, ...combinations].map(() => ({
    table: new QualityTable(cases, { log, byItem, k: rank.k }),
    millis: 0,
  }));
  const scores = models.map(() => new Float32Array(log.items));
  const combined = new Float32Array(log.items);
  for (const [index, question] of cases.entries()) {
    const timed = (place: number, out: Float32Array, work: () => void): void => {
      const own = measured[place];
      const started = now();
      work();
      if (own === undefined) return;
      own.millis += now() - started;
      own.table.add(index, topItems(out, question, rank));
    };
    for (const [part, { scorer }] of fits.entries()) {
      const own = scores[part] ?? combined;
      timed(part, own, () => scorer.score(question.history, question.at, own));
    }
    for (const [place, combination] of combinations.entries()) {
      timed(models.length + place, combined, () => combination.score(question, scores, combined));
    }
  }
  const micros = measured.map(({ millis }) => (millis * 1000) / Math.max(1, cases.length));
  const total = (uses: readonly number[], of: (part: number) => number): number =>
    uses.reduce((sum, part) => sum + of(part), 0);
  const quality = measured.map(({ table }) => table.finish(plan.context.seed));
  const rows = [
    ...models.map(({ name }, part) => ({
      name,
      parameters: found.get(name)?.parameters ?? {},
      validation: found.get(name)?.value ?? Number.NaN,
      trials: found.get(name)?.trials ?? 0,
      fitSeconds: fits[part]?.seconds ?? 0,
      scoreMicros: micros[part] ?? 0,
      bytes: fits[part]?.bytes ?? 0,
    })),
    ...combinations.map(({ name, parameters, validation, uses, bytes, fitSeconds }, place) => ({
      name,
      parameters,
      validation,
      trials: 0,
      fitSeconds: fitSeconds + total(uses, (part) => fits[part]?.seconds ?? 0),
      scoreMicros: (micros[models.length + place] ?? 0) + total(uses, (part) => micros[part] ?? 0),
      bytes: bytes + total(uses, (part) => fits[part]?.bytes ?? 0),
    })),
  ];
  return rows.flatMap((row, place): Evaluation[] => {
    const own = quality[place];
    return own === undefined ? [] : [{ ...row, quality: own }];
  });
}
