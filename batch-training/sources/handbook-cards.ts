import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { type EventData, type InboundEvent, MAX_EVENT_AGE_MS } from "../../models/contract/events.ts";
import { EventQueue } from "../simulator/event-queue.ts";
import { SeededRandom } from "../simulator/seeded-random.ts";
import {
  CardFileError,
  CardHeaderError,
  type CardRefusal,
  type CardRow,
  readCardRows,
  type RefusedRow,
} from "./cards/read-card-rows.ts";
import { TransactionIds } from "./cards/transaction-ids.ts";

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;

/** Source of every imported event. */
export const CARDS_SOURCE = "/import/handbook-cards";

/** The set names no currency; its authors' country has this one. */
const CURRENCY = "EUR";

/** A fraud is reported one to seven days after it: within the label delay of the Handbook's protocol. */
const REPORTED_FROM_MS = DAY_MS;

/** Refused rows that are listed; all of them are counted. */
const MAX_LISTED = 100;

export interface CardImportOptions {
  /** A file, or a folder whose files ending in `.csv` or `.csv.gz` are read in the order of their names. */
  readonly path: string;
  /**
   * Epoch milliseconds, or what gives them for the data's SHA-256: who imports the same data again must give what was given the first time,
   * because a later value gives the same events weeks later.
   */
  readonly now: number | ((sha256: string) => number | Promise<number>);
  /** Only the last so many calendar days (UTC), the day of the last transaction included. */
  readonly days?: number | null;
  /** Decides when each fraud is reported. */
  readonly seed?: string;
  readonly onRefused?: (row: RefusedRow) => void;
}

/** What was found in the files. Every row is accepted or refused. */
export interface CardsRead {
  readonly rows: number;
  readonly accepted: number;
  readonly refused: number;
  readonly refusedBy: Readonly<Partial<Record<CardRefusal, number>>>;
  /** Accepted, though earlier than the row before it: sent in the file's order. */
  readonly outOfOrder: number;
}

/** What became of the accepted rows: complete when `events()` has been read to its end. */
export interface CardsMade {
  /** Left out because of `days`. */
  readonly leftOut: number;
  readonly transactions: number;
  readonly frauds: number;
  readonly chargebacks: number;
  /** Frauds whose report lies after `now`: not known yet, so not sent. */
  readonly unreported: number;
}

export interface CardImport {
  readonly files: readonly string[];
  /** Files of the folder that hold something else, and why they were not read. */
  readonly otherFiles: readonly { readonly file: string; readonly reason: string }[];
  /** SHA-256 over the stored bytes of the files, in their order. */
  readonly sha256: string;
  /** Milliseconds added to every time: whole weeks, so that hours and weekdays mean what they meant. */
  readonly offsetMs: number;
  /** No transaction before and none after, epoch milliseconds after the shift. */
  readonly from: number;
  readonly to: number;
  readonly read: CardsRead;
  /** The first refused rows, at most 100. */
  readonly refusedRows: readonly RefusedRow[];
  readonly made: CardsMade;
  /** Everything that happened up to `now`, in time order; each call reads the files again. */
  events(): AsyncGenerator<InboundEvent>;
}

/**
 * Plans the import of card transactions with labels, in the columns of the Fraud Detection Handbook's simulated data
 * (https://github.com/Fraud-Detection-Handbook). Reads every row once, to check it and to find the last time; `events()` then
 * streams them. Memory: a bit per transaction, and the frauds of a week.
 * @throws {CardFileError} naming file, line and remedy
 * @throws {RangeError} when `days` is not a whole number from 1
 */
