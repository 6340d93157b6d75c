import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../models/catalog/feature-catalog.ts";
import { fraudLabel } from "../../models/catalog/fraud-orders/label.ts";
import { cardPrecisionTopK } from "../../models/stats/card-precision.ts";
import { brierScore, logLoss } from "../../models/stats/probability-metrics.ts";
import { rankingMetrics } from "../../models/stats/ranking-metrics.ts";
import { buildTrainingRows, type TrainingRows } from "../features/build-training-rows.ts";
import { cardEvents, readCardTransactions } from "../sources/card-transactions.ts";
import { TableError } from "../sources/table.ts";
import { fitGbdt } from "../train/gbdt/train-gbdt.ts";
import { rawScores, scoreRows } from "../train/gbdt/tree.ts";
import type { GbdtParametersInput } from "../train/gbdt/parameters.ts";
import { fitLogisticRegression, predictLogisticRegression } from "../train/logistic-regression.ts";
import { type FeatureSpec, type LabelledRows, TrainingError, type TrainingSet } from "../train/training-set.ts";
import { DAY_MS, type FraudWindow, fraudWindow, lastDayOf, shiftPlan, type WindowPlan } from "./fraud-windows.ts";

/**
 * The Handbook's protocol on raw transactions: features from the shared definitions of the fraud service, rolling windows,
 * ROC AUC, average precision and card precision@100. Size of the model is chosen per window on rows that were known when
 * its training week ended: train two weeks before it, test on it, under the same protocol.
 */
export interface FraudEvaluationOptions {
  readonly transactions: string;
  readonly plan: WindowPlan;
  /** Windows, each beginning `testDays` after the one before. */
  readonly windows: number;
  readonly seed: number;
  /** Models of others on the same rows, for comparison: scores of the test rows by name. */
  readonly rivals?: (train: TrainingSet, test: LabelledRows) => Promise<ReadonlyMap<string, Float64Array>>;
  readonly progress: (message: string) => void;
}

export interface WindowMetrics {
  readonly rocAuc: number;
  readonly averagePrecision: number;
  readonly cardPrecision100: number;
  readonly logLoss: number;
  readonly brier: number;
}

export interface WindowResult {
  readonly plan: WindowPlan;
  readonly trainRows: number;
  readonly trainFrauds: number;
  readonly testRows: number;
  readonly testFrauds: number;
  readonly parameters: GbdtParametersInput;
  readonly metrics: Readonly<Record<string, WindowMetrics>>;
}

export interface FraudEvaluation {
  readonly windows: readonly WindowResult[];
  readonly features: readonly string[];
}

/** Windows of the definitions reach 30 days behind the label delay of 7. */
const HISTORY_DAYS = 37;
const CARDS_LOOKED_AT = 100;

export async function evaluateFraud(options: FraudEvaluationOptions): Promise<FraudEvaluation> {
  const { plan, windows, progress } = options;
  const data = await fraudRows(options);
  const results: WindowResult[] = [];
  for (let w = 0; w < windows; w++) {
    const shifted = shiftPlan(plan, w * plan.testDays);
    progress(`window ${w + 1} of ${windows}: training from ${dayText(shifted.trainStart)}`);
    results.push(await runWindow(data, shifted, options));
  }
  return { windows: results, features: data.features.map(({ name }) => name) };
}

export interface FraudRows {
  readonly rows: TrainingRows;
  readonly customers: Uint32Array;
  /** Features with more than one value in this data; `rows` holds these only. */
  readonly features: readonly FeatureSpec[];
}

/** Point-in-time rows of every day that some window, or the choice of its parameters, looks at. */
export async function fraudRows(options: FraudEvaluationOptions): Promise<FraudRows> {
  const { transactions, plan, windows, progress } = options;
  const cards = await readCardTransactions(transactions);
  const first = cards.times[0] ?? Number.NaN;
  const last = cards.times.at(-1) ?? Number.NaN;
  progress(`${cards.ids.length} transactions, ${dayText(first)} to ${dayText(last)}`);
  const end = lastDayOf(shiftPlan(plan, (windows - 1) * plan.testDays));
  if (plan.trainStart < first - DAY_MS || end > last + DAY_MS) {
    const message = `the windows need ${dayText(plan.trainStart)} to ${dayText(end - DAY_MS)}, the file has ${dayText(first)} to ${dayText(last)}`;
    throw new TableError(transactions, {}, message);
  }
  const from = selectionPlan(plan).trainStart;
  const built = await buildTrainingRows({
    events: cardEvents(cards, from - HISTORY_DAYS * DAY_MS, end, plan.delayDays * DAY_MS),
    catalog: FEATURE_CATALOG,
    service: FRAUD_FEATURES,
    label: fraudLabel,
    maturityMs: plan.delayDays * DAY_MS,
    knownAt: Number.POSITIVE_INFINITY,
    from,
    to: end,
    onProgress: (events) => {
      if (events % 100_000 === 0) progress(`features: ${events} events replayed`);
    },
  });
  const used = built.featureNames.flatMap((_, f) => (varies(built.columns[f] ?? new Float32Array(0)) ? [f] : []));
  return {
    rows: { ...built, columns: used.map((f) => built.columns[f] ?? new Float32Array(0)) },
    customers: Uint32Array.from(built.subjects, (subject) => Number(subject.slice(1))),
    features: used.map((f) => ({ name: built.featureNames[f] ?? "", kind: "numeric" })),
  };
}

