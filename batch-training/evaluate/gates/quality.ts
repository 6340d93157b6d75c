/**
 * Whether scores are worth publishing at all: probabilities, enough data, better than the constant score, not behind any baseline,
 * calibrated. On rows later than anything the model was trained, stopped or calibrated on.
 */
import { bootstrap, type Interval } from "../../../models/stats/bootstrap.ts";
import { brierScore, expectedCalibrationError, logLoss } from "../../../models/stats/probability-metrics.ts";
import { seededRandom } from "../../../models/stats/random.ts";
import { rankDescending, rankingMetrics } from "../../../models/stats/ranking-metrics.ts";
import { figures, type Gate, gate, LEVEL, UNKNOWN, type Units } from "./gate.ts";
import type { GatePolicy } from "./policy.ts";

export interface QualityInput {
  /** 0/1 of the later slice. */
  readonly labels: ArrayLike<number>;
  readonly challenger: ArrayLike<number>;
  /** Simple models trained on the same rows, by name. */
  readonly baselines: Readonly<Record<string, ArrayLike<number>>>;
  /** Rows drawn together by the bootstrap (customers); null: each by itself. */
  readonly units: Units | null;
  readonly seed: number;
}

export interface QualityMetrics {
  readonly rocAuc: Interval;
  readonly averagePrecision: Interval;
  readonly logLoss: number;
  readonly brier: number;
  readonly calibrationError: number;
}

export interface QualityReport {
  readonly gates: readonly Gate[];
  /** null where the scores are no probabilities. */
  readonly metrics: QualityMetrics | null;
}

export function judgeQuality(input: QualityInput, policy: GatePolicy): QualityReport {
  const finite = finiteScores(input);
  if (!finite.passed) return { gates: [finite], metrics: null };
  const rivals = Object.entries(input.baselines);
  const intervals = compare(input, policy, rivals);
  const metrics = summarise(input.labels, input.challenger, intervals.slice(1, 3));
  const gates = [
    finite,
    enoughData(input.labels, policy),
    beatsConstant(input, intervals[0]),
    ...rivals.map(([name], i) => holdsBaseline(name, intervals[3 + i], policy)),
    calibrated(metrics.calibrationError, policy),
  ];
  return { gates, metrics };
}

/** One bootstrap for everything, so that differences are paired. Sorting happens once per model, not per draw. */
function compare(
  input: QualityInput,
  policy: GatePolicy,
  rivals: readonly (readonly [string, ArrayLike<number>])[],
): Interval[] {
  const models = [input.challenger, ...rivals.map(([, scores]) => scores)];
  const orders = models.map((scores) => rankDescending(scores));
  const random = seededRandom(input.seed);
  const options = { replicates: policy.replicates, level: LEVEL, random, units: input.units };
  return bootstrap(input.labels.length, options, (weights) => {
    const metrics = models.map((scores, i) => rankingMetrics(input.labels, scores, weights, orders[i]));
    const own = metrics[0];
    return [
      constantGain(input.labels, input.challenger, weights),
      own?.rocAuc ?? Number.NaN,
      own?.averagePrecision ?? Number.NaN,
      ...metrics.slice(1).map((rival) => (own?.[policy.metric] ?? Number.NaN) - rival[policy.metric]),
    ];
  });
}

/** Log-loss of always answering the (weighted) base rate, minus the model's. */
function constantGain(labels: ArrayLike<number>, scores: ArrayLike<number>, weights: ArrayLike<number> | null): number {
  let positive = 0;
  let total = 0;
  for (let row = 0; row < labels.length; row++) {
    const weight = weights?.[row] ?? 1;
    total += weight;
    if (labels[row] === 1) positive += weight;
  }
  const rate = positive / total;
  const entropy = rate > 0 && rate < 1 ? -rate * Math.log(rate) - (1 - rate) * Math.log(1 - rate) : 0;
  return entropy - logLoss(labels, scores, weights);
}

export function summarise(
  labels: ArrayLike<number>,
  scores: ArrayLike<number>,
  [rocAuc = UNKNOWN, averagePrecision = UNKNOWN]: readonly Interval[],
): QualityMetrics {
  return {
    rocAuc,
    averagePrecision,
    logLoss: logLoss(labels, scores),
    brier: brierScore(labels, scores),
    calibrationError: expectedCalibrationError(labels, scores, 10, "quantile"),
  };
}

/** Probabilities between 0 and 1, one per row: anything else is a broken model, whatever its metrics would be. */
function finiteScores({ labels, challenger }: QualityInput): Gate {
  let wrong = challenger.length === labels.length ? -1 : challenger.length;
  for (let row = 0; row < challenger.length && wrong < 0; row++) {
    const score = challenger[row] ?? Number.NaN;
    if (!(score >= 0 && score <= 1)) wrong = row;
  }
  const text =
    wrong < 0 ? "every score is a probability" : `the score of row ${wrong} is ${challenger[wrong]}, not a probability`;
  return gate("finite_scores", null, wrong < 0, null, text);
}

function enoughData(labels: ArrayLike<number>, policy: GatePolicy): Gate {
  const rows = labels.length;
  let positives = 0;
  for (let row = 0; row < rows; row++) if (labels[row] === 1) positives++;
  const passed = rows >= policy.minRows && positives >= policy.minPositives && positives < rows;
  const need = `${policy.minRows} rows with ${policy.minPositives} positives, and some negative`;
  const text = `the later slice has ${rows} rows with ${positives} positives; a verdict needs ${need}`;
  return gate("enough_data", null, passed, null, text);
}

function beatsConstant(input: QualityInput, gain: Interval = UNKNOWN): Gate {
  const passed = gain.low > 0;
  const what = passed ? "beats" : "does not beat";
  const text = `log-loss ${what} the constant score: ${figures(gain)} lower over ${input.labels.length} rows`;
  return gate("beats_constant", null, passed, gain, text);
}

function holdsBaseline(name: string, difference: Interval = UNKNOWN, policy: GatePolicy): Gate {
  // Better on the slice is enough against a baseline; level with it must be shown by the interval.
  const level = difference.high > 0 && difference.low > -Math.max(policy.tolerance, 0);
  const passed = difference.value > 0 || level;
  const what = passed ? "holds against" : "falls behind";
  const text = `${policy.metric} ${what} ${name}: difference ${figures(difference)}`;
  return gate("holds_baseline", name, passed, difference, text);
}

function calibrated(error: number, policy: GatePolicy): Gate {
  const passed = error <= policy.maxCalibrationError;
  const text = `calibration error ${error.toFixed(4)}, at most ${policy.maxCalibrationError} is published`;
  return gate("calibrated", null, passed, { value: error, low: Number.NaN, high: Number.NaN }, text);
}