export async function planCardImport(options: CardImportOptions): Promise<CardImport> {
  const days = options.days ?? null;
  if (days !== null && !(Number.isSafeInteger(days) && days >= 1))
    throw new RangeError(`The limit on days must be a whole number, at least 1, not ${days}.`);
  const survey = await surveyFiles(options);
  const now = typeof options.now === "number" ? options.now : await options.now(survey.sha256);
  const offsetMs = Math.floor((now - survey.last) / WEEK_MS) * WEEK_MS;
  const lastDay = Math.floor(survey.last / DAY_MS);
  const since = days === null ? survey.first : Math.max(survey.first, (lastDay - days + 1) * DAY_MS);
  const oldest = now - MAX_EVENT_AGE_MS;
  if (since + offsetMs < oldest + DAY_MS)
    throw new CardFileError(
      `${options.path} spans ${Math.ceil((survey.last - since) / DAY_MS)} days; events older than ${MAX_EVENT_AGE_MS / DAY_MS} days ` +
        "are not kept. Import the newest ones only, with --days 365.",
    );
  const made = { leftOut: 0, transactions: 0, frauds: 0, chargebacks: 0, unreported: 0 };
  const plan = { files: survey.files, offsetMs, since, now, seed: options.seed ?? "cards" };
  const { files, otherFiles, sha256, read, refusedRows } = survey;
  return {
    files,
    otherFiles,
    sha256,
    offsetMs,
    from: since + offsetMs,
    to: survey.last + offsetMs,
    read,
    refusedRows,
    made,
    events: () => cardEvents(plan, made),
  };
}

interface Survey extends Pick<CardImport, "files" | "otherFiles" | "sha256" | "read" | "refusedRows"> {
  readonly first: number;
  readonly last: number;
}

async function surveyFiles(options: CardImportOptions): Promise<Survey> {
  const { candidates, isFolder } = await filesOf(options.path);
  const ids = new TransactionIds();
  const files: string[] = [];
  const otherFiles: { file: string; reason: string }[] = [];
  const refusedRows: RefusedRow[] = [];
  const refusedBy: Partial<Record<CardRefusal, number>> = {};
  const read = { accepted: 0, refused: 0, outOfOrder: 0 };
  const digest = createHash("sha256");
  let [first, last, before] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const onRefused = (row: RefusedRow): void => {
    read.refused += 1;
    refusedBy[row.reason] = (refusedBy[row.reason] ?? 0) + 1;
    if (refusedRows.length < MAX_LISTED) refusedRows.push(row);
    options.onRefused?.(row);
  };
  for (const file of candidates) {
    const hash = createHash("sha256");
    try {
      for await (const row of readCardRows(file, { ids, onRefused, hash })) {
        read.accepted += 1;
        if (row.at < before) read.outOfOrder += 1;
        before = row.at;
        first = Math.min(first, row.at);
        last = Math.max(last, row.at);
      }
    } catch (error) {
      if (!(isFolder && error instanceof CardHeaderError)) throw error;
      otherFiles.push({ file, reason: error.message });
      continue;
    }
    files.push(file);
    digest.update(hash.digest());
  }
  if (read.accepted === 0)
    throw new CardFileError(
      files.length === 0
        ? `${options.path}: none of its ${candidates.length} CSV files holds card transactions. ${otherFiles[0]?.reason ?? ""}`
        : `${options.path}: no row was accepted, ${read.refused} were refused.`,
    );
  const counts = { rows: read.accepted + read.refused, ...read, refusedBy };
  return { files, otherFiles, sha256: digest.digest("hex"), read: counts, refusedRows, first, last };
}

async function filesOf(path: string): Promise<{ candidates: readonly string[]; isFolder: boolean }> {
  const found = await stat(path).catch(() => null);
  if (found === null) throw new CardFileError(`${path}: there is no such file or folder.`);
  if (!found.isDirectory()) return { candidates: [path], isFolder: false };
  const names = (await readdir(path)).filter((name) => /\.csv(\.gz)?$/i.test(name)).toSorted();
  if (names.length === 0) throw new CardFileError(`${path}: the folder has no file that ends in .csv or .csv.gz.`);
  return { candidates: names.map((name) => join(path, name)), isFolder: true };
}

