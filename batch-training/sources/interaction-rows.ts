import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createInterface } from "node:readline";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { findColumns, type InteractionFormat, parseTime } from "./interaction-format.ts";
import { readTable } from "./read-table.ts";

/** One row as it stands in the file, before it is judged. */
export interface RawInteraction {
  readonly user: string;
  readonly item: string;
  /** Seconds; NaN when unreadable, `undefined` where the source has no such column. */
  readonly time: number | undefined;
  readonly value: number | undefined;
  /** Why a format that knows better refuses the row (a refund, a fee). */
  readonly refuse?: string;
}

/** A line longer than this is no row of an interaction log (an adjacency line of 100,000 items is below 1 MiB). */
const MAX_LINE_CHARACTERS = 4 * 1024 ** 2;

async function headBytes(path: string): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

const isGzip = (head: Buffer): boolean => head[0] === 0x1f && head[1] === 0x8b;

/** Decoded bytes of a plain or gzip file. An error of either stage ends the returned stream with that error. */
function openBytes(path: string, gzip: boolean): Readable {
  const source = createReadStream(path);
  const out = new PassThrough();
  // The failure reaches the reader through `out`, which `pipeline` destroys with it.
  const done = gzip ? pipeline(source, createGunzip(), out) : pipeline(source, out);
  done.catch(() => {});
  return out;
}

/** The first line of a plain or gzip text file; "PAR1" for Parquet. */
export async function firstLine(path: string): Promise<string> {
  const head = await headBytes(path);
  if (head.toString("latin1") === "PAR1") return "PAR1";
  const stream = openBytes(path, isGzip(head));
  let text = "";
  for await (const chunk of stream) {
    text += (chunk as Buffer).toString("utf8");
    if (/[\r\n]/.test(text) || text.length > MAX_LINE_CHARACTERS) break;
  }
  stream.destroy();
  return text.split(/\r?\n/, 1)[0] ?? "";
}

export async function* readRows(path: string, format: InteractionFormat): AsyncGenerator<RawInteraction> {
  if (format === "movielens") yield* movielensRows(lines(path));
  else if (format === "adjacency") yield* adjacencyRows(lines(path));
  else yield* tableRows(path, format);
}

async function* lines(path: string): AsyncGenerator<string> {
  const stream = openBytes(path, isGzip(await headBytes(path)));
  // readline swallows errors of its input, so they are kept and thrown at the end.
  let failure: Error | null = null;
  stream.on("error", (error) => {
    failure = error;
    reader.close();
  });
  const reader = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of reader) if (line !== "") yield line.charCodeAt(0) === 0xfeff ? line.slice(1) : line;
  if (failure !== null) throw failure;
}

async function* movielensRows(source: AsyncIterable<string>): AsyncGenerator<RawInteraction> {
  for await (const line of source) {
    const [user = "", item = "", value = "", time = ""] = line.split(line.includes("::") ? "::" : "\t");
    yield { user, item, time: parseTime(time), value: Number(value === "" ? Number.NaN : value) };
  }
}

async function* adjacencyRows(source: AsyncIterable<string>): AsyncGenerator<RawInteraction> {
  for await (const line of source) {
    const [user = "", ...items] = line.trim().split(/ +/);
    // A user without items is refused and counted as such.
    for (const item of items.length === 0 ? [""] : items) yield { user, item, time: undefined, value: undefined };
  }
}

type Columns = ReturnType<typeof findColumns>;

function fromCells(cell: (index: number) => unknown, columns: Columns): RawInteraction {
  return {
    user: asText(cell(columns.user)),
    item: asText(cell(columns.item)),
    time: columns.time < 0 ? undefined : asTime(cell(columns.time)),
    value: columns.value < 0 ? undefined : asNumber(cell(columns.value)),
  };
}

function asText(value: unknown): string {
  if (typeof value === "string") return value.trim();
  return typeof value === "number" || typeof value === "bigint" ? String(value) : "";
}

const asTime = (value: unknown): number => parseTime(asText(value));

function asNumber(value: unknown): number {
  const text = asText(value);
  return text === "" ? Number.NaN : Number(text);
}

/** CSV, NDJSON and Parquet, by the readers every command shares. */
async function* tableRows(path: string, format: InteractionFormat): AsyncGenerator<RawInteraction> {
  const table = await readTable(path, format === "ndjson" || format === "parquet" ? format : "csv");
  const columns = findColumns(table.columns);
  const names = table.columns.map((name) => name.trim().toLowerCase());
  const price = names.indexOf("unitprice");
  const invoice = names.indexOf("invoiceno");
  for await (const batch of table.batches) {
    for (const { cells } of batch) {
      const row = fromCells((index) => cells[index] ?? "", columns);
      const refuse =
        format === "online-retail" ? retailRefusal(row, asText(cells[invoice]), asNumber(cells[price])) : null;
      yield refuse === null ? row : { ...row, refuse };
    }
  }
}

/**
 * Why a line of a shop's ledger is no purchase of a product. Product codes of UCI Online Retail begin with five digits; the others
 * are postage, fees, samples and corrections.
 */
function retailRefusal(row: RawInteraction, invoice: string, price: number): string | null {
  if (row.user === "") return "no customer";
  if (/^c/i.test(invoice)) return "cancellation";
  if (!/^\d{5}/.test(row.item)) return "not a product";
  if (!(row.value !== undefined && row.value > 0)) return "quantity not above 0";
  return price > 0 ? null : "price not above 0";
}
