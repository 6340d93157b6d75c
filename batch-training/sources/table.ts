/** A file of rows, whatever its format: what every reader gives and every consumer takes. */
export type Cell = string | number | boolean | null;

export interface TableRow {
  /** 1-based line of a text file on which the row begins, 1-based row number of a Parquet file. */
  readonly line: number;
  /** One per column, in the order of `Table.columns`. CSV cells are text; null is a missing JSON or Parquet value. */
  readonly cells: readonly Cell[];
}

export interface Table {
  readonly file: string;
  readonly format: TableFormat;
  readonly columns: readonly string[];
  /** Batches of a few thousand rows, read as they are asked for. May be iterated once. */
  readonly batches: AsyncIterable<readonly TableRow[]>;
}

export type TableFormat = "csv" | "ndjson" | "parquet";

/** Something wrong with a file, placed as exactly as it can be. The message holds the place. */
export class TableError extends Error {
  override readonly name = "TableError";
  readonly file: string;
  readonly line: number | null;
  readonly column: string | null;

  constructor(file: string, place: { readonly line?: number; readonly column?: string }, message: string) {
    const where = [
      place.line === undefined ? "" : `line ${place.line}`,
      place.column ? `column "${place.column}"` : "",
    ];
    super(`${[file, ...where].filter((part) => part !== "").join(", ")}: ${message}`);
    this.file = file;
    this.line = place.line ?? null;
    this.column = place.column ?? null;
  }
}

/** Columns of one file: wider than any feature set served, narrow enough to bound a row. */
export const MAX_COLUMNS = 4096;
/** Characters of one CSV record or JSON line. A longer one is a file without line ends, not a row. */
export const MAX_RECORD_CHARACTERS = 1 << 20;
/** Rows per batch: large enough that the asynchronous hand-over costs nothing. */
export const BATCH_ROWS = 4096;

/** @throws TableError for names that are empty, repeated or too many */
export function checkColumns(file: string, columns: readonly string[]): void {
  if (columns.length > MAX_COLUMNS) {
    throw new TableError(file, { line: 1 }, `${columns.length} columns; at most ${MAX_COLUMNS} are read`);
  }
  const seen = new Set<string>();
  for (const [i, column] of columns.entries()) {
    if (column === "") throw new TableError(file, { line: 1 }, `column ${i + 1} has no name`);
    if (seen.has(column)) throw new TableError(file, { line: 1 }, `two columns are named "${column}"`);
    seen.add(column);
  }
}
