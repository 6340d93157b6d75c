import { bootstrap, type Interval } from "../../models/stats/bootstrap.ts";
import {
  type FairnessInput,
  FOUR_FIFTHS,
  groupRates,
  type GroupRates,
  type ParityIntervals,
  parityIntervals,
} from "../../models/stats/group-fairness.ts";
import { brierScore, expectedCalibrationError, logLoss } from "../../models/stats/probability-metrics.ts";
import { seededRandom } from "../../models/stats/random.ts";
import { rankDescending, rankingMetrics } from "../../models/stats/ranking-metrics.ts";

/**
 * Whether a challenger may be published: it must beat the constant score, hold against every baseline and beat the
 * champion, on rows later than anything it was trained, stopped or calibrated on, with bootstrap intervals of paired
 * differences. The answer is plain data that says why; a refusal is a result, not an error. Pure: no clock, seeded draws.
 */
export interface GateInput {
  /** 0/1 of the later slice. */
  readonly labels: ArrayLike<number>;
  readonly challenger: ArrayLike<number>;
  /** Scores of the serving model on the same rows; null when there is none yet. */
  readonly champion: ArrayLike<number> | null;
  /** Simple models trained on the same rows, by name. */
  readonly baselines: Readonly<Record<string, ArrayLike<number>>>;
  /** Rows drawn together by the bootstrap (customers); null: each by itself. */
  readonly units: { readonly of: Uint32Array; readonly count: number } | null;
  /** Groups to compare; null where the data has none. */
  readonly groups: { readonly of: ArrayLike<number>; readonly names: readonly string[] } | null;
  readonly seed: number;
}

export interface GatePolicy {
  /** What champion and baselines are compared on. */
  readonly metric: "averagePrecision" | "rocAuc";
  /** Fewer positives in the slice than this say nothing about a rare class. */
  readonly minPositives: number;
  readonly minRows: number;
  /** The challenger's metric minus the champion's must be above this. */
  readonly minGain: number;
  /** How far below the champion's, or a baseline's, the lower end of the paired difference may lie. */
  readonly tolerance: number;
  /** Largest expected calibration error over ten equal-count bins. */
  readonly maxCalibrationError: number;
  /** `report` writes group metrics down, `require` refuses outside the four-fifths band. */
  readonly fairness: "report" | "require";
  /** Score from which a row counts as selected, for group metrics. */
  readonly decisionThreshold: number;
  readonly replicates: number;
}

export const DEFAULT_GATE_POLICY: GatePolicy = {
  metric: "averagePrecision",
  minPositives: 30,
  minRows: 500,
  minGain: 0,
  tolerance: 0.02,
  maxCalibrationError: 0.05,
  fairness: "report",
  decisionThreshold: 0.5,
  replicates: 300,
};

export type GateId =
  | "finite_scores"
  | "enough_data"
  | "beats_constant"
  | "holds_baseline"
  | "beats_champion"
  | "calibrated"
  | "fair";

