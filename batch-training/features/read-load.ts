import type { LoadedRow } from "../../models/contract/api/feature-loads.ts";
import type { CompiledGroup } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import { checkColumns, type QualityReport } from "../../models/features/quality.ts";
import { readTable } from "../sources/read-table.ts";
import { type Cell, TableError } from "../sources/table.ts";

/** Rows of one load: the file is held in memory so that it is checked as a whole before any of it is sent. */
export const MAX_ROWS_PER_LOAD = 2_000_000;

/**
 * Rows of a file in CSV, NDJSON or Parquet. Columns: `entity`, `at` unless it is given, and any of the group's; others are refused.
 * @throws TableError naming the line, for a file that is cut off as well
 */
export async function* readLoad(
  file: string,
  columns: readonly string[],
  at: string | null,
): AsyncGenerator<LoadedRow> {
  const table = await readTable(file);
  let rows = 0;
  for await (const batch of table.batches) {
    for (const row of batch) {
      if (++rows > MAX_ROWS_PER_LOAD)
        throw new TableError(file, {}, `more than ${MAX_ROWS_PER_LOAD} rows; split the file`);
      const place = { line: row.line };
      const named = Object.fromEntries(table.columns.map((name, index) => [name, row.cells[index] ?? null]));
      const { entity = null, at: own = null, ...values } = named;
      const time = at ?? textOf(own);
      if (textOf(entity) === null) throw new TableError(file, place, "there is no entity");
      if (time === null || Number.isNaN(Date.parse(time)))
        throw new TableError(file, place, 'there is no time in "at"; add the column, or give --at');
      const unknown = Object.keys(values).find((name) => !columns.includes(name));
      if (unknown !== undefined)
        throw new TableError(file, place, `the group has no column ${unknown}; it has ${columns.join(", ")}`);
      yield {
        entity: textOf(entity) ?? "",
        at: new Date(time).toISOString(),
        values: Object.fromEntries(
          Object.entries(values).map(([name, value]) => [name, numberOf(file, place, name, value)]),
        ),
      };
    }
  }
  if (rows === 0) throw new TableError(file, {}, "has no rows");
}

function textOf(value: Cell): string | null {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : null;
}

function numberOf(file: string, place: { line: number }, name: string, value: Cell): number | null {
  if (value === null || value === "") return null;
  const number = Number(value);
  if (!Number.isFinite(number)) throw new TableError(file, place, `${name} is ${String(value)}, not a number`);
  return number;
}

/** The checks of the features that read a group's columns, over a whole load. */
export function checkLoad(
  group: CompiledGroup,
  services: readonly CompiledService[],
  rows: readonly LoadedRow[],
  now: number,
): QualityReport {
  const all = services.flatMap(({ definition }) => [...definition.features, ...definition.support]);
  const features = group.columnNames.map((name) => {
    const feature = all.find(
      (one) =>
        one.kind === "aggregate" &&
        one.group === group.definition &&
        "column" in one.aggregation &&
        one.aggregation.column === name,
    );
    return { name, checks: feature?.checks ?? {} };
  });
  const columns = features.map(({ name }) => Float32Array.from(rows, (row) => row.values[name] ?? Number.NaN));
  const newest = rows.reduce((time, row) => Math.max(time, Date.parse(row.at)), Number.NEGATIVE_INFINITY);
  return checkColumns(features, columns, null, Math.round((now - newest) / 1000));
}
