import { type Cell, checkColumns, MAX_RECORD_CHARACTERS, TableError, type TableRow } from "./table.ts";

/**
 * One JSON object per line, values scalar. The first object names the columns; later ones may leave keys out (missing)
 * but not add any, so that nothing is dropped unseen.
 */
export class NdjsonSplitter {
  columns: readonly string[] | null = null;
  private readonly file: string;
  private places = new Map<string, number>();
  private rest = "";
  private line = 0;

  constructor(file: string) {
    this.file = file;
  }

  push(text: string): TableRow[] {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    if (this.rest.length > MAX_RECORD_CHARACTERS) {
      throw new TableError(
        this.file,
        { line: this.line + 1 },
        `a line of more than ${MAX_RECORD_CHARACTERS} characters`,
      );
    }
    return lines.flatMap((line) => this.take(line));
  }

  end(): TableRow[] {
    const rows = this.take(this.rest);
    if (this.columns === null) throw new TableError(this.file, {}, "the file is empty");
    return rows;
  }

  private take(text: string): TableRow[] {
    this.line++;
    if (text.trim() === "") return [];
    const record = this.parse(text);
    if (this.columns === null) {
      this.columns = Object.keys(record);
      checkColumns(this.file, this.columns);
      this.places = new Map(this.columns.map((column, i) => [column, i]));
    }
    const cells: Cell[] = this.columns.map(() => null);
    for (const [key, value] of Object.entries(record)) {
      const place = this.places.get(key);
      if (place === undefined) {
        throw new TableError(this.file, { line: this.line, column: key }, "a key that the first line does not have");
      }
      if (typeof value === "object" && value !== null) {
        throw new TableError(this.file, { line: this.line, column: key }, "a list or object; cells are scalar values");
      }
      cells[place] = value as Cell;
    }
    return [{ line: this.line, cells }];
  }

  private parse(text: string): Record<string, unknown> {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new TableError(this.file, { line: this.line }, `not a JSON value (${reason}); was the file cut off?`);
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new TableError(this.file, { line: this.line }, "each line is one JSON object");
    }
    return value as Record<string, unknown>;
  }
}
