import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { ByteReader, ByteWriter } from "../../models/features/bytes.ts";

/** Bytes collected before they are written: large writes, and a bounded buffer per open file. */
const FLUSH_BYTES = 64 * 1024;
/** Bytes read at a time. */
const READ_BYTES = 256 * 1024;
/** Longest record: an order's facts are a few hundred bytes. */
const MAX_RECORD_BYTES = 1024 * 1024;

/** Appends records, each behind its length. */
export class FramedWriter {
  readonly #file: number;
  readonly #out = new ByteWriter(FLUSH_BYTES * 2);
  readonly #record = new ByteWriter(1024);

  constructor(path: string) {
    this.#file = openSync(path, "w");
  }

  add(write: (out: ByteWriter) => void): void {
    write(this.#record);
    const bytes = this.#record.take();
    this.#out.uint32(bytes.length);
    this.#out.raw(bytes);
    if (this.#out.size >= FLUSH_BYTES) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#file);
  }

  #flush(): void {
    writeSync(this.#file, this.#out.take());
  }
}

/** Records of a file one after the other, holding one block of it in memory. Throws where the file is cut off. */
export function* readFramed<T>(path: string, read: (reader: ByteReader) => T): Generator<T> {
  const file = openSync(path, "r");
  try {
    let buffer = new Uint8Array(0);
    for (;;) {
      const block = new Uint8Array(buffer.length + READ_BYTES);
      block.set(buffer);
      const count = readSync(file, block, buffer.length, READ_BYTES, null);
      const bytes = block.subarray(0, buffer.length + count);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      let at = 0;
      while (at + 4 <= bytes.length) {
        const length = view.getUint32(at, true);
        if (length > MAX_RECORD_BYTES) throw new Error(`${path} is damaged: a record of ${length} bytes`);
        if (at + 4 + length > bytes.length) break;
        yield read(new ByteReader(bytes.subarray(at + 4, at + 4 + length)));
        at += 4 + length;
      }
      buffer = bytes.slice(at);
      if (count === 0) break;
    }
    if (buffer.length > 0) throw new Error(`${path} is cut off in the middle of a record`);
  } finally {
    closeSync(file);
  }
}
