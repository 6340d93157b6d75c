import { readTable } from "./read-table.ts";
import { type Cell, TableError, type TableFormat } from "./table.ts";

/**
 * A whole table as typed columns. A column is numeric when every present cell is a number or a date, else categorical.
 * The file is read twice, once to learn kinds and count rows, once to fill exactly sized arrays, so that memory is the
 * result's and no text is kept.
 */
export interface Frame {
  readonly file: string;
  readonly rows: number;
  readonly columns: readonly FrameColumn[];
}

export type FrameColumn =
  | {
      readonly name: string;
      readonly kind: "numeric";
      readonly values: Float64Array;
      /** Epoch milliseconds, written as dates. */
      readonly isTime: boolean;
    }
  | {
      readonly name: string;
      readonly kind: "categorical";
      /** Codes into the vocabulary, NaN where missing or, with a given vocabulary, unknown. */
      readonly values: Float64Array;
      readonly vocabulary: readonly string[];
    };

/** Rows of one frame: what a training run takes at most. */
export const MAX_FRAME_ROWS = 1 << 24;
/** Distinct texts of one column; more is free text or an identifier, which no tree can use. */
export const MAX_VOCABULARY = 1 << 20;

const MISSING = new Set(["", "?", "NA", "N/A", "NaN", "nan", "NULL", "null"]);
const DATE = /^\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/;
const NUMBER = /^\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?)\s*$/i;

/** @param like kinds and vocabularies to keep to: a later file read like the one a model was trained on */
export async function readFrame(
  file: string,
  options: { readonly format?: TableFormat | null; readonly like?: Frame | null } = {},
): Promise<Frame> {
  const format = options.format ?? null;
  const { names, kinds, rows } = await learnKinds(file, format, options.like ?? null);
  if (rows === 0) throw new TableError(file, {}, "the file has column names but no rows");
  const builders = names.map((name, i) => {
    const like = options.like?.columns.find((column) => column.name === name);
    const vocabulary = like?.kind === "categorical" ? like.vocabulary : null;
    return new ColumnBuilder(file, name, kinds[i] ?? "numeric", rows, vocabulary);
  });
  let row = 0;
  const table = await readTable(file, format);
  for await (const batch of table.batches) {
    for (const { line, cells } of batch) {
      for (const [i, builder] of builders.entries()) builder.set(row, line, cells[i] ?? null);
      row++;
    }
  }
  if (row !== rows) throw new TableError(file, {}, "the file changed while it was read");
  return { file, rows, columns: builders.map((builder) => builder.finish()) };
}

type Kind = FrameColumn["kind"];

async function learnKinds(
  file: string,
  format: TableFormat | null,
  like: Frame | null,
): Promise<{ names: readonly string[]; kinds: Kind[]; rows: number }> {
  const table = await readTable(file, format);
  const missing = like?.columns.find((column) => !table.columns.includes(column.name));
  if (missing) throw new TableError(file, { line: 1 }, `there is no column "${missing.name}", which ${like?.file} has`);
  const kinds = table.columns.map(
    (name): Kind => like?.columns.find((column) => column.name === name)?.kind ?? "numeric",
  );
  const numbers = new Uint8Array(table.columns.length);
  const dates = new Uint8Array(table.columns.length);
  let rows = 0;
  for await (const batch of table.batches) {
    rows += batch.length;
    if (rows > MAX_FRAME_ROWS) throw new TableError(file, {}, `more than ${MAX_FRAME_ROWS} rows`);
    if (like) continue;
    for (const { cells } of batch) {
      for (let i = 0; i < kinds.length; i++) {
        const cell = cells[i] ?? null;
        if (kinds[i] === "categorical" || isMissing(cell)) continue;
        if (typeof cell === "number" || (typeof cell === "string" && NUMBER.test(cell))) numbers[i] = 1;
        else if (typeof cell === "string" && DATE.test(cell)) dates[i] = 1;
        else kinds[i] = "categorical";
        // Numbers and dates in one column are neither.
        if (numbers[i] === 1 && dates[i] === 1) kinds[i] = "categorical";
      }
    }
  }
  return { names: table.columns, kinds, rows };
}

function isMissing(cell: Cell): boolean {
  return cell === null || (typeof cell === "string" && MISSING.has(cell.trim()));
}

class ColumnBuilder {
  private readonly file: string;
  private readonly name: string;
  private readonly kind: Kind;
  private readonly values: Float64Array;
  private readonly codes = new Map<string, number>();
  private readonly fixed: boolean;
  private isTime = false;

  constructor(file: string, name: string, kind: Kind, rows: number, vocabulary: readonly string[] | null) {
    this.file = file;
    this.name = name;
    this.kind = kind;
    this.values = new Float64Array(rows);
    this.fixed = vocabulary !== null;
    for (const [code, text] of (vocabulary ?? []).entries()) this.codes.set(text, code);
  }

  set(row: number, line: number, cell: Cell): void {
    this.values[row] = isMissing(cell)
      ? Number.NaN
      : this.kind === "numeric"
        ? this.number(cell, line)
        : this.code(cell, line);
  }

  private number(cell: Cell, line: number): number {
    if (typeof cell === "number") return cell;
    if (typeof cell === "string") {
      if (NUMBER.test(cell)) return parseNumber(cell);
      if (DATE.test(cell)) return this.time(cell);
    }
    throw new TableError(this.file, { line, column: this.name }, `${JSON.stringify(cell)} is not a number`);
  }

  /** Times without a zone are read as UTC: the same everywhere. */
  private time(cell: string): number {
    this.isTime = true;
    const zoned = /Z|[+-]\d{2}:?\d{2}$/.test(cell.slice(10));
    return Date.parse(zoned ? cell : `${cell.slice(0, 10)}T${cell.slice(11) || "00:00"}Z`);
  }

  private code(cell: Cell, line: number): number {
    const text = String(cell).trim();
    const known = this.codes.get(text);
    if (known !== undefined) return known;
    if (this.fixed) return Number.NaN;
    if (this.codes.size === MAX_VOCABULARY) {
      const message = `more than ${MAX_VOCABULARY} different texts; drop the column if it is an identifier`;
      throw new TableError(this.file, { line, column: this.name }, message);
    }
    this.codes.set(text, this.codes.size);
    return this.codes.size - 1;
  }

  finish(): FrameColumn {
    const { name, values } = this;
    return this.kind === "numeric"
      ? { name, kind: "numeric", values, isTime: this.isTime }
      : { name, kind: "categorical", values, vocabulary: [...this.codes.keys()] };
  }
}

function parseNumber(cell: string): number {
  const value = Number(cell);
  if (!Number.isNaN(value)) return value;
  return cell.trim().startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** @throws TableError naming the columns there are */
export function columnNamed(frame: Frame, name: string): FrameColumn {
  const column = frame.columns.find((candidate) => candidate.name === name);
  if (column) return column;
  const names = frame.columns.map((candidate) => candidate.name).join(", ");
  throw new TableError(frame.file, {}, `there is no column "${name}"; there are ${names.slice(0, 500)}`);
}
