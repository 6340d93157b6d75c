import { createReadStream } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, gunzipSync } from "node:zlib";
import { parse } from "csv-parse";
import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { findColumns, InteractionError, type InteractionFormat, parseTime, separatorOf } from "./interaction-format.ts";

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

/** Parquet and gzipped Parquet are read whole: 1 GiB is far above any log that fits the trainer's memory as rows. */
const MAX_WHOLE_FILE_BYTES = 1024 ** 3;
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
  const gzip = isGzip(await headBytes(path));
  if (format === "parquet") yield* parquetRows(path, gzip);
  else if (format === "ndjson") yield* ndjsonRows(lines(path, gzip));
  else if (format === "movielens") yield* movielensRows(lines(path, gzip));
  else if (format === "adjacency") yield* adjacencyRows(lines(path, gzip));
  else yield* delimitedRows(path, gzip, format === "online-retail");
}

async function* lines(path: string, gzip: boolean): AsyncGenerator<string> {
  const stream = openBytes(path, gzip);
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
    for (const item of items) yield { user, item, time: undefined, value: undefined };
  }
}

async function* ndjsonRows(source: AsyncIterable<string>): AsyncGenerator<RawInteraction> {
  let header = "";
  let columns: ReturnType<typeof findColumns> | null = null;
  let number = 0;
  for await (const line of source) {
    number++;
    const object = parseObject(line, number);
    const keys = Object.keys(object);
    const joined = keys.join("\n");
    if (columns === null || joined !== header) {
      columns = findColumns(keys);
      header = joined;
    }
    const cell = (index: number): unknown => (index < 0 ? undefined : object[keys[index] ?? ""]);
    yield fromCells(cell, columns);
  }
}

function parseObject(line: string, number: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Falls through to the one message for both cases.
  }
  throw new InteractionError(`line ${number} is not a JSON object; if the file is no NDJSON, name its --format`);
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

const asTime = (value: unknown): number => (value instanceof Date ? value.getTime() / 1000 : parseTime(asText(value)));

function asNumber(value: unknown): number {
  const text = asText(value);
  return text === "" ? Number.NaN : Number(text);
}

async function* delimitedRows(path: string, gzip: boolean, retail: boolean): AsyncGenerator<RawInteraction> {
  const delimiter = separatorOf(await firstLine(path));
  const parser = parse({
    delimiter,
    bom: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_LINE_CHARACTERS,
  });
  const parsing = pipeline(openBytes(path, gzip), parser);
  // Whichever error comes first also reaches the loop below, which throws it.
  parsing.catch(() => {});
  let columns: Columns | null = null;
  let price = -1;
  let invoice = -1;
  for await (const record of parser) {
    const cells = record as string[];
    if (columns === null) {
      columns = findColumns(cells);
      const names = cells.map((name) => name.trim().toLowerCase());
      price = names.indexOf("unitprice");
      invoice = names.indexOf("invoiceno");
      continue;
    }
    const row = fromCells((index) => cells[index] ?? "", columns);
    const refuse = retail ? retailRefusal(row, cells[invoice] ?? "", Number(cells[price] ?? "")) : null;
    yield refuse === null ? row : { ...row, refuse };
  }
  await parsing;
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

async function* parquetRows(path: string, gzip: boolean): AsyncGenerator<RawInteraction> {
  const raw = await readFile(path);
  const bytes = gzip ? gunzipSync(raw, { maxOutputLength: MAX_WHOLE_FILE_BYTES }) : raw;
  if (bytes.length > MAX_WHOLE_FILE_BYTES) throw new InteractionError("Parquet above 1 GiB: split the file");
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const objects = await parquetReadObjects({ file, compressors });
  const keys = Object.keys(objects[0] ?? {});
  if (objects.length === 0) return;
  const columns = findColumns(keys);
  for (const object of objects) yield fromCells((index) => object[keys[index] ?? ""], columns);
}
