import { brierScore, expectedCalibrationError, logLoss } from "../../../models/stats/probability-metrics.ts";
import { rankingMetrics } from "../../../models/stats/ranking-metrics.ts";
import { fitIsotonic } from "../isotonic.ts";
import { fitPlatt } from "../platt.ts";
import type { Trainer, TrainingProgress } from "../trainer.ts";
import { smote, underSample } from "../resample.ts";
import { checkTrainingSet, type LabelledRows, TrainingError, type TrainingSet } from "../training-set.ts";
import { exportGbdt } from "./export-onnx.ts";
import type { GbdtParametersInput } from "./parameters.ts";
import { fitGbdt, type GbdtFit } from "./train-gbdt.ts";
import { type Calibration, type GbdtModel, rawScores, scoreRows } from "./tree.ts";

/** Boosted trees behind the trainer contract: fit, calibrate on the validation rows, export. */
export const gbdtTrainer: Trainer<GbdtParametersInput, GbdtModel> = async (set, parameters, seed, progress, signal) => {
  const fit = await fitResampled(set, parameters, seed, { progress, ...(signal ? { signal } : {}) });
  const rawModel = calibrateGbdt(fit.model, fit.parameters.calibration, set.validation);
  return {
    graph: exportGbdt(rawModel),
    rawModel,
    metrics: {
      trees: rawModel.trees.length,
      ...(fit.validationLosses.length > 0 ? { validationLoss: Math.min(...fit.validationLosses) } : {}),
      rounds: fit.validationLosses.length > 0 ? fit.validationLosses.length : rawModel.trees.length,
      ...validationMetrics(rawModel, set.validation),
    },
  };
};

/** Fits on rows resampled as the parameters say; a calibration that could not be fitted later is refused before the trees are grown. */
export async function fitResampled(
  set: TrainingSet,
  parameters: GbdtParametersInput,
  seed: number,
  options: { readonly progress?: (progress: TrainingProgress) => void; readonly signal?: AbortSignal } = {},
): Promise<GbdtFit> {
  checkCalibration(parameters, set.validation);
  return await fitGbdt(resampled(set, parameters, seed), parameters, seed, {
    progress: ({ round, rounds, validationLoss }) =>
      options.progress?.({
        done: round,
        total: rounds,
        note: validationLoss === null ? "" : `validation loss ${validationLoss.toFixed(5)}`,
      }),
    ...(options.signal ? { signal: options.signal } : {}),
  });
}

function resampled(set: TrainingSet, parameters: GbdtParametersInput, seed: number): TrainingSet {
  const { resample = "none", resampleRatio = 1 } = parameters;
  if (resample === "none") return set;
  checkTrainingSet(set);
  if ((parameters.objective ?? "logistic") !== "logistic" || (parameters.classWeight ?? "none") !== "none") {
    throw new TrainingError(
      "invalid_parameters",
      "resample: only with the logistic objective, and instead of class weights",
    );
  }
  return (resample === "smote" ? smote : underSample)(set, { ratio: resampleRatio, seed });
}

function checkCalibration(parameters: GbdtParametersInput, validation: LabelledRows | null): void {
  if ((parameters.calibration ?? "none") === "none") return;
  if (validation === null) {
    throw new TrainingError("invalid_parameters", "calibration needs validation rows that the trees did not see");
  }
  if ((parameters.objective ?? "logistic") !== "logistic" || new Set(validation.labels).size < 2) {
    throw new TrainingError(
      "invalid_data",
      "calibration needs the logistic objective and validation rows of both classes",
    );
  }
}

/** Fits the calibration on the validation rows; it becomes part of the model. */
export function calibrateGbdt(
  fitted: GbdtModel,
  how: "none" | "platt" | "isotonic",
  validation: LabelledRows | null,
): GbdtModel {
  if (how === "none" || validation === null) return fitted;
  const raw = rawScores(fitted, validation.columns, validation.labels.length);
  const fit = how === "platt" ? fitPlatt : fitIsotonic;
  const found = fit(raw, validation.labels, validation.weights);
  const calibration: Calibration = "scale" in found ? { kind: "linear", ...found } : { kind: "steps", ...found };
  return { ...fitted, calibration };
}

function validationMetrics(fitted: GbdtModel, validation: LabelledRows | null): Record<string, number> {
  if (validation === null) return {};
  const { labels, weights } = validation;
  const scores = scoreRows(fitted, validation.columns, labels.length);
  if (fitted.objective === "squared") {
    return { validationRmse: Math.sqrt(brierScore(labels, scores, weights)) };
  }
  if (fitted.objective !== "logistic") return {};
  const ranking = rankingMetrics(labels, scores, weights);
  return {
    validationRocAuc: ranking.rocAuc,
    validationAveragePrecision: ranking.averagePrecision,
    validationLogLoss: logLoss(labels, scores, weights),
    validationBrier: brierScore(labels, scores, weights),
    validationCalibrationError: expectedCalibrationError(labels, scores),
  };
}
