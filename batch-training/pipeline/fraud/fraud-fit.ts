/** Training of the fraud model, and one trial of the search for its parameters. */
import { rankingMetrics } from "../../../models/stats/ranking-metrics.ts";
import { calibrateGbdt, fitResampled } from "../../train/gbdt/gbdt-trainer.ts";
import { type GbdtParametersInput, parseGbdtParameters } from "../../train/gbdt/parameters.ts";
import { fitGbdt } from "../../train/gbdt/train-gbdt.ts";
import { type GbdtModel, rawScores } from "../../train/gbdt/tree.ts";
import type { ModelInput, Parameters, StageContext, TrainInput } from "../model-definition.ts";
import type { SearchSpace, TrialResult } from "../search.ts";
import { sliceRows, splitByTime } from "../training-rows.ts";
import { type FraudRows, type FraudSplit, setOf, slicesOf } from "./fraud-data.ts";

/**
 * Small trees, slow learning, few features a tree: what held up best over simulated shops of other seeds than the default one, where a
 * few hundred frauds have to do. A search replaces them where there is time for one.
 */
export const FRAUD_PARAMETERS = {
  objective: "logistic",
  trees: 600,
  learningRate: 0.03,
  leaves: 12,
  maxDepth: 5,
  minRowsPerLeaf: 15,
  l2: 5,
  rowFraction: 0.8,
  featureFraction: 0.4,
  earlyStoppingRounds: 50,
  calibration: "platt",
} as const satisfies GbdtParametersInput;

export const FRAUD_SPACE: SearchSpace = {
  learningRate: { kind: "real", low: 0.01, high: 0.15, scale: "log" },
  leaves: { kind: "whole", low: 4, high: 48, scale: "log" },
  maxDepth: { kind: "choice", values: [0, 4, 5, 6, 8] },
  minRowsPerLeaf: { kind: "whole", low: 5, high: 120, scale: "log" },
  l2: { kind: "real", low: 0.5, high: 50, scale: "log" },
  rowFraction: { kind: "real", low: 0.5, high: 1, scale: "linear" },
  featureFraction: { kind: "real", low: 0.2, high: 1, scale: "linear" },
  nodeFeatureFraction: { kind: "real", low: 0.3, high: 1, scale: "linear" },
};

type Input = TrainInput<FraudRows, FraudSplit>;

export async function trainFraudTrees({ rows, split, parameters }: Input, context: StageContext): Promise<GbdtModel> {
  const fit = await fitResampled(setOf(slicesOf(rows, split)), checked(parameters), context.seed, fitOptions(context));
  return fit.model;
}

export async function calibrateFraudTrees({
  rows,
  split,
  parameters,
  model,
}: ModelInput<FraudRows, FraudSplit, GbdtModel>): Promise<GbdtModel> {
  const { calibration = "none" } = checked(parameters);
  return calibrateGbdt(model, calibration, setOf(slicesOf(rows, split)).validation);
}

/** Where the rows that may be learnt from are cut for a trial: learn before, stop until, look from there. */
const TRIAL_SHARES = { learn: 0.6, stop: 0.15 };

/**
 * Fits on the earliest rows of those that may be learnt from, stops on the next and looks at the last of them: neither the rows that
 * calibrate nor those that judge are seen. Loss: 1 - average precision, what the gates compare on.
 */
export async function tryFraudParameters(
  { rows, split, parameters }: Input,
  context: StageContext,
): Promise<TrialResult> {
  const learnt = splitByTime(sliceRows(rows, 0, split.first), TRIAL_SHARES.learn, TRIAL_SHARES.stop);
  const { labels, columns } = learnt.test;
  const both = (values: ArrayLike<number>): boolean => new Set(Array.from(values)).size === 2;
  if (!both(learnt.train.labels) || !both(learnt.validation.labels) || !both(labels)) {
    return { loss: null, found: {}, note: "a part of the rows to learn from has one class only" };
  }
  const trial = { ...checked(parameters), calibration: "none" as const, resample: "none" as const };
  const { model } = await fitGbdt(setOf(learnt), trial, context.seed, fitOptions(context));
  const { averagePrecision, rocAuc } = rankingMetrics(labels, rawScores(model, columns, labels.length));
  const note = `average precision ${averagePrecision.toFixed(4)}, ROC AUC ${rocAuc.toFixed(4)}, ${model.trees.length} trees`;
  return { loss: 1 - averagePrecision, found: {}, note };
}

/** @throws TrainingError that names each wrong field */
function checked(parameters: Parameters): GbdtParametersInput {
  parseGbdtParameters(parameters);
  return parameters;
}

function fitOptions({ progress, signal }: StageContext) {
  return {
    progress: (update: { done?: number; total?: number; note?: string; round?: number; rounds?: number }) =>
      progress(update.done ?? update.round ?? 0, update.total ?? update.rounds ?? 1, update.note ?? ""),
    ...(signal ? { signal } : {}),
  };
}
