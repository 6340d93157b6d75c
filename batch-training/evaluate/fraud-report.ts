import type { Report, ReportRow } from "../../models/contract/report.ts";
import { dayText, type FraudEvaluation, type WindowMetrics } from "./evaluate-fraud.ts";
import { describeMachine } from "./machine.ts";

/** Ids: `MODEL/METRIC` (mean over windows), `MODEL/WINDOW_START/METRIC`, `windows/WINDOW_START/...` for counts. */
const METRICS = [
  ["roc_auc", "rocAuc", "higher"],
  ["average_precision", "averagePrecision", "higher"],
  ["card_precision_100", "cardPrecision100", "higher"],
  ["log_loss", "logLoss", "lower"],
  ["brier", "brier", "lower"],
] as const;

export function fraudReport(evaluation: FraudEvaluation, parameters: Report["parameters"]): Report {
  const models = Object.keys(evaluation.windows[0]?.metrics ?? {});
  const means = models.flatMap((model) => metricRows(model, meanOf(evaluation, model)));
  const single = evaluation.windows.flatMap(({ plan, metrics }) =>
    Object.entries(metrics).flatMap(([model, values]) => metricRows(`${model}/${dayText(plan.trainStart)}`, values)),
  );
  const counts = evaluation.windows.flatMap(({ plan, ...window }): ReportRow[] =>
    (["trainRows", "trainFrauds", "testRows", "testFrauds"] as const).map((name) => ({
      id: `windows/${dayText(plan.trainStart)}/${name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
      value: window[name],
      unit: "rows",
    })),
  );
  return {
    tool: "edgewise evaluate fraud",
    version: "1",
    machine: describeMachine(),
    parameters: {
      ...parameters,
      features: evaluation.features.join(","),
      fitted: JSON.stringify(evaluation.windows.map((window) => window.parameters)),
    },
    rows: [...means, ...single, ...counts],
  };
}

function meanOf({ windows }: FraudEvaluation, model: string): WindowMetrics {
  const mean = (key: keyof WindowMetrics): number =>
    windows.reduce((sum, window) => sum + (window.metrics[model]?.[key] ?? Number.NaN), 0) / windows.length;
  return {
    rocAuc: mean("rocAuc"),
    averagePrecision: mean("averagePrecision"),
    cardPrecision100: mean("cardPrecision100"),
    logLoss: mean("logLoss"),
    brier: mean("brier"),
  };
}

function metricRows(prefix: string, metrics: WindowMetrics): ReportRow[] {
  return METRICS.map(([id, key, better]) => ({
    id: `${prefix}/${id}`,
    value: metrics[key],
    unit: key === "logLoss" ? "nats" : "1",
    better,
  }));
}
