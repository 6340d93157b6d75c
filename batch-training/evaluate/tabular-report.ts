import type { Report, ReportRow } from "../../models/contract/report.ts";
import { bootstrap, type Interval } from "../../models/stats/bootstrap.ts";
import { groupRates, parityIntervals, parityToReference } from "../../models/stats/group-fairness.ts";
import { brierScore, expectedCalibrationError, logLoss } from "../../models/stats/probability-metrics.ts";
import { seededRandom } from "../../models/stats/random.ts";
import { rankDescending, rankingMetrics } from "../../models/stats/ranking-metrics.ts";
import type { Fold, TabularResult } from "./evaluate-tabular.ts";
import { describeMachine } from "./machine.ts";
import type { Groups } from "./tabular-data.ts";

/**
 * Rows of a tabular evaluation. Ids: `MODEL/METRIC` (mean over folds, 95 % bootstrap interval over their reported rows),
 * `MODEL/FOLD/METRIC`, `MODEL/group/LABEL=GROUP/roc_auc`, `MODEL/group/LABEL/roc_auc_gap`, `gbdt/group/LABEL=GROUP/METRIC`, `gbdt/group/LABEL/PARITY` and `labels/all|reported/...`, the same
 * parity of the labels themselves. Metrics are defined where they are computed, in `models/stats`.
 */
const REPLICATES = 300;
const METRICS = ["roc_auc", "average_precision", "log_loss", "brier", "calibration_error"] as const;
const LOWER_IS_BETTER = new Set<string>(["log_loss", "brier", "calibration_error"]);

export function tabularReport(result: TabularResult, seed: number, parameters: Report["parameters"]): Report {
  const rows = [...modelRows(result.folds, seed), ...foldRows(result.folds)];
  if (result.all.groups) rows.push(...groupRows(result, result.all.groups, seed));
  rows.push(
    { id: "rows/all", value: result.rows, unit: "rows" },
    { id: "rows/reported", value: result.folds.reduce((sum, fold) => sum + fold.labels.length, 0), unit: "rows" },
    {
      id: "gbdt/seconds",
      value: result.folds.reduce((sum, fold) => sum + fold.seconds, 0),
      unit: "s",
      better: "lower",
    },
  );
  return { tool: "edgewise evaluate tabular", version: "1", machine: describeMachine(), parameters, rows };
}

function modelRows(folds: readonly Fold[], seed: number): ReportRow[] {
  const models = [...(folds[0]?.scores.keys() ?? [])];
  return models.flatMap((model) => {
    const intervals = foldIntervals(folds, model, seed);
    return METRICS.map((metric, i) => row(`${model}/${metric}`, metric, intervals[i]));
  });
}

/** Rows are drawn within the pooled reported rows; each draw is scored fold by fold and averaged, as the value is. */
function foldIntervals(folds: readonly Fold[], model: string, seed: number): Interval[] {
  const orders = folds.map((fold) => rankDescending(fold.scores.get(model) ?? []));
  const total = folds.reduce((sum, fold) => sum + fold.labels.length, 0);
  const options = { replicates: REPLICATES, level: 0.95, random: seededRandom(seed) };
  return bootstrap(total, options, (weights) => {
    const sums = METRICS.map(() => 0);
    let begin = 0;
    for (const [f, fold] of folds.entries()) {
      const end = begin + fold.labels.length;
      const values = metricsOf(
        fold.labels,
        fold.scores.get(model) ?? [],
        weights?.subarray(begin, end) ?? null,
        orders[f],
      );
      for (const [i, value] of values.entries()) sums[i] = (sums[i] ?? 0) + value / folds.length;
      begin = end;
    }
    return sums;
  });
}

function metricsOf(
  labels: ArrayLike<number>,
  scores: ArrayLike<number>,
  weights: ArrayLike<number> | null,
  order?: Uint32Array,
): number[] {
  const ranking = rankingMetrics(labels, scores, weights, order);
  return [
    ranking.rocAuc,
    ranking.averagePrecision,
    logLoss(labels, scores, weights),
    brierScore(labels, scores, weights),
    // Of the sample only: bins of equal count have no weighted form here.
    weights === null ? expectedCalibrationError(labels, scores, 10, "quantile") : Number.NaN,
  ];
}

function foldRows(folds: readonly Fold[]): ReportRow[] {
  if (folds.length < 2) return [];
  return folds.flatMap((fold) =>
    [...fold.scores].flatMap(([model, scores]) =>
      metricsOf(fold.labels, scores, null).map((value, i) => {
        const metric = METRICS[i] ?? "roc_auc";
        return row(`${model}/${fold.name}/${metric}`, metric, { value, low: Number.NaN, high: Number.NaN });
      }),
    ),
  );
}

