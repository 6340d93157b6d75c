/** What the fraud model must show on the latest orders: against baselines, on declared slices, between groups, against the champion. */
import { PARITY_METRICS } from "../../../models/stats/group-fairness.ts";
import { rocAuc } from "../../../models/stats/ranking-metrics.ts";
import { judgeChampion } from "../../evaluate/gates/champion.ts";
import { judgeFairness } from "../../evaluate/gates/fairness.ts";
import { metric, unitsOf } from "../../evaluate/gates/gate.ts";
import { DEFAULT_GATE_POLICY, type GatePolicy } from "../../evaluate/gates/policy.ts";
import { judgeQuality, type QualityMetrics } from "../../evaluate/gates/quality.ts";
import { judgeSlices, type Slice, type SliceResult } from "../../evaluate/gates/slices.ts";
import type { Metric } from "../../../models/contract/manifest.ts";
import { quantile } from "../../../models/stats/bootstrap.ts";
import type { GbdtParametersInput } from "../../train/gbdt/parameters.ts";
import { fitGbdt } from "../../train/gbdt/train-gbdt.ts";
import { type GbdtModel, scoreRows } from "../../train/gbdt/tree.ts";
import { fitLogisticRegression, predictLogisticRegression } from "../../train/logistic-regression.ts";
import type { CardTable, ModelInput, StageContext, Verdict } from "../model-definition.ts";
import type { TrainingRows } from "../training-rows.ts";
import { fitPolicy } from "./fit-policy.ts";
import { type FraudRows, type FraudSplit, setOf, slicesOf } from "./fraud-data.ts";

/**
 * With a hundred frauds in the slice the interval of a paired difference in average precision is ±0.1 wide between equally good
 * models: no margin can be shown. So the champion must be beaten on the slice, and a baseline must not be better beyond doubt.
 */
export const FRAUD_GATE_POLICY: GatePolicy = { ...DEFAULT_GATE_POLICY, tolerance: 1 };

/** Penalty of the logistic baseline: mild, on standardised columns. */
const BASELINE_L2 = 1;
const STRONG_BASELINE = "logistic regression";

/** A random forest as its field takes it: full trees, as many features a node as the root of all (Breiman 2001). */
const FOREST: GbdtParametersInput = {
  ensemble: "forest",
  objective: "squared",
  learningRate: 1,
  l2: 0,
  trees: 100,
  leaves: 1024,
  minRowsPerLeaf: 1,
  minHessianPerLeaf: 0,
  rowFraction: 0.632,
  nodeFeatureFraction: 0.16,
};

type Input = ModelInput<FraudRows, FraudSplit, GbdtModel>;

export async function evaluateFraudTrees({ rows, split, model }: Input, context: StageContext): Promise<Verdict> {
  const { seed } = context;
  const { train, validation, test } = slicesOf(rows, split);
  const scores = scoreRows(model, test.columns, test.labels.length);
  const logistic = fitLogisticRegression(setOf({ train, validation }), { l2: BASELINE_L2 });
  const strong = predictLogisticRegression(logistic, test.columns, test.labels.length);
  const single = bestSingleFeature(train, test);
  const forest = await fitGbdt(
    setOf({ train, validation }),
    FOREST,
    seed,
    context.signal ? { signal: context.signal } : {},
  );
  const woods = scoreRows(forest.model, test.columns, test.labels.length);
  const units = unitsOf(test.subjects);
  const judged = { labels: test.labels, challenger: scores, units, seed };
  const baselines = { [STRONG_BASELINE]: strong, "random forest": woods, [`${single.name} alone`]: single.scores };
  const { gates, metrics } = judgeQuality({ ...judged, baselines }, FRAUD_GATE_POLICY);
  if (metrics === null) return { gates, metrics: [], notes: [], tables: [] };
  const slices = judgeSlices(
    { ...judged, reference: strong, referenceName: STRONG_BASELINE, slices: slicesOfOrders(train, test) },
    FRAUD_GATE_POLICY,
  );
  return {
    gates: [...gates, ...slices.flatMap((slice) => slice.gate ?? [])],
    metrics: qualityMetrics(metrics, "test"),
    notes: [],
    tables: [sliceTable(slices, STRONG_BASELINE)],
  };
}

/**
 * Orders carry no protected attribute of a person. What stands nearest to one is where the card and the goods come from and go to; it is
 * reported, because a threshold that sends a whole country to review should be a decision of somebody.
 */
export function compareFraudGroups({ rows, split, model }: Input, { seed }: StageContext): Verdict {
  const { validation, test } = slicesOf(rows, split);
  const scores = scoreRows(model, test.columns, test.labels.length);
  const known = fitPolicy(scoreRows(model, validation.columns, validation.labels.length), validation.labels);
  const policy = { ...FRAUD_GATE_POLICY, decisionThreshold: known.reviewAt };
  const units = unitsOf(test.subjects);
  const verdicts = groupsOfOrders(test).map(({ title, feature, of, names }) => {
    const report = judgeFairness(
      { labels: test.labels, challenger: scores, groups: { title, of, names }, units, seed },
      policy,
    );
    return { title, feature, report };
  });
  return {
    gates: verdicts.map(({ report }) => report.gate),
    metrics: verdicts.flatMap(({ feature, report }) =>
      PARITY_METRICS.flatMap((name) => metric(snake(name), `test/${feature}`, report.parity[name])),
    ),
    notes: [
      `groups are compared by orders that would go to review or be declined (score from ${known.reviewAt.toFixed(4)})`,
    ],
    tables: verdicts.map(({ title, report }) => ({
      title: `Groups by ${title}`,
      columns: ["Group", "Orders", "Fraud", "Selected", "True-positive rate", "False-positive rate"],
      rows: report.rates.map((rate) => [
        rate.group,
        String(rate.rows),
        ...[rate.baseRate, rate.selectionRate, rate.truePositiveRate, rate.falsePositiveRate].map(fixed),
      ]),
    })),
  };
}

