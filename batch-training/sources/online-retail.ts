import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { EventData, InboundEvent } from "../../models/contract/events.ts";
import { MAX_ORDER_LINES } from "../../models/contract/events/orders.ts";
import { findColumns, InteractionError, parseTime } from "./interaction-format.ts";
import { readTable } from "./read-table.ts";
import { TableError } from "./table.ts";

/**
 * Real purchases as events: the columns of UCI Online Retail (InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID),
 * CSV or CSV.gz. Every row is accepted or refused with a reason. All times move by whole weeks, so that the past ends within the last week and
 * weekdays and hours stay what they were.
 */
export interface RetailPlan {
  readonly file: string;
  readonly sha256: string;
  readonly offsetMs: number;
  readonly rows: number;
  readonly accepted: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly customers: number;
  readonly products: number;
  readonly orders: number;
  /** Ascending by time; the same events at each call. */
  events(): Generator<InboundEvent>;
  /** The latest customer with a past, to be recommended something. */
  readonly visitor: string;
}

/** A folder or file that holds no purchases; the message says what to do. */
export class RetailFileError extends Error {
  override readonly name = "RetailFileError";
}

const WEEK_MS = 7 * 86_400_000;
const DAY_MS = 86_400_000;
/** Rows of a file: invoices are held in memory until they are told. */
const MAX_ROWS = 5_000_000;
const MAX_QUANTITY = 10_000;
const CURRENCY = "GBP";
const PRICE_MAX = 10_000_000;
/** A product first sold later than this after the beginning counts as published then; earlier ones were there before. */
const NEW_AFTER_MS = 30 * DAY_MS;
/** Orders from which a customer has a past worth showing. */
const PAST_ORDERS = 3;

interface Line {
  readonly productId: string;
  readonly quantity: number;
  readonly cents: number;
}
interface Invoice {
  readonly orderId: string;
  readonly customerId: string;
  readonly at: number;
  readonly lines: Line[];
}
interface Article {
  title: string;
  readonly cents: number;
  readonly firstAt: number;
}

/** @param path a folder with one CSV file, or the file. @param now epoch milliseconds before which the past has to end. @throws RetailFileError */
export async function planRetailImport(path: string, now: number): Promise<RetailPlan> {
  const file = await findFile(path);
  const reader = new LedgerReader();
  try {
    const table = await readTable(file, "csv");
    const at = columnsOf(table.columns, file);
    for await (const batch of table.batches)
      for (const { cells } of batch) reader.add((column) => text(cells[at[column]]));
  } catch (error) {
    if (error instanceof TableError) throw new RetailFileError(error.message);
    if (error instanceof InteractionError) throw new RetailFileError(`${file}: ${error.message}`);
    throw error;
  }
  if (reader.invoices.size === 0) {
    const reasons = Object.entries(reader.refused).map(([reason, count]) => `${count} ${reason}`);
    throw new RetailFileError(`${file}: none of its ${reader.rows} rows is a purchase: ${reasons.join(", ")}`);
  }
  return planOf(file, await hashOf(file), { reader, now });
}

async function findFile(path: string): Promise<string> {
  const kind = await stat(path).catch(() => null);
  if (kind === null) throw new RetailFileError(`${path}: there is no such folder`);
  if (kind.isFile()) return path;
  const files = (await readdir(path)).filter((name) => /\.csv(\.gz)?$/i.test(name)).toSorted();
  const [only, another] = files;
  if (only === undefined) throw new RetailFileError(`${path} holds no .csv or .csv.gz file`);
  if (another !== undefined) throw new RetailFileError(`${path} holds ${files.join(", ")}: name the one to import`);
  return join(path, only);
}

const COLUMNS = ["invoice", "product", "description", "quantity", "time", "price", "customer"] as const;
type Column = (typeof COLUMNS)[number];

function columnsOf(header: readonly string[], file: string): Record<Column, number> {
  const names = header.map((name) => name.trim().toLowerCase());
  const { user, item, time, value } = findColumns(header);
  const at = {
    invoice: names.indexOf("invoiceno"),
    product: item,
    description: names.indexOf("description"),
    quantity: value,
    time,
    price: names.indexOf("unitprice"),
    customer: user,
  };
  const missing = COLUMNS.filter((column) => column !== "description" && at[column] < 0);
  if (missing.length > 0) {
    throw new RetailFileError(`${file} has no column for ${missing.join(", ")}: it needs those of UCI Online Retail`);
  }
  return at;
}

const text = (cell: unknown): string =>
  typeof cell === "string" || typeof cell === "number" ? String(cell).trim() : "";

class LedgerReader {
  rows = 0;
  accepted = 0;
  readonly refused: Record<string, number> = {};
  readonly invoices = new Map<string, Invoice>();
  readonly articles = new Map<string, Article>();

  add(cell: (column: Column) => string): void {
    if (++this.rows > MAX_ROWS) throw new RetailFileError(`more than ${MAX_ROWS} rows: split the file`);
    const reason = this.#take(cell);
    if (reason === null) this.accepted++;
    else this.refused[reason] = (this.refused[reason] ?? 0) + 1;
  }

