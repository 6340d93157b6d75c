import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { SeededRandom } from "../../support/seeded-random.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Span of the log: windows reach 37 days back, so that the newest rows look at less than half of it. */
export const LOG_DAYS = 90;
const FILE_EVENTS = 100_000;

export interface OrderLogOptions {
  readonly folder: string;
  readonly events: number;
  /** End of the log, epoch milliseconds. */
  readonly until: number;
  readonly compress?: boolean;
}

/**
 * Writes a log as a shop leaves it, in order of ingestion: of a hundred events 70 orders, 24 payments of one of the last thousand orders, 3 pages
 * viewed, 2 chargebacks, 1 delivered twice. Customers (a tenth as many as events) are drawn with a quadratic bias, so that the first in a thousand
 * has 3 % of the orders, and order mostly from a device and with a card of their own. Lines are templates: an object for each would double the
 * time that a log of ten million takes. Returns the files.
 */
export function writeOrderLog({ folder, events, until, compress = false }: OrderLogOptions): string[] {
  mkdirSync(folder, { recursive: true });
  const log = new OrderLines(Math.max(1, Math.floor(events / 10)));
  const files: string[] = [];
  for (let from = 0; from < events; from += FILE_EVENTS) {
    const to = Math.min(events, from + FILE_EVENTS);
    const lines: string[] = [];
    for (let at = from; at < to; at++) lines.push(log.next(Math.floor(until - LOG_DAYS * DAY_MS * (1 - at / events))));
    const path = join(folder, `events-${String(files.length).padStart(4, "0")}.ndjson${compress ? ".gz" : ""}`);
    const bytes = Buffer.from(lines.join(""));
    const file = openSync(path, "w");
    writeSync(file, compress ? gzipSync(bytes) : bytes);
    closeSync(file);
    files.push(path);
  }
  return files;
}

interface KnownOrder {
  readonly number: number;
  readonly customer: number;
  readonly content: string;
  readonly placedAt: string;
}

class OrderLines {
  readonly #random = new SeededRandom(17);
  readonly #customers: number;
  readonly #recent: KnownOrder[] = [];
  #orders = 0;
  #events = 0;
  #last = "";

  constructor(customers: number) {
    this.#customers = customers;
  }

  next(at: number): string {
    const kind = this.#random.below(100);
    const known = kind < 70 ? undefined : this.#recent[this.#random.below(1_000)];
    if (known === undefined) return this.#order(at);
    if (kind < 94)
      return this.#line("order.paid.v1", at, at, `{"order":${known.content},"paymentId":"p${known.number}"}`);
    if (kind < 97) {
      const page = `{"sessionId":"s${known.customer}","customerId":"c${known.customer}","url":"/products/${known.number}"}`;
      return this.#line("behavior.page_view.v1", at, at, page);
    }
    return kind < 99 ? this.#chargeback(known, at) : this.#last;
  }

  #order(at: number): string {
    const share = this.#random.next();
    const customer = Math.floor(share * share * this.#customers);
    const own = this.#random.below(10) < 8;
    const device = own ? customer : this.#random.below(this.#customers);
    const number = this.#orders++;
    // Seen up to an hour late.
    const placedAt = new Date(at - this.#random.below(HOUR_MS)).toISOString();
    const terminal = this.#random.below(10) === 0 ? `"terminalId":"t${this.#random.below(this.#customers)}",` : "";
    const content =
      `{"orderId":"o${number}","customerId":"c${customer}","deviceId":"d${device}",${terminal}"channel":"web","placedAt":"${placedAt}",` +
      `"total":{"amount":${100 + this.#random.below(50_000)},"currency":"EUR"},"lines":[],"payment":{"method":"card","cardId":"k${customer}"}}`;
    this.#recent[number % 1_000] = { number, customer, content, placedAt };
    this.#last = this.#line("order.placed.v1", at, Date.parse(placedAt), content);
    return this.#last;
  }

  #chargeback({ number, customer, placedAt }: KnownOrder, at: number): string {
    const data =
      `{"orderId":"o${number}","customerId":"c${customer}","deviceId":"d${customer}","cardId":"k${customer}",` +
      `"orderPlacedAt":"${placedAt}","amount":{"amount":100,"currency":"EUR"},"reason":"fraud"}`;
    return this.#line("payment.chargeback.v1", at, at, data);
  }

  #line(type: string, ingestedAt: number, time: number, data: string): string {
    const when = new Date(time).toISOString();
    return `{"specversion":"1.0","id":"e${this.#events++}","source":"/bench","time":"${when}","tenant":"bench","ingestedAt":${ingestedAt},"type":"${type}","data":${data}}\n`;
  }
}