export function compareWithChampion(
  { rows, split, model }: Input,
  champion: ArrayLike<number>,
  { seed }: StageContext,
): Verdict {
  const { train, test } = slicesOf(rows, split);
  const challenger = scoreRows(model, test.columns, test.labels.length);
  const judged = { labels: test.labels, challenger, units: unitsOf(test.subjects), seed };
  const { gate, metrics } = judgeChampion({ ...judged, champion }, FRAUD_GATE_POLICY);
  const slices = judgeSlices(
    { ...judged, reference: champion, referenceName: "the champion", slices: slicesOfOrders(train, test) },
    FRAUD_GATE_POLICY,
  );
  return {
    gates: [gate, ...slices.flatMap((slice) => slice.gate ?? [])],
    metrics: qualityMetrics(metrics, "test/champion"),
    notes: [],
    tables: [sliceTable(slices, "the champion")],
  };
}

/** The trivial rival: the one column that ranks the training rows best, in its better direction. */
function bestSingleFeature(train: TrainingRows, test: TrainingRows): { name: string; scores: Float64Array } {
  const filled = (column: Float32Array | undefined): Float64Array =>
    Float64Array.from(column ?? [], (value) => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value));
  let best = { name: "", feature: 0, sign: 1, auc: 0 };
  for (const [feature, name] of train.featureNames.entries()) {
    const auc = rocAuc(train.labels, filled(train.columns[feature]));
    const better = Math.max(auc, 1 - auc);
    if (better > best.auc) best = { name, feature, sign: auc >= 0.5 ? 1 : -1, auc: better };
  }
  return { name: best.name, scores: filled(test.columns[best.feature]).map((value) => best.sign * value) };
}

/** New customers, thirds of the amount as they were in training, cards from abroad. */
function slicesOfOrders(train: TrainingRows, test: TrainingRows): Slice[] {
  const column = (rows: TrainingRows, name: string): Float32Array =>
    rows.columns[rows.featureNames.indexOf(name)] ?? new Float32Array(0);
  const amounts = Float64Array.from(column(train, "amount")).sort();
  const [low, high] = [quantile(amounts, 1 / 3), quantile(amounts, 2 / 3)];
  const where = (name: string, keeps: (value: number) => boolean): Uint32Array => {
    const rows: number[] = [];
    for (const [row, value] of column(test, name).entries()) if (keeps(value)) rows.push(row);
    return Uint32Array.from(rows);
  };
  return [
    { name: "new customers", rows: where("account_age_days", (days) => days < 1) },
    { name: "small amounts", rows: where("amount", (amount) => amount <= low) },
    { name: "middle amounts", rows: where("amount", (amount) => amount > low && amount <= high) },
    { name: "large amounts", rows: where("amount", (amount) => amount > high) },
    { name: "foreign cards", rows: where("is_card_foreign", (flag) => flag === 1) },
  ];
}

function groupsOfOrders(test: TrainingRows) {
  const by = (title: string, feature: string, names: readonly [string, string]) => {
    const column = test.columns[test.featureNames.indexOf(feature)] ?? new Float32Array(test.labels.length);
    return { title, feature, names, of: Uint8Array.from(column, (value) => (value === 1 ? 1 : 0)) };
  };
  return [
    by("origin of the card", "is_card_foreign", ["domestic or unknown", "foreign"]),
    by("destination", "is_shipping_abroad", ["at home or unknown", "abroad"]),
  ].filter(({ of }) => new Set(of).size === 2);
}

function sliceTable(slices: readonly SliceResult[], reference: string): CardTable {
  return {
    title: `Slices against ${reference}`,
    columns: ["Slice", "Orders", "Frauds", "Average precision", "Difference (95 %)", "Verdict"],
    rows: slices.map(({ name, rows, positives, challenger, difference, gate }) => [
      name,
      String(rows),
      String(positives),
      fixed(challenger),
      gate === null ? "" : `${fixed(difference.value)} (${fixed(difference.low)} to ${fixed(difference.high)})`,
      gate === null ? "too small to judge" : gate.passed ? "holds" : "regresses",
    ]),
  };
}

function qualityMetrics(metrics: QualityMetrics, slice: string): Metric[] {
  const point = (value: number) => ({ value, low: Number.NaN, high: Number.NaN });
  return [
    ...metric("roc_auc", slice, metrics.rocAuc),
    ...metric("average_precision", slice, metrics.averagePrecision),
    ...metric("log_loss", slice, point(metrics.logLoss)),
    ...metric("brier", slice, point(metrics.brier)),
    ...metric("calibration_error", slice, point(metrics.calibrationError)),
  ];
}

const fixed = (value: number): string => (Number.isFinite(value) ? value.toFixed(4) : "");
const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
