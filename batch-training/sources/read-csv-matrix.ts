/** A CSV of numbers, with or without a line of column names. */
import { parse } from "csv-parse/sync";
import { type Matrix, MatrixError, MAX_MATRIX_VALUES } from "./matrix.ts";

const MISSING = new Set(["", "nan", "na", "n/a", "null", "none", "?"]);
const INFINITE: Readonly<Record<string, number>> = {
  inf: Infinity,
  "+inf": Infinity,
  "-inf": -Infinity,
  infinity: Infinity,
  "+infinity": Infinity,
  "-infinity": -Infinity,
};

/**
 * Commas, semicolons or tabs; an empty cell, NaN, NA or null is a missing value. A first line with a word in it names the
 * columns. @throws MatrixError naming line and column
 */
export function readCsvMatrix(text: string): Matrix {
  const records = parseRecords(text);
  const [first] = records;
  if (!first) throw new MatrixError("the CSV file is empty");
  const columns = first.some((cell) => parseCell(cell) === null) ? first : null;
  const body = columns ? records.slice(1) : records;
  if (body.length === 0) throw new MatrixError("the CSV file has column names but no row");
  const width = first.length;
  if (body.length * width > MAX_MATRIX_VALUES) {
    throw new MatrixError(`the CSV file has ${body.length * width} values, over the limit of ${MAX_MATRIX_VALUES}`);
  }
  const values = new Float32Array(body.length * width);
  for (const [row, cells] of body.entries()) {
    const line = row + (columns ? 2 : 1);
    if (cells.length !== width) {
      throw new MatrixError(`record ${line} of the CSV file has ${cells.length} cells, the first one has ${width}`);
    }
    for (const [column, cell] of cells.entries()) {
      const value = parseCell(cell);
      if (value === null) {
        const name = columns?.[column] ?? `column ${column + 1}`;
        throw new MatrixError(`record ${line}, ${name}: "${cell.slice(0, 40)}" is no number; encode categories first`);
      }
      values[row * width + column] = value;
    }
  }
  return { values, rows: body.length, width, columns };
}

function parseRecords(text: string): string[][] {
  const firstLine = text.slice(0, text.indexOf("\n") + 1 || undefined);
  const delimiter = [",", ";", "\t"].find((candidate) => firstLine.includes(candidate)) ?? ",";
  try {
    return parse(text, { delimiter, bom: true, trim: true, skip_empty_lines: true, relax_column_count: true });
  } catch (error) {
    throw new MatrixError(`the CSV file cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** null: no number. */
function parseCell(cell: string): number | null {
  const lower = cell.toLowerCase();
  if (MISSING.has(lower)) return Number.NaN;
  const infinite = INFINITE[lower];
  if (infinite !== undefined) return infinite;
  const value = Number(cell);
  return Number.isNaN(value) || /^0[xbo]/.test(lower) ? null : value;
}