  #take(cell: (column: Column) => string): string | null {
    const invoice = cell("invoice");
    const customer = cell("customer").replace(/\.0$/, "");
    const product = cell("product").toUpperCase();
    const [quantity, price, at] = [Number(cell("quantity")), Number(cell("price")), parseTime(cell("time")) * 1_000];
    if (customer === "") return "no customer";
    if (/^c/i.test(invoice)) return "cancellation";
    if (!/^\d{5}[A-Z0-9]*$/.test(product)) return "not a product";
    if (!Number.isFinite(at)) return "unreadable time";
    if (!/^[A-Za-z0-9]{1,40}$/.test(invoice) || !/^[A-Za-z0-9]{1,40}$/.test(customer)) return "unreadable id";
    if (!(quantity > 0 && Number.isInteger(quantity))) return "quantity not above 0";
    if (quantity > MAX_QUANTITY) return `quantity above ${MAX_QUANTITY}`;
    const cents = Math.round(price * 100);
    if (!(cents > 0 && cents <= PRICE_MAX)) return "price not above 0";
    const known = this.invoices.get(invoice) ?? {
      orderId: `inv-${invoice}`,
      customerId: `cus-${customer}`,
      at,
      lines: [],
    };
    if (known.customerId !== `cus-${customer}`) return "invoice of two customers";
    this.invoices.set(invoice, known);
    known.lines.push({ productId: `prd-${product}`, quantity, cents });
    const article = this.articles.get(`prd-${product}`);
    const title = cell("description").slice(0, 300);
    if (article === undefined || known.at < article.firstAt) {
      this.articles.set(`prd-${product}`, { title: title || (article?.title ?? ""), cents, firstAt: known.at });
    } else article.title ||= title;
    return null;
  }
}

function planOf(
  file: string,
  sha256: string,
  { reader, now }: { readonly reader: LedgerReader; readonly now: number },
): RetailPlan {
  const invoices = [...reader.invoices.values()].sort((a, b) => a.at - b.at || (a.orderId < b.orderId ? -1 : 1));
  const [first, last] = [invoices[0]?.at ?? 0, invoices.at(-1)?.at ?? 0];
  const offsetMs = Math.floor((now - last) / WEEK_MS) * WEEK_MS;
  const source = `/online-retail/${sha256.slice(0, 8)}`;
  const orders = new Map<string, number>();
  for (const { customerId } of invoices) orders.set(customerId, (orders.get(customerId) ?? 0) + 1);
  const regular = invoices.findLast(({ customerId }) => (orders.get(customerId) ?? 0) >= PAST_ORDERS);
  const articles = [...reader.articles].sort(
    ([a, left], [b, right]) => left.firstAt - right.firstAt || (a < b ? -1 : 1),
  );
  return {
    file,
    sha256,
    offsetMs,
    rows: reader.rows,
    accepted: reader.accepted,
    refused: reader.refused,
    customers: orders.size,
    products: articles.length,
    orders: invoices.length,
    visitor: (regular ?? invoices.at(-1))?.customerId ?? "",
    *events() {
      let next = 0;
      const event = <T extends InboundEvent["type"]>(id: string, type: T, at: number, data: EventData<T>) => {
        const time = new Date(at + offsetMs).toISOString();
        // What was sold was known at once: the ledger has no later time of recording.
        return { specversion: "1.0", id, source, type, time, recordedtime: time, data } as InboundEvent;
      };
      for (const invoice of invoices) {
        for (let entry = articles[next]; entry && entry[1].firstAt <= invoice.at; entry = articles[++next]) {
          const [productId, article] = entry;
          yield event(
            productId,
            "catalog.product.updated.v1",
            article.firstAt,
            announced(productId, article, { first, offsetMs }),
          );
        }
        for (const [part, order] of ordersOf(invoice, offsetMs).entries()) {
          yield event(`${invoice.orderId}-${part + 1}`, "order.placed.v1", invoice.at, order);
        }
      }
    },
  };
}

function announced(
  productId: string,
  { title, cents, firstAt }: Article,
  { first, offsetMs }: { readonly first: number; readonly offsetMs: number },
): EventData<"catalog.product.updated.v1"> {
  return {
    productId,
    title: title === "" ? productId : title,
    categories: [],
    price: { amount: cents, currency: CURRENCY },
    status: "active",
    ...(firstAt - first > NEW_AFTER_MS ? { publishedAt: new Date(firstAt + offsetMs).toISOString() } : {}),
  };
}

/** An invoice of more lines than an order may have becomes several orders. */
function ordersOf(invoice: Invoice, offsetMs: number): EventData<"order.placed.v1">[] {
  const orders: EventData<"order.placed.v1">[] = [];
  for (let from = 0; from < invoice.lines.length; from += MAX_ORDER_LINES) {
    const lines = invoice.lines.slice(from, from + MAX_ORDER_LINES);
    orders.push({
      orderId: from === 0 ? invoice.orderId : `${invoice.orderId}-${from / MAX_ORDER_LINES + 1}`,
      customerId: invoice.customerId,
      channel: "web",
      placedAt: new Date(invoice.at + offsetMs).toISOString(),
      total: { amount: lines.reduce((sum, { quantity, cents }) => sum + quantity * cents, 0), currency: CURRENCY },
      lines: lines.map(({ productId, quantity, cents }) => ({
        productId,
        quantity,
        unitPrice: { amount: cents, currency: CURRENCY },
      })),
      payment: { method: "invoice" },
    });
  }
  return orders;
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
