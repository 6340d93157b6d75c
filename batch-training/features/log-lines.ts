import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import { createGunzip } from "node:zlib";

/** Part of a log file: plain files are read in parts side by side, compressed ones as a whole. */
export interface LogPart {
  readonly path: string;
  /** Bytes; a line belongs to the part that its first byte lies in. */
  readonly from: number;
  /** +∞: to the end. */
  readonly to: number;
}

/** Takes the line in bytes[start, end), without its end, and the offset of its first byte in the uncompressed file. */
export type TakeLine = (bytes: Buffer, start: number, end: number, offset: number) => void;

/** Bytes read at a time. */
const BLOCK_BYTES = 1024 * 1024;
/** Longest line: an event is at most 64 KiB of JSON when it is accepted. */
export const MAX_LINE_BYTES = 1024 * 1024;

/** Reads the lines of a part, blank ones included. Throws where the file is cut off, damaged or no text in lines. */
export async function readLines(part: LogPart, take: TakeLine): Promise<void> {
  if (part.path.endsWith(".gz")) await readCompressed(part.path, take);
  else readPlain(part, take);
}

function readPlain({ path, from, to }: LogPart, take: TakeLine): void {
  const file = openSync(path, "r");
  try {
    // The line that the byte before the part belongs to is the earlier part's.
    const start = Math.max(0, from - 1);
    const lines = new LineSplitter(path, { take, start, from, to });
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    for (let at = start; !lines.done;) {
      const count = readSync(file, block, 0, block.length, at);
      if (count === 0) break;
      lines.push(block.subarray(0, count));
      at += count;
    }
    lines.end();
  } finally {
    closeSync(file);
  }
}

async function readCompressed(path: string, take: TakeLine): Promise<void> {
  const lines = new LineSplitter(path, { take, start: 0, from: 0, to: Number.POSITIVE_INFINITY });
  const source = createReadStream(path, { highWaterMark: BLOCK_BYTES });
  const plain = source.pipe(createGunzip({ chunkSize: BLOCK_BYTES }));
  source.on("error", (error) => plain.destroy(error));
  const blocks: AsyncIterator<Buffer> = plain[Symbol.asyncIterator]();
  for (;;) {
    // Only reading is translated: what goes wrong with a line is the line's own error.
    const next = await blocks.next().catch((error: unknown) => {
      throw new Error(`${path} is cut off or damaged (${reasonOf(error)}); fetch it again`, { cause: error });
    });
    if (next.done === true) break;
    lines.push(next.value);
  }
  lines.end();
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface Split {
  readonly take: TakeLine;
  /** Offset of the first byte that is pushed. */
  readonly start: number;
  readonly from: number;
  readonly to: number;
}

/** Cuts blocks into lines; a line over the end of a block is kept until the next. */
class LineSplitter {
  /** The part's last line has been taken. */
  done = false;
  readonly #path: string;
  readonly #take: TakeLine;
  readonly #from: number;
  readonly #to: number;
  #rest = Buffer.alloc(0);
  /** Offset of the first byte of the rest, or of the next block. */
  #at: number;

  constructor(path: string, { take, start, from, to }: Split) {
    this.#path = path;
    this.#take = take;
    this.#from = from;
    this.#to = to;
    this.#at = start;
  }

  push(block: Buffer): void {
    const bytes = this.#rest.length === 0 ? block : Buffer.concat([this.#rest, block]);
    let start = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0 && !this.done; end = bytes.indexOf(0x0a, start)) {
      this.#line(bytes, start, end);
      start = end + 1;
    }
    this.#at += start;
    // A copy: the reader uses its block again.
    this.#rest = Buffer.from(bytes.subarray(start));
    if (this.#rest.length > MAX_LINE_BYTES)
      throw new Error(
        `${this.#path} has a line of more than ${MAX_LINE_BYTES} bytes at byte ${this.#at}; is it NDJSON?`,
      );
  }

  end(): void {
    if (this.#rest.length > 0 && !this.done) this.#line(this.#rest, 0, this.#rest.length);
  }

  #line(bytes: Buffer, start: number, end: number): void {
    const offset = this.#at + start;
    if (offset >= this.#to) this.done = true;
    else if (offset >= this.#from) this.#take(bytes, start, end, offset);
  }
}

/** Number of the line that starts at an offset, from 1. Reads the file once more: for messages only. */
export async function lineNumber(path: string, offset: number): Promise<number> {
  let lines = 0;
  await readLines({ path, from: 0, to: Number.POSITIVE_INFINITY }, (_bytes, _start, _end, at) => {
    if (at <= offset) lines++;
  });
  return lines;
}
