import type { Report, ReportRow } from "../../models/contract/report.ts";
import { describeMachine } from "../../batch-training/evaluate/machine.ts";

/** Middle value; the mean of the two middle ones for an even count. NaN without values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** The value that a share of them, 0–1, lies below. */
export function quantile(values: readonly number[], at: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? Number.NaN;
}

/** A row with the median of its rounds, and their extremes. */
export function rowOf(
  id: string,
  unit: string,
  rounds: readonly number[],
  goal: Pick<ReportRow, "floor" | "aim" | "better" | "note"> = {},
): ReportRow {
  return {
    id,
    value: rounded(median(rounds)),
    unit,
    ...(rounds.length > 1 && { low: rounded(Math.min(...rounds)), high: rounded(Math.max(...rounds)) }),
    ...goal,
  };
}

/** Five significant digits: more is noise. */
function rounded(value: number): number {
  return Number(value.toPrecision(5));
}

export function makeReport(tool: string, version: string, content: Pick<Report, "parameters" | "rows">): Report {
  return { tool, version, machine: describeMachine(), ...content };
}

function misses(row: ReportRow, goal: number | undefined): boolean {
  if (goal === undefined) return false;
  return !(row.better === "lower" ? row.value <= goal : row.value >= goal);
}

/** Rows that miss their floor. */
export function missedFloors(report: Report): ReportRow[] {
  return report.rows.filter((row) => misses(row, row.floor));
}

/** The report for a terminal: one line per row with its floor, its aim and which of them it meets. */
export function reportTable(report: Report): string {
  const lines = report.rows.map((row) => [
    row.id,
    `${row.value} ${row.unit}`,
    row.low === undefined || row.high === undefined ? "" : `${row.low}–${row.high}`,
    row.floor === undefined ? "" : `floor ${row.floor}`,
    row.aim === undefined ? "" : `aim ${row.aim}`,
    row.floor === undefined && row.aim === undefined
      ? ""
      : misses(row, row.floor)
        ? "BELOW FLOOR"
        : misses(row, row.aim)
          ? "floor met"
          : "aim met",
    row.note ?? "",
  ]);
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const { machine } = report;
  return [
    `${report.tool} on ${machine.cpu}, ${machine.cores} cores, node ${machine.node}`,
    ...lines.map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    ),
  ].join("\n");
}
