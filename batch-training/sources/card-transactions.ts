import type { StoredEvent } from "../../models/contract/events.ts";
import { readTable } from "./read-table.ts";
import { type Cell, TableError } from "./table.ts";

/**
 * Labelled card transactions in the columns of the Fraud Detection Handbook's simulated data, as rows and as the events
 * that the shared feature definitions read. For evaluation: times are those of the file, and a fraud becomes known
 * exactly the label delay after it, as the Handbook's protocol has it.
 */
export interface CardTransactions {
  readonly ids: readonly string[];
  readonly customers: Uint32Array;
  readonly terminals: Uint32Array;
  readonly cents: Float64Array;
  /** Epoch milliseconds, the file's times read as UTC; ascending. */
  readonly times: Float64Array;
  readonly frauds: Uint8Array;
}

const COLUMNS = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"] as const;

/** Transactions held at once: a hundred bytes each. */
const MAX_TRANSACTIONS = 20_000_000;

/** @throws TableError with the line of the first wrong row */
export async function readCardTransactions(file: string): Promise<CardTransactions> {
  const table = await readTable(file);
  const places = COLUMNS.map((name) => table.columns.indexOf(name));
  const missing = COLUMNS.filter((_, i) => (places[i] ?? -1) < 0);
  if (missing.length > 0) {
    throw new TableError(
      file,
      { line: 1 },
      `there is no column ${missing.join(", ")}; needed are ${COLUMNS.join(", ")}`,
    );
  }
  const rows: { id: string; time: number; customer: number; terminal: number; cents: number; fraud: number }[] = [];
  for await (const batch of table.batches) {
    for (const { line, cells } of batch) {
      const at = (i: number): Cell => cells[places[i] ?? 0] ?? null;
      const place = (i: number) => ({ line, column: COLUMNS[i] ?? "" });
      rows.push({
        id: String(at(0)),
        time: timeOf(file, place(1), at(1)),
        customer: wholeOf(file, place(2), at(2)),
        terminal: wholeOf(file, place(3), at(3)),
        cents: Math.round(numberOf(file, place(4), at(4)) * 100),
        fraud: flagOf(file, place(5), at(5)),
      });
      if (rows.length > MAX_TRANSACTIONS) throw new TableError(file, { line }, `more than ${MAX_TRANSACTIONS} rows`);
    }
  }
  // The log is in order of time; files are nearly so.
  rows.sort((a, b) => a.time - b.time);
  return {
    ids: rows.map((row) => row.id),
    customers: Uint32Array.from(rows, (row) => row.customer),
    terminals: Uint32Array.from(rows, (row) => row.terminal),
    cents: Float64Array.from(rows, (row) => row.cents),
    times: Float64Array.from(rows, (row) => row.time),
    frauds: Uint8Array.from(rows, (row) => row.fraud),
  };
}

type Place = { readonly line: number; readonly column: string };

function timeOf(file: string, place: Place, cell: Cell): number {
  const text = String(cell);
  const match = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(?:\.\d+)?Z?$/.exec(text);
  const time = match ? Date.parse(`${match[1]}T${match[2]}Z`) : Number.NaN;
  if (Number.isNaN(time))
    throw new TableError(file, place, `${JSON.stringify(cell)} is no time like 2018-05-01 00:01:21`);
  return time;
}

function numberOf(file: string, place: Place, cell: Cell): number {
  const value =
    typeof cell === "number" ? cell : typeof cell === "string" && cell.trim() !== "" ? Number(cell) : Number.NaN;
  if (!Number.isFinite(value) || value < 0)
    throw new TableError(file, place, `${JSON.stringify(cell)} is no amount, zero or more`);
  return value;
}

function wholeOf(file: string, place: Place, cell: Cell): number {
  const value = cell === null || cell === "" ? Number.NaN : Number(cell);
  if (Number.isInteger(value) && value >= 0 && value <= 0xffffffff) return value;
  throw new TableError(file, place, `${JSON.stringify(cell)} is no whole number`);
}

function flagOf(file: string, place: Place, cell: Cell): 0 | 1 {
  const text = String(cell);
  if (text === "0" || text === "1") return text === "1" ? 1 : 0;
  throw new TableError(file, place, `${JSON.stringify(cell)} is neither 0 nor 1`);
}

/** Transactions [from, to) in time as events in order of visibility, each fraud charged back `delayMs` later. */
export function* cardEvents(
  cards: CardTransactions,
  from: number,
  to: number,
  delayMs: number,
): Generator<StoredEvent> {
  const waiting: number[] = [];
  let next = 0;
  for (let row = 0; row < cards.ids.length; row++) {
    const time = cards.times[row] ?? 0;
    if (time < from) continue;
    if (time >= to) break;
    for (; next < waiting.length && (cards.times[waiting[next] ?? 0] ?? 0) + delayMs <= time; next++) {
      yield chargeback(cards, waiting[next] ?? 0, delayMs);
    }
    yield payment(cards, row);
    if (cards.frauds[row] === 1) waiting.push(row);
  }
  for (; next < waiting.length; next++) yield chargeback(cards, waiting[next] ?? 0, delayMs);
}

const SOURCE = "/evaluate/cards";

function common(at: number, id: string) {
  const time = new Date(at).toISOString();
  return {
    specversion: "1.0" as const,
    source: SOURCE,
    id,
    time,
    recordedtime: time,
    tenant: "default",
    ingestedAt: at,
  };
}

function payment(cards: CardTransactions, row: number): StoredEvent {
  const at = cards.times[row] ?? 0;
  const id = cards.ids[row] ?? "";
  return {
    ...common(at, `tx-${id}`),
    type: "order.placed.v1",
    data: {
      orderId: id,
      customerId: `c${cards.customers[row]}`,
      terminalId: `t${cards.terminals[row]}`,
      channel: "store",
      placedAt: new Date(at).toISOString(),
      total: { amount: cards.cents[row] ?? 0, currency: "EUR" },
      lines: [],
      payment: { method: "card" },
    },
  };
}

function chargeback(cards: CardTransactions, row: number, delayMs: number): StoredEvent {
  const at = cards.times[row] ?? 0;
  const id = cards.ids[row] ?? "";
  return {
    ...common(at + delayMs, `cb-${id}`),
    type: "payment.chargeback.v1",
    data: {
      orderId: id,
      customerId: `c${cards.customers[row]}`,
      terminalId: `t${cards.terminals[row]}`,
      orderPlacedAt: new Date(at).toISOString(),
      amount: { amount: cards.cents[row] ?? 0, currency: "EUR" },
      reason: "fraud",
    },
  };
}
