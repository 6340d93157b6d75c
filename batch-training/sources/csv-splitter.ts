import { checkColumns, MAX_RECORD_CHARACTERS, TableError, type TableRow } from "./table.ts";

/**
 * CSV as RFC 4180 has it: cells in double quotes may hold delimiters, line ends and doubled quotes; LF, CRLF, a byte
 * order mark and empty lines are accepted; the first line names the columns; every record has as many cells. The
 * delimiter (comma, semicolon, tab or bar) is the one the header line uses most.
 */
export class CsvSplitter {
  /** Null until the header was seen. */
  columns: readonly string[] | null = null;
  private readonly file: string;
  private delimiter = ",";
  private rest = "";
  private line = 1;

  constructor(file: string) {
    this.file = file;
  }

  /** @returns the records that end in what was pushed so far. */
  push(text: string): TableRow[] {
    return this.split(this.rest + text, false);
  }

  /** @returns the record that no line end closes. */
  end(): TableRow[] {
    const rows = this.split(this.rest, true);
    if (this.columns === null) throw new TableError(this.file, {}, "the file is empty");
    return rows;
  }

  private split(text: string, last: boolean): TableRow[] {
    const rows: TableRow[] = [];
    let at = this.columns === null && text.startsWith("\uFEFF") ? 1 : 0;
    while (at < text.length) {
      const end = this.recordEnd(text, at);
      if (end < 0 && !last) break;
      const stop = end < 0 ? text.length : end;
      const record = text.slice(at, text[stop - 1] === "\r" ? stop - 1 : stop);
      if (record !== "") this.take(record, end < 0, rows);
      this.line += newlines(record) + 1;
      at = stop + 1;
    }
    this.rest = text.slice(at);
    if (this.rest.length > MAX_RECORD_CHARACTERS) {
      const message = `a record of more than ${MAX_RECORD_CHARACTERS} characters: is a quote left open, or is this no CSV?`;
      throw new TableError(this.file, { line: this.line }, message);
    }
    return rows;
  }

  /** Index of the line end that closes the record, -1 where it is not there yet. */
  private recordEnd(text: string, from: number): number {
    const end = text.indexOf("\n", from);
    const quote = text.indexOf('"', from);
    if (quote < 0 || (end >= 0 && quote > end)) return end;
    let quoted = false;
    for (let i = quote; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code === 34) quoted = !quoted;
      else if (code === 10 && !quoted) return i;
    }
    return -1;
  }

  private take(record: string, unclosed: boolean, rows: TableRow[]): void {
    if (this.columns === null) {
      this.delimiter = mostFrequent(record, [",", ";", "\t", "|"]);
      this.columns = this.cellsOf(record).map((name) => name.trim());
      checkColumns(this.file, this.columns);
      return;
    }
    const cells = this.cellsOf(record);
    if (cells.length !== this.columns.length) {
      const hint = unclosed ? " (the last line: was the file cut off?)" : "";
      const message = `${cells.length} cells where the header has ${this.columns.length}${hint}`;
      throw new TableError(this.file, { line: this.line }, message);
    }
    rows.push({ line: this.line, cells });
  }

  private cellsOf(record: string): string[] {
    if (!record.includes('"')) return record.split(this.delimiter);
    const cells: string[] = [];
    let at = 0;
    for (;;) {
      const cell = record[at] === '"' ? this.quotedCell(record, at) : this.plainCell(record, at);
      cells.push(cell.text);
      if (cell.end >= record.length) return cells;
      at = cell.end + 1;
    }
  }

  private plainCell(record: string, at: number): { text: string; end: number } {
    const found = record.indexOf(this.delimiter, at);
    const end = found < 0 ? record.length : found;
    return { text: record.slice(at, end), end };
  }

  private quotedCell(record: string, at: number): { text: string; end: number } {
    let text = "";
    let from = at + 1;
    for (;;) {
      const quote = record.indexOf('"', from);
      if (quote < 0)
        throw new TableError(this.file, { line: this.line }, "a quoted cell is never closed: was the file cut off?");
      text += record.slice(from, quote);
      if (record[quote + 1] !== '"') {
        const end = quote + 1;
        if (end < record.length && record[end] !== this.delimiter) {
          throw new TableError(
            this.file,
            { line: this.line },
            `text after the closing quote of cell ${JSON.stringify(text.slice(0, 20))}`,
          );
        }
        return { text, end };
      }
      text += '"';
      from = quote + 2;
    }
  }
}

function newlines(record: string): number {
  let count = 0;
  for (let at = record.indexOf("\n"); at >= 0; at = record.indexOf("\n", at + 1)) count++;
  return count;
}

function mostFrequent(text: string, candidates: readonly string[]): string {
  let best = candidates[0] ?? ",";
  for (const candidate of candidates) if (text.split(candidate).length > text.split(best).length) best = candidate;
  return best;
}
