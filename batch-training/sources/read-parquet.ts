import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { BATCH_ROWS, type Cell, checkColumns, type Table, TableError, type TableRow } from "./table.ts";

/** Flat Parquet files: one scalar per column and row. Read by row ranges, so memory stays at one row group. */
export async function readParquet(file: string): Promise<Table> {
  try {
    const buffer = await asyncBufferFromFile(file);
    const metadata = await parquetMetadataAsync(buffer);
    const columns = parquetSchema(metadata).children.map((child) => child.element.name);
    checkColumns(file, columns);
    return { file, format: "parquet", columns, batches: readRanges(file, buffer, metadata, columns) };
  } catch (error) {
    throw asTableError(file, error);
  }
}

type Buffer = Awaited<ReturnType<typeof asyncBufferFromFile>>;
type Metadata = Awaited<ReturnType<typeof parquetMetadataAsync>>;

/** Rows decoded at once: a whole row group is decoded per call, so few calls per group. */
const RANGE_ROWS = 65_536;

async function* readRanges(
  file: string,
  buffer: Buffer,
  metadata: Metadata,
  columns: readonly string[],
): AsyncGenerator<TableRow[], void> {
  const total = Number(metadata.num_rows);
  for (let begin = 0; begin < total; begin += RANGE_ROWS) {
    let records: Record<string, unknown>[];
    try {
      records = await parquetReadObjects({
        file: buffer,
        metadata,
        compressors,
        rowStart: begin,
        rowEnd: Math.min(total, begin + RANGE_ROWS),
      });
    } catch (error) {
      throw asTableError(file, error);
    }
    const rows = records.map((record, i) => ({
      line: begin + i + 1,
      cells: columns.map((column) => cellOf(file, begin + i + 1, column, record[column])),
    }));
    for (let at = 0; at < rows.length; at += BATCH_ROWS) yield rows.slice(at, at + BATCH_ROWS);
  }
}

function cellOf(file: string, line: number, column: string, value: unknown): Cell {
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return value.toISOString();
  throw new TableError(file, { line, column }, "a nested or binary value; cells are scalar values");
}

function asTableError(file: string, error: unknown): TableError {
  if (error instanceof TableError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new TableError(file, {}, `no readable Parquet file: ${reason}`);
}