interface Plan {
  readonly files: readonly string[];
  readonly offsetMs: number;
  readonly since: number;
  readonly now: number;
  readonly seed: string;
}

interface Report {
  readonly at: number;
  readonly row: CardRow;
}

async function* cardEvents(
  plan: Plan,
  made: { -readonly [K in keyof CardsMade]: number },
): AsyncGenerator<InboundEvent> {
  Object.assign(made, { leftOut: 0, transactions: 0, frauds: 0, chargebacks: 0, unreported: 0 });
  const ids = new TransactionIds();
  const reports = new EventQueue<Report>();
  function* reportsBefore(time: number): Generator<InboundEvent> {
    for (let next = reports.takeBefore(time); next !== undefined; next = reports.takeBefore(time)) {
      made.chargebacks += 1;
      yield chargeback(next, plan.offsetMs);
    }
  }
  for (const file of plan.files) {
    for await (const row of readCardRows(file, { ids, onRefused: () => {} })) {
      if (row.at < plan.since) {
        made.leftOut += 1;
        continue;
      }
      yield* reportsBefore(row.at);
      made.transactions += 1;
      yield payment(row, plan.offsetMs);
      if (!row.fraud) continue;
      made.frauds += 1;
      const at = row.at + reportDelay(plan.seed, row.id);
      if (at + plan.offsetMs > plan.now) made.unreported += 1;
      else reports.add({ at, row });
    }
  }
  yield* reportsBefore(Number.POSITIVE_INFINITY);
}

/** Milliseconds from a fraud to its report, whole seconds, less than a week; drawn for each transaction on its own. */
function reportDelay(seed: string, id: number): number {
  const random = new SeededRandom(`${seed}/${id}`);
  return Math.floor(random.between(REPORTED_FROM_MS, WEEK_MS) / 1_000) * 1_000;
}

function payment(row: CardRow, offsetMs: number): InboundEvent {
  const time = timestamp(row.at + offsetMs);
  const order: EventData<"order.paid.v1">["order"] = {
    orderId: `hb-tx-${row.id}`,
    customerId: `hb-cus-${row.customer}`,
    terminalId: `hb-trm-${row.terminal}`,
    channel: "store",
    placedAt: time,
    total: { amount: row.cents, currency: CURRENCY },
    lines: [],
    payment: { method: "card", cardId: `hb-card-${row.customer}` },
  };
  return {
    specversion: "1.0",
    id: `tx-${row.id}`,
    source: CARDS_SOURCE,
    type: "order.paid.v1",
    time,
    recordedtime: time,
    data: { order, paidAt: time },
  };
}

function chargeback({ at, row }: Report, offsetMs: number): InboundEvent {
  const time = timestamp(at + offsetMs);
  return {
    specversion: "1.0",
    id: `cb-${row.id}`,
    source: CARDS_SOURCE,
    type: "payment.chargeback.v1",
    time,
    recordedtime: time,
    data: {
      orderId: `hb-tx-${row.id}`,
      customerId: `hb-cus-${row.customer}`,
      cardId: `hb-card-${row.customer}`,
      terminalId: `hb-trm-${row.terminal}`,
      orderPlacedAt: timestamp(row.at + offsetMs),
      amount: { amount: row.cents, currency: CURRENCY },
      reason: "fraud",
    },
  };
}

function timestamp(at: number): string {
  return new Date(at).toISOString();
}

/** One line for people: what the files held. */
export function describeCardImport(plan: CardImport): string {
  const { read } = plan;
  const refused = Object.entries(read.refusedBy).map(([reason, count]) => `${count} ${reason}`);
  return (
    `${plan.files.map((file) => basename(file)).join(", ")}: ${read.rows} rows, ${read.accepted} accepted, ${read.refused} refused` +
    (refused.length === 0 ? "" : ` (${refused.join(", ")})`) +
    `; all times shifted by ${plan.offsetMs / WEEK_MS} weeks`
  );
}