export interface Gate {
  readonly id: GateId;
  /** Which baseline, where there are several. */
  readonly against: string | null;
  readonly passed: boolean;
  /** One sentence with the figures, for a person. */
  readonly reason: string;
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

export interface GateMetrics {
  readonly rocAuc: Interval;
  readonly averagePrecision: Interval;
  readonly logLoss: number;
  readonly brier: number;
  readonly calibrationError: number;
}

export interface GateReport {
  readonly passed: boolean;
  /** Reasons of the gates that did not pass; empty when published. */
  readonly refusals: readonly string[];
  readonly gates: readonly Gate[];
  readonly metrics: { readonly challenger: GateMetrics | null; readonly champion: GateMetrics | null };
  readonly groups: { readonly rates: readonly GroupRates[]; readonly parity: ParityIntervals } | null;
  readonly rows: number;
  readonly positives: number;
}

const LEVEL = 0.95;

export function evaluateGates(input: GateInput, policy: GatePolicy = DEFAULT_GATE_POLICY): GateReport {
  const rows = input.labels.length;
  let positives = 0;
  for (let row = 0; row < rows; row++) if (input.labels[row] === 1) positives++;
  const finite = finiteScores(input);
  if (!finite.passed) {
    const metrics = { challenger: null, champion: null };
    return { passed: false, refusals: [finite.reason], gates: [finite], metrics, groups: null, rows, positives };
  }
  const rivals = Object.entries(input.baselines);
  const comparison = compare(input, policy, rivals);
  const challenger = summarise(input.labels, input.challenger, comparison.challenger);
  const champion = input.champion ? summarise(input.labels, input.champion, comparison.champion) : null;
  const groups = input.groups ? compareGroups(input, policy, input.groups) : null;
  const gates = [
    finite,
    enoughData(rows, positives, policy),
    beatsConstant(input, comparison.constantLogLoss),
    ...rivals.map(([name], i) => holdsBaseline(name, comparison.baselines[i], policy)),
    ...(input.champion ? [beatsChampion(comparison.championDifference, policy)] : []),
    calibrated(challenger.calibrationError, policy),
    ...(groups ? [fair(groups.parity, policy)] : []),
  ];
  const refusals = gates.filter((gate) => !gate.passed).map((gate) => gate.reason);
  return {
    passed: refusals.length === 0,
    refusals,
    gates,
    metrics: { challenger, champion },
    groups,
    rows,
    positives,
  };
}

interface Comparison {
  readonly challenger: readonly Interval[];
  readonly champion: readonly Interval[];
  readonly championDifference: Interval | undefined;
  readonly baselines: readonly (Interval | undefined)[];
  /** Log-loss of the base rate of the slice minus the challenger's. */
  readonly constantLogLoss: Interval | undefined;
}

/** One bootstrap for everything, so that differences are paired. Sorting happens once per model, not per draw. */
function compare(
  input: GateInput,
  policy: GatePolicy,
  rivals: readonly (readonly [string, ArrayLike<number>])[],
): Comparison {
  const models = [input.challenger, ...(input.champion ? [input.champion] : []), ...rivals.map(([, scores]) => scores)];
  const orders = models.map((scores) => rankDescending(scores));
  const options = {
    replicates: policy.replicates,
    level: LEVEL,
    random: seededRandom(input.seed),
    units: input.units,
  };
  const intervals = bootstrap(input.labels.length, options, (weights) => {
    const metrics = models.map((scores, i) => rankingMetrics(input.labels, scores, weights, orders[i]));
    const own = metrics[0]?.[policy.metric] ?? Number.NaN;
    return [
      constantGain(input.labels, input.challenger, weights),
      ...metrics.slice(0, 2).flatMap((metric) => [metric.rocAuc, metric.averagePrecision]),
      ...metrics.slice(1).map((metric) => own - metric[policy.metric]),
    ];
  });
  const ranking = 1 + 2 * Math.min(2, models.length);
  const differences = intervals.slice(ranking);
  return {
    constantLogLoss: intervals[0],
    challenger: intervals.slice(1, 3),
    champion: input.champion ? intervals.slice(3, 5) : [],
    championDifference: input.champion ? differences[0] : undefined,
    baselines: input.champion ? differences.slice(1) : differences,
  };
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

const UNKNOWN: Interval = { value: Number.NaN, low: Number.NaN, high: Number.NaN };

function summarise(labels: ArrayLike<number>, scores: ArrayLike<number>, ranking: readonly Interval[]): GateMetrics {
  return {
    rocAuc: ranking[0] ?? UNKNOWN,
    averagePrecision: ranking[1] ?? UNKNOWN,
    logLoss: logLoss(labels, scores),
    brier: brierScore(labels, scores),
    calibrationError: expectedCalibrationError(labels, scores, 10, "quantile"),
  };
}

/** Probabilities between 0 and 1, one per row: anything else is a broken model, whatever its metrics would be. */
function finiteScores({ labels, challenger }: GateInput): Gate {
  let wrong = challenger.length === labels.length ? -1 : challenger.length;
  for (let row = 0; row < challenger.length && wrong < 0; row++) {
    const score = challenger[row] ?? Number.NaN;
    if (!(score >= 0 && score <= 1)) wrong = row;
  }
  const text =
    wrong < 0 ? "every score is a probability" : `the score of row ${wrong} is ${challenger[wrong]}, not a probability`;
  return gate("finite_scores", null, wrong < 0, null, text);
}

function enoughData(rows: number, positives: number, policy: GatePolicy): Gate {
  const passed = rows >= policy.minRows && positives >= policy.minPositives && positives < rows;
  const need = `${policy.minRows} rows with ${policy.minPositives} positives, and some negative`;
  return gate(
    "enough_data",
    null,
    passed,
    null,
    `the later slice has ${rows} rows with ${positives} positives; a verdict needs ${need}`,
  );
}

function beatsConstant(input: GateInput, gain: Interval = UNKNOWN): Gate {
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
  return gate(
    "holds_baseline",
    name,
    passed,
    difference,
    `${policy.metric} ${what} ${name}: difference ${figures(difference)}`,
  );
}

function beatsChampion(difference: Interval = UNKNOWN, policy: GatePolicy): Gate {
  const passed = difference.value > policy.minGain && difference.low > -policy.tolerance;
  const what = passed ? "beats" : "does not beat";
  const need = `above ${policy.minGain}, lower end above ${-policy.tolerance}`;
  const text = `${policy.metric} ${what} the champion: difference ${figures(difference)}, needed ${need}`;
  return gate("beats_champion", null, passed, difference, text);
}

function calibrated(error: number, policy: GatePolicy): Gate {
  const passed = error <= policy.maxCalibrationError;
  const text = `calibration error ${error.toFixed(4)}, at most ${policy.maxCalibrationError} is published`;
  return gate("calibrated", null, passed, { value: error, low: Number.NaN, high: Number.NaN }, text);
}

function compareGroups(
  input: GateInput,
  policy: GatePolicy,
  groups: NonNullable<GateInput["groups"]>,
): NonNullable<GateReport["groups"]> {
  const decisions = Uint8Array.from({ length: input.labels.length }, (_, row) =>
    (input.challenger[row] ?? 0) >= policy.decisionThreshold ? 1 : 0,
  );
  const fairness: FairnessInput = { labels: input.labels, decisions, groups: groups.of, groupNames: groups.names };
  const options = {
    replicates: policy.replicates,
    level: LEVEL,
    random: seededRandom(input.seed ^ 1),
    units: input.units,
  };
  return { rates: groupRates(fairness), parity: parityIntervals(fairness, options) };
}

function fair(parity: ParityIntervals, policy: GatePolicy): Gate {
  const { demographicParityRatio: selection, equalOpportunityRatio: opportunity } = parity;
  const within = selection.value >= FOUR_FIFTHS.low && opportunity.value >= FOUR_FIFTHS.low;
  const text =
    `selection ratio ${figures(selection)}, true-positive ratio ${figures(opportunity)}, ` +
    `band ${FOUR_FIFTHS.low} to ${FOUR_FIFTHS.high}`;
  return gate("fair", null, within || policy.fairness === "report", selection, text);
}

function gate(id: GateId, against: string | null, passed: boolean, figure: Interval | null, reason: string): Gate {
  const known = (value: number | undefined): number | null =>
    value === undefined || Number.isNaN(value) ? null : value;
  return {
    id,
    against,
    passed,
    reason,
    value: known(figure?.value),
    low: known(figure?.low),
    high: known(figure?.high),
  };
}

function figures({ value, low, high }: Interval): string {
  return Number.isNaN(low) ? value.toFixed(4) : `${value.toFixed(4)} (95 % ${low.toFixed(4)} to ${high.toFixed(4)})`;
}
