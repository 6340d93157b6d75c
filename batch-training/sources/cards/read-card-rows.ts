import type { Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { parse } from "csv-parse";
import { MAX_MINOR_UNITS } from "../../../models/contract/primitives.ts";
import type { TransactionIds } from "./transaction-ids.ts";

/** Columns that a file of card transactions must have, in any order. Others are not read. */
export const CARD_COLUMNS = [
  "TRANSACTION_ID",
  "TX_DATETIME",
  "CUSTOMER_ID",
  "TERMINAL_ID",
  "TX_AMOUNT",
  "TX_FRAUD",
] as const;
type CardColumn = (typeof CARD_COLUMNS)[number];

/** One accepted transaction. */
export interface CardRow {
  readonly id: number;
  /** Epoch milliseconds, the file's local time read as UTC. */
  readonly at: number;
  readonly customer: string;
  readonly terminal: string;
  /** Minor units. */
  readonly cents: number;
  readonly fraud: boolean;
}

export const CARD_REFUSALS = {
  "wrong-number-of-fields": "the row has not as many fields as the header",
  "bad-id": "TRANSACTION_ID is not a whole number from 0 to 2^53 - 1",
  "duplicate-id": "TRANSACTION_ID occurred before",
  "bad-time": "TX_DATETIME is not a time like 2018-05-01 00:01:21",
  "bad-customer": "CUSTOMER_ID is not 1 to 64 letters, digits, dots, underscores or hyphens",
  "bad-terminal": "TERMINAL_ID is not 1 to 64 letters, digits, dots, underscores or hyphens",
  "bad-amount": "TX_AMOUNT is not an amount like 57.16, zero or more",
  "bad-label": "TX_FRAUD is not 0 or 1",
} as const;
export type CardRefusal = keyof typeof CARD_REFUSALS;

export interface RefusedRow {
  readonly file: string;
  /** Counted from 1, the header included. */
  readonly line: number;
  readonly reason: CardRefusal;
}

/** The file cannot be read on: the message names the file, the place, and what to do. */
export class CardFileError extends Error {
  override readonly name = "CardFileError";
}

/** The header does not have the columns of card transactions. */
export class CardHeaderError extends CardFileError {}

/** Longest line, in characters; a row of card transactions has about 40. Bounds what an unclosed quote can swallow. */
const MAX_LINE = 4_096;

export interface CardFileHooks {
  readonly ids: TransactionIds;
  readonly onRefused: (row: RefusedRow) => void;
  /** Receives the bytes of the file as stored. */
  readonly hash?: Hash;
}

/**
 * The rows of one file (CSV, gzipped when its name ends in `.gz`), in the file's order. Refused rows go to `onRefused`.
 * @throws {CardHeaderError} when the columns are not there
 * @throws {CardFileError} when the file is empty, cannot be read, is cut off, or stops being CSV
 */
export async function* readCardRows(path: string, hooks: CardFileHooks): AsyncGenerator<CardRow> {
  let line = 0;
  const parser = parse({
    bom: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_LINE,
    info: true,
  });
  const tap = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hooks.hash?.update(chunk);
      done(null, chunk);
    },
  });
  const stages = [createReadStream(path), tap, ...(path.endsWith(".gz") ? [createGunzip()] : []), parser];
  const flow = pipeline(stages as never);
  // The same error reaches the reader through the parser; this keeps it from being unhandled.
  flow.catch(() => {});
  try {
    let columns: Record<CardColumn, number> | null = null;
    let width = 0;
    for await (const entry of parser) {
      const { record, info } = entry as { record: string[]; info: { lines: number } };
      line = info.lines;
      if (columns === null) {
        columns = columnsOf(path, record);
        width = record.length;
        continue;
      }
      const row = record.length === width ? readRow(record, columns) : "wrong-number-of-fields";
      if (typeof row === "string") hooks.onRefused({ file: path, line, reason: row });
      else if (!hooks.ids.add(row.id)) hooks.onRefused({ file: path, line, reason: "duplicate-id" });
      else yield row;
    }
    if (columns === null) throw new CardFileError(`${path} is empty: expected a header and card transactions.`);
    await flow;
  } catch (error) {
    throw error instanceof CardFileError ? error : new CardFileError(explain(path, line, error), { cause: error });
  } finally {
    parser.destroy();
  }
}

function columnsOf(path: string, header: readonly string[]): Record<CardColumn, number> {
  const names = header.map((name) => name.trim());
  const missing = CARD_COLUMNS.filter((column) => !names.includes(column));
  if (missing.length > 0)
    throw new CardHeaderError(
      `${path} has no column ${missing.join(", ")}. Its header must name ${CARD_COLUMNS.join(", ")}.`,
    );
  return Object.fromEntries(CARD_COLUMNS.map((column) => [column, names.indexOf(column)])) as Record<
    CardColumn,
    number
  >;
}

const ENTITY = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

function readRow(record: readonly string[], columns: Record<CardColumn, number>): CardRow | CardRefusal {
  const field = (column: CardColumn): string => record[columns[column]]?.trim() ?? "";
  const idText = field("TRANSACTION_ID");
  const id = /^\d{1,16}$/.test(idText) ? Number(idText) : Number.NaN;
  if (!Number.isSafeInteger(id)) return "bad-id";
  const at = timeOf(field("TX_DATETIME"));
  if (at === null) return "bad-time";
  const customer = field("CUSTOMER_ID");
  if (!ENTITY.test(customer)) return "bad-customer";
  const terminal = field("TERMINAL_ID");
  if (!ENTITY.test(terminal)) return "bad-terminal";
  const amount = field("TX_AMOUNT");
  // Amounts that were computed come as 444.79999999999995: they are rounded to the cent.
  const cents = /^\d{1,12}(\.\d{1,24})?$/.test(amount) ? Math.round(Number(amount) * 100) : Number.NaN;
  if (!(cents <= MAX_MINOR_UNITS)) return "bad-amount";
  const label = field("TX_FRAUD");
  if (label !== "0" && label !== "1") return "bad-label";
  return { id, at, customer, terminal, cents, fraud: label === "1" };
}

const TIME = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)$/;

/** Epoch milliseconds, or null for a day or hour that does not exist. */
function timeOf(text: string): number | null {
  const match = TIME.exec(text);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const at = Date.UTC(year, month - 1, day, hour, minute, second);
  return new Date(at).toISOString().slice(0, 19) === `${text.slice(0, 10)}T${text.slice(11)}` ? at : null;
}

function explain(path: string, line: number, error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT") return `${path}: there is no such file.`;
  if (code === "EACCES") return `${path}: permission denied.`;
  if (code === "Z_BUF_ERROR")
    return `${path} is cut off: its gzip stream ends after line ${line}. Fetch it again; nothing after that line was imported.`;
  if (code.startsWith("Z_")) return `${path} is not a sound gzip file (${code}, after line ${line}).`;
  if (code.startsWith("CSV_")) return `${path}, after line ${line}: not CSV any more (${messageOf(error)}).`;
  return `${path}, after line ${line}: ${messageOf(error)}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
