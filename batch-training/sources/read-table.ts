import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { CsvSplitter } from "./csv-splitter.ts";
import { NdjsonSplitter } from "./ndjson-splitter.ts";
import { BATCH_ROWS, type Table, TableError, type TableFormat, type TableRow } from "./table.ts";

/**
 * Opens a CSV, NDJSON or Parquet file for streaming. The format follows from the name (`.csv .tsv .txt`, `.ndjson
 * .jsonl`, `.parquet`; `.gz` after it) or from `format`; gzip is recognised by its first bytes, whatever the name.
 * @throws TableError; also from the iteration, with the line at fault
 */
export async function readTable(file: string, format: TableFormat | null = null): Promise<Table> {
  const known = format ?? formatOf(file);
  const head = await firstBytes(file);
  if (known === "parquet") return (await import("./read-parquet.ts")).readParquet(file);
  const splitter = known === "csv" ? new CsvSplitter(file) : new NdjsonSplitter(file);
  const gzip = head[0] === 0x1f && head[1] === 0x8b;
  const batches = splitText(file, gzip, splitter);
  // The columns are known once the first batch is there.
  const first = await batches.next();
  return {
    file,
    format: known,
    columns: splitter.columns ?? [],
    batches: resume(first.done ? [] : first.value, batches),
  };
}

function formatOf(file: string): TableFormat {
  const name = file.toLowerCase().replace(/\.gz$/, "");
  if (/\.(csv|tsv|txt)$/.test(name)) return "csv";
  if (/\.(ndjson|jsonl)$/.test(name)) return "ndjson";
  if (name.endsWith(".parquet")) return "parquet";
  throw new TableError(
    file,
    {},
    "unknown format: the name ends in .csv, .tsv, .ndjson, .jsonl or .parquet, then maybe .gz",
  );
}

async function firstBytes(file: string): Promise<Uint8Array> {
  try {
    await using handle = await open(file, "r");
    const { buffer, bytesRead } = await handle.read({ buffer: new Uint8Array(4) });
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    throw new TableError(file, {}, `cannot be read: ${reasonOf(error)}`);
  }
}

interface Splitter {
  readonly columns: readonly string[] | null;
  push(text: string): TableRow[];
  end(): TableRow[];
}

/**
 * Bytes inflated from one file at most: 64 GiB, far above any training file, so that a gzip bomb ends as an error. Memory
 * stays at one chunk and one batch whatever the size.
 */
const MAX_TEXT_BYTES = 64 * 2 ** 30;

async function* splitText(file: string, gzip: boolean, splitter: Splitter): AsyncGenerator<TableRow[], void> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let bytes = 0;
  let rows: TableRow[] = [];
  try {
    for await (const chunk of byteStream(file, gzip)) {
      bytes += chunk.byteLength;
      if (bytes > MAX_TEXT_BYTES) throw new TableError(file, {}, `more than ${MAX_TEXT_BYTES} bytes of text`);
      rows = rows.concat(splitter.push(decodeUtf8(file, decoder, chunk, bytes)));
      if (rows.length < BATCH_ROWS) continue;
      yield rows;
      rows = [];
    }
  } catch (error) {
    if (error instanceof TableError) throw error;
    throw new TableError(file, {}, reasonOf(error));
  }
  rows = rows.concat(splitter.push(decodeUtf8(file, decoder, new Uint8Array(0), bytes, true)), splitter.end());
  yield rows;
}

function byteStream(file: string, gzip: boolean): AsyncIterable<Uint8Array> {
  const source = createReadStream(file, { highWaterMark: 1 << 18 });
  if (!gzip) return source as AsyncIterable<Uint8Array>;
  const inflated = createGunzip({ chunkSize: 1 << 18 });
  source.on("error", (error) => inflated.destroy(error));
  return Readable.from(source.pipe(inflated)) as AsyncIterable<Uint8Array>;
}

function decodeUtf8(
  file: string,
  decoder: InstanceType<typeof TextDecoder>,
  chunk: Uint8Array,
  upTo: number,
  last = false,
): string {
  try {
    return decoder.decode(chunk, { stream: !last });
  } catch {
    throw new TableError(file, {}, `not UTF-8 text, before byte ${upTo}; convert it first`);
  }
}

async function* resume(first: TableRow[], rest: AsyncGenerator<TableRow[], void>): AsyncGenerator<TableRow[], void> {
  if (first.length > 0) yield first;
  yield* rest;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
  Z_BUF_ERROR: "the gzip stream ends too early: the file was cut off",
  Z_DATA_ERROR: "the gzip stream is damaged",
};

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return REASONS[code] ?? (error instanceof Error ? error.message : String(error));
}
