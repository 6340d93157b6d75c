import type { Report, ReportRow } from "../../../models/contract/report.ts";
import { describeMachine } from "../machine.ts";
import type { Evaluation } from "./evaluate-recommenders.ts";
import { CASE_METRICS, type CaseMetric } from "./quality-table.ts";

/** Version of the row ids and their meaning. */
const REPORT_VERSION = "1";

/** Units; every metric is better when higher, but novelty, diversity and popularity are neither good nor bad by themselves. */
const UNITS: Readonly<Record<CaseMetric, { unit: string; better?: "higher" }>> = {
  "hit-rate": { unit: "share", better: "higher" },
  recall: { unit: "share", better: "higher" },
  precision: { unit: "share", better: "higher" },
  ndcg: { unit: "share", better: "higher" },
  map: { unit: "share", better: "higher" },
  mrr: { unit: "share", better: "higher" },
  novelty: { unit: "bits" },
  diversity: { unit: "share" },
  popularity: { unit: "share of users" },
};

/** Ids: `MODEL/METRIC@K`, `MODEL/METRIC@K/history=5-9`, and `MODEL/fit`, `MODEL/score`, `MODEL/bytes`. */
export function evaluationReport(
  evaluations: readonly Evaluation[],
  parameters: Report["parameters"] & { readonly k: number },
): Report {
  return {
    tool: "edgewise evaluate recs",
    version: REPORT_VERSION,
    machine: describeMachine(),
    parameters,
    rows: evaluations.flatMap((evaluation) => rowsOf(evaluation, parameters.k)),
  };
}

function rowsOf(evaluation: Evaluation, k: number): ReportRow[] {
  const { name, quality } = evaluation;
  const rows: ReportRow[] = [];
  for (const slice of [quality.overall, ...quality.byHistory]) {
    const suffix = slice === quality.overall ? "" : `/history=${slice.name}`;
    for (const metric of CASE_METRICS) {
      const interval = slice.metrics.get(metric);
      if (interval === undefined) continue;
      rows.push({
        id: `${name}/${metric}@${k}${suffix}`,
        value: interval.value,
        ...UNITS[metric],
        low: interval.low,
        high: interval.high,
        note: `${slice.cases} cases`,
      });
    }
  }
  const settings = JSON.stringify(evaluation.parameters);
  rows.push(
    { id: `${name}/coverage@${k}`, value: quality.coverage, unit: "share of catalogue" },
    { id: `${name}/exposure-gini@${k}`, value: quality.gini, unit: "Gini" },
    { id: `${name}/popularity-lift@${k}`, value: quality.popularityLift, unit: "ratio - 1" },
    { id: `${name}/validation-ndcg@${k}`, value: evaluation.validation, unit: "share", note: settings },
    { id: `${name}/fit`, value: evaluation.fitSeconds, unit: "s", better: "lower" },
    { id: `${name}/score`, value: evaluation.scoreMicros, unit: "us", better: "lower" },
    { id: `${name}/bytes`, value: evaluation.bytes, unit: "bytes", better: "lower" },
  );
  return rows;
}

/** The table for a person, then NDCG by length of history. */
export function describeEvaluation(evaluations: readonly Evaluation[], k: number): string[] {
  const metrics = ["hit-rate", "recall", "precision", "ndcg", "map", "mrr"] as const;
  const lines = [
    [
      "model",
      ...metrics.map((metric) => `${metric}@${k}`),
      "ndcg 95 %",
      "coverage",
      "novelty",
      "diversity",
      "pop lift",
      "fit s",
      "us/case",
      "KB",
    ],
  ];
  for (const { name, quality, ...rest } of evaluations) {
    const figure = (metric: CaseMetric): number => quality.overall.metrics.get(metric)?.value ?? Number.NaN;
    const ndcg = quality.overall.metrics.get("ndcg");
    lines.push([
      name,
      ...metrics.map((metric) => figure(metric).toFixed(4)),
      `${(ndcg?.low ?? Number.NaN).toFixed(3)}-${(ndcg?.high ?? Number.NaN).toFixed(3)}`,
      quality.coverage.toFixed(3),
      figure("novelty").toFixed(2),
      figure("diversity").toFixed(3),
      quality.popularityLift.toFixed(2),
      rest.fitSeconds.toFixed(2),
      rest.scoreMicros.toFixed(0),
      (rest.bytes / 1024).toFixed(0),
    ]);
  }
  return [...aligned(lines), "", ...aligned(historyTable(evaluations, k))];
}

function historyTable(evaluations: readonly Evaluation[], k: number): string[][] {
  const slices = evaluations[0]?.quality.byHistory ?? [];
  return [
    [`ndcg@${k} by history`, ...slices.map((slice) => `${slice.name} (${slice.cases})`)],
    ...evaluations.map(({ name, quality }) => [
      name,
      ...quality.byHistory.map((slice) => (slice.metrics.get("ndcg")?.value ?? Number.NaN).toFixed(4)),
    ]),
  ];
}

/** Markdown rows with columns of equal width, so that the output reads well and can be pasted. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const format = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  const [head = [], ...body] = rows;
  return [format(head), rule, ...body.map(format)];
}