function row(id: string, metric: string, interval: Interval | undefined): ReportRow {
  const { value, low, high } = interval ?? { value: Number.NaN, low: Number.NaN, high: Number.NaN };
  return {
    id,
    value,
    unit: metric === "log_loss" ? "nats" : "1",
    better: LOWER_IS_BETTER.has(metric) ? "lower" : "higher",
    ...(Number.isNaN(low) ? {} : { low, high }),
  };
}

function groupRows(result: TabularResult, all: Groups, seed: number): ReportRow[] {
  const labels = result.folds.flatMap((fold) => [...fold.labels]);
  const names = [...new Set(result.folds.flatMap((fold) => [...(fold.groups?.names ?? [])]))];
  const groups = result.folds.flatMap((fold) =>
    [...(fold.groups?.of ?? [])].map((g) => names.indexOf(fold.groups?.names[g] ?? "")),
  );
  const decisions = selectBaseRate(result.folds);
  const input = { labels, decisions, groups, groupNames: names };
  const options = { replicates: REPLICATES, level: 0.95, random: seededRandom(seed) };
  const parity = Object.entries(parityIntervals(input, options)).map(([name, interval]): ReportRow => ({
    ...intervalRow(`gbdt/group/${all.label}/${snake(name)}`, interval),
  }));
  return [
    ...[...(result.folds[0]?.scores.keys() ?? [])].flatMap((model) => {
      const scores = result.folds.flatMap((fold) => [...(fold.scores.get(model) ?? [])]);
      return model === "constant"
        ? []
        : rocAucByGroup({ model, labels, scores, groups, names, label: all.label, seed });
    }),
    ...parity,
    ...referenceRows(`gbdt/group/${all.label}`, input),
    ...referenceRows(`labels/reported/${all.label}`, { ...input, decisions: labels }),
    ...referenceRows(`labels/all/${all.label}`, {
      labels: result.all.labels,
      decisions: result.all.labels,
      groups: all.of,
      groupNames: all.names,
    }),
  ];
}

/** Decision 1 for the share of highest scores that is the positive share of the training rows, fold by fold. */
function selectBaseRate(folds: readonly Fold[]): number[] {
  return folds.flatMap((fold) => {
    const order = rankDescending(fold.scores.get("gbdt") ?? []);
    const decisions = new Uint8Array(fold.labels.length);
    for (const chosen of order.subarray(0, Math.round(fold.trainRate * order.length))) decisions[chosen] = 1;
    return [...decisions];
  });
}

interface GroupScores {
  readonly model: string;
  readonly labels: readonly number[];
  readonly scores: readonly number[];
  readonly groups: readonly number[];
  readonly names: readonly string[];
  readonly label: string;
  readonly seed: number;
}

function rocAucByGroup({ model, labels, scores, groups, names, label, seed }: GroupScores): ReportRow[] {
  const order = rankDescending(scores);
  const orders = names.map((_, g) => order.filter((row) => groups[row] === g));
  const options = { replicates: REPLICATES, level: 0.95, random: seededRandom(seed) };
  const intervals = bootstrap(labels.length, options, (weights) => {
    const values = orders.map((rows) => rankingMetrics(labels, scores, weights, rows).rocAuc);
    const known = values.filter((value) => !Number.isNaN(value));
    return [...values, Math.max(...known) - Math.min(...known)];
  });
  const gap: ReportRow = {
    ...intervalRow(`${model}/group/${label}/roc_auc_gap`, intervals[names.length]),
    better: "lower",
  };
  return [...names.map((name, g) => intervalRow(`${model}/group/${label}=${name}/roc_auc`, intervals[g])), gap].filter(
    ({ value }) => Number.isFinite(value),
  );
}

function intervalRow(id: string, interval: Interval | undefined): ReportRow {
  const { value, low, high } = interval ?? { value: Number.NaN, low: Number.NaN, high: Number.NaN };
  return { id, value, unit: "1", ...(Number.isNaN(low) ? {} : { low, high }) };
}

/** Rates per group, and differences and ratios to the largest group. */
function referenceRows(prefix: string, input: Parameters<typeof groupRates>[0]): ReportRow[] {
  const rates = groupRates(input);
  const reference = rates.reduce((a, b) => (b.rows > a.rows ? b : a));
  return [
    ...rates.flatMap(({ group, rows, selectionRate }): ReportRow[] => [
      { id: `${prefix}=${group}/rows`, value: rows, unit: "rows" },
      { id: `${prefix}=${group}/selection_rate`, value: selectionRate, unit: "1" },
    ]),
    ...parityToReference(rates, reference.group).flatMap((parity): ReportRow[] => [
      {
        id: `${prefix}=${parity.group}/statistical_parity_difference`,
        value: parity.selectionDifference,
        unit: "1",
        note: `to ${reference.group}`,
      },
      {
        id: `${prefix}=${parity.group}/disparate_impact`,
        value: parity.selectionRatio,
        unit: "1",
        note: `to ${reference.group}, band 0.8 to 1.25`,
      },
    ]),
  ].filter(({ value }) => Number.isFinite(value));
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
