import { createReadStream, existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { createGunzip } from "node:zlib";
import type { StoredEvent } from "../../models/contract/events.ts";

/** Chargebacks of the set are reported this long after their transaction: the label delay of the book. */
export const HANDBOOK_DELAY_MS = 7 * 86_400_000;

/** Folder of the card data, or null where the data sets are not at hand. */
export function handbookFolder(): string | null {
  const root = resolve(import.meta.dirname, "../..");
  const places = [process.env["EDGEWISE_DATA"], join(root, "../shared/data"), join(root, "../../shared/data")];
  for (const place of places) {
    const folder = place === undefined ? null : join(place, "fraud-handbook-cards");
    if (folder !== null && existsSync(folder)) return folder;
  }
  return null;
}

async function* linesOf(file: string): AsyncGenerator<string[]> {
  let isHeader = true;
  for await (const line of createInterface({ input: createReadStream(file).pipe(createGunzip()) })) {
    if (!isHeader && line !== "") yield line.split(",");
    isHeader = false;
  }
}

/**
 * Transactions as events in order of visibility, each fraud charged back 7 days later. Times are those of the set. `keeps` may leave
 * out transactions by the numbers of customer and terminal.
 */
export async function* handbookEvents(
  folder: string,
  keeps: (customer: number, terminal: number) => boolean = () => true,
): AsyncGenerator<StoredEvent> {
  const waiting: StoredEvent[] = [];
  let next = 0;
  for await (const row of linesOf(join(folder, "transactions-2018-05-01_2018-08-07.csv.gz"))) {
    const [id = "", time = "", customer = "", terminal = "", amount = "", fraud = ""] = row;
    if (!keeps(Number(customer), Number(terminal))) continue;
    const placedAt = `${time.replace(" ", "T")}Z`;
    const at = Date.parse(placedAt);
    for (let due = waiting[next]; due !== undefined && due.ingestedAt <= at; due = waiting[++next]) yield due;
    const cents = Math.round(Number(amount) * 100);
    yield transaction({ id, placedAt, at, customer, terminal, cents });
    if (fraud === "1") waiting.push(chargeback({ id, placedAt, at, customer, terminal, cents }));
  }
  yield* waiting.slice(next);
}

export interface Transaction {
  readonly id: string;
  readonly placedAt: string;
  readonly at: number;
  readonly customer: string;
  readonly terminal: string;
  readonly cents: number;
}

export function transaction({ id, placedAt, at, customer, terminal, cents }: Transaction): StoredEvent {
  return {
    specversion: "1.0",
    id: `tx-${id}`,
    source: "/cards",
    time: placedAt,
    recordedtime: placedAt,
    tenant: "default",
    ingestedAt: at,
    type: "order.placed.v1",
    data: {
      orderId: id,
      customerId: `c${customer}`,
      terminalId: `t${terminal}`,
      channel: "store",
      placedAt,
      total: { amount: cents, currency: "EUR" },
      lines: [],
      payment: { method: "card", cardId: `k${customer}` },
    },
  };
}

export function chargeback({ id, placedAt, at, customer, terminal, cents }: Transaction): StoredEvent {
  const reportedAt = at + HANDBOOK_DELAY_MS;
  return {
    specversion: "1.0",
    id: `cb-${id}`,
    source: "/cards",
    time: new Date(reportedAt).toISOString(),
    recordedtime: new Date(reportedAt).toISOString(),
    tenant: "default",
    ingestedAt: reportedAt,
    type: "payment.chargeback.v1",
    data: {
      orderId: id,
      customerId: `c${customer}`,
      terminalId: `t${terminal}`,
      cardId: `k${customer}`,
      orderPlacedAt: placedAt,
      amount: { amount: cents, currency: "EUR" },
      reason: "fraud",
    },
  };
}

/** Our feature for each of the book's, in the order of the reference file's columns. */
export const HANDBOOK_FEATURES = [
  "is_weekend",
  "is_night",
  ...[1, 7, 30].flatMap((days) => [`customer_orders_${days}d`, `customer_mean_amount_${days}d`]),
  ...[1, 7, 30].flatMap((days) => [`terminal_orders_delayed_${days}d`, `terminal_chargeback_share_${days}d`]),
] as const;

/** The book's values by transaction id, for 2018-07-25 to 2018-07-31; rounded to six decimals by their authors. */
export async function handbookReference(folder: string): Promise<Map<string, number[]>> {
  const reference = new Map<string, number[]>();
  for await (const [id = "", ...values] of linesOf(join(folder, "reference-features-2018-07-25_2018-07-31.csv.gz")))
    reference.set(id, values.map(Number));
  return reference;
}