/** What this data does not have (devices, accounts, baskets) is missing or constant everywhere. */
function varies(column: Float32Array): boolean {
  const first = column.find((value) => !Number.isNaN(value));
  return first !== undefined && column.some((value) => value !== first && !Number.isNaN(value));
}

/** Test on the training days of `plan`, train before them: everything known at the end of that week. */
export function selectionPlan(plan: WindowPlan): WindowPlan {
  return {
    ...plan,
    trainStart: plan.trainStart - (plan.trainDays + plan.delayDays) * DAY_MS,
    testDays: plan.trainDays,
  };
}

/** Few frauds and many rows: small trees, slowly, with draws of rows and features. */
export const FRAUD_CANDIDATES: readonly GbdtParametersInput[] = [
  { trees: 200, leaves: 8, minRowsPerLeaf: 20, rowFraction: 0.6, nodeFeatureFraction: 0.5 },
  { trees: 150, leaves: 16, minRowsPerLeaf: 5, rowFraction: 0.5, nodeFeatureFraction: 0.3 },
  { trees: 100, leaves: 48, minRowsPerLeaf: 2, minHessianPerLeaf: 0.01, rowFraction: 0.6, nodeFeatureFraction: 0.25 },
];
/** The final fit is an average: a week holds four hundred frauds, and single models of so few differ by chance. */
const BAGS = 8;
const BASE: GbdtParametersInput = { learningRate: 0.05 };

export function windowSet(window: FraudWindow, features: readonly FeatureSpec[]): TrainingSet {
  return { features, train: window.train, validation: null };
}

async function runWindow(data: FraudRows, plan: WindowPlan, options: FraudEvaluationOptions): Promise<WindowResult> {
  const window = fraudWindow(data.rows, data.customers, plan);
  const frauds = (labels: ArrayLike<number>): number => Array.from(labels).reduce((sum, label) => sum + label, 0);
  const [trainFrauds, testFrauds] = [frauds(window.train.labels), frauds(window.test.labels)];
  if (trainFrauds === 0 || testFrauds === 0) {
    const where = trainFrauds === 0 ? "training" : "test";
    throw new TrainingError(
      "invalid_data",
      `there is no fraud in the ${where} days of the window from ${dayText(plan.trainStart)}`,
    );
  }
  const parameters = await chooseParameters(data, plan, options);
  const set = windowSet(window, data.features);
  const { model } = await fitGbdt(set, { ...parameters, bags: BAGS }, options.seed);
  const logistic = fitLogisticRegression(set, { l2: 1 });
  const rows = window.test.labels.length;
  const rivals = (await options.rivals?.(set, window.test)) ?? new Map<string, Float64Array>();
  const metrics = {
    gbdt: windowMetrics(window, scoreRows(model, window.test.columns, rows)),
    logistic_regression: windowMetrics(window, predictLogisticRegression(logistic, window.test.columns, rows)),
    constant: windowMetrics(window, new Float64Array(rows).fill(trainFrauds / window.train.labels.length)),
    ...Object.fromEntries([...rivals].map(([name, scores]) => [name, windowMetrics(window, scores)])),
  };
  const trainRows = window.train.labels.length;
  return { plan, trainRows, trainFrauds, testRows: rows, testFrauds, parameters, metrics };
}

/** The candidate with the best mean rank over the three metrics on the selection window; the first where there is none. */
async function chooseParameters(
  data: FraudRows,
  plan: WindowPlan,
  options: FraudEvaluationOptions,
): Promise<GbdtParametersInput> {
  const window = fraudWindow(data.rows, data.customers, selectionPlan(plan));
  const first = { ...BASE, ...FRAUD_CANDIDATES[0] };
  if (!window.train.labels.includes(1) || !window.test.labels.includes(1)) return first;
  const trials: { parameters: GbdtParametersInput; score: number }[] = [];
  for (const candidate of FRAUD_CANDIDATES) {
    const parameters = { ...BASE, ...candidate };
    const { model } = await fitGbdt(windowSet(window, data.features), parameters, options.seed);
    const metrics = windowMetrics(window, rawScores(model, window.test.columns, window.test.labels.length));
    // The two that look at the top of the list weigh as much as the one that looks at all of it.
    const score = metrics.rocAuc + (metrics.averagePrecision + metrics.cardPrecision100) / 2;
    trials.push({ parameters, score });
    options.progress(`candidate ${trials.length} of ${FRAUD_CANDIDATES.length}: ${score.toFixed(4)}`);
  }
  return trials.reduce((a, b) => (b.score > a.score ? b : a)).parameters;
}

export function windowMetrics(window: FraudWindow, scores: Float64Array): WindowMetrics {
  const { labels } = window.test;
  const ranking = rankingMetrics(labels, scores);
  const cards = cardPrecisionTopK({
    labels,
    scores,
    cards: window.testCustomers,
    days: window.testDays,
    k: CARDS_LOOKED_AT,
  });
  return {
    ...ranking,
    cardPrecision100: cards.mean,
    logLoss: logLoss(labels, scores),
    brier: brierScore(labels, scores),
  };
}

export function dayText(time: number): string {
  return Number.isNaN(time) ? "?" : new Date(time).toISOString().slice(0, 10);
}
