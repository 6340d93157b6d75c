import { closeSync, openSync, readSync, writeSync } from "node:fs";

/**
 * Numbers on their way between the passes of a build: streams of records, divided into partitions, in one file per writer. Records
 * are collected in blocks per partition and stream; the index of the blocks stays in memory, sixteen bytes per kilobyte or less.
 */
export interface Spill {
  readonly path: string;
  /** Four numbers a block: partition, stream, offset in doubles, length in doubles. */
  readonly blocks: Float64Array;
}

/** Memory of all blocks of one writer, bytes. */
const BUFFER_BYTES = 32 * 1024 * 1024;
const MIN_BLOCK_DOUBLES = 256;
const MAX_BLOCK_DOUBLES = 4_096;

interface Block {
  readonly doubles: Float64Array;
  length: number;
}

export class SpillWriter {
  readonly #path: string;
  readonly #file: number;
  readonly #streams: number;
  readonly #capacity: number;
  readonly #open: (Block | undefined)[] = [];
  readonly #index: number[] = [];
  #written = 0;

  constructor(path: string, { partitions, streams }: { readonly partitions: number; readonly streams: number }) {
    this.#path = path;
    this.#file = openSync(path, "w");
    this.#streams = streams;
    const fair = Math.floor(BUFFER_BYTES / 8 / (partitions * streams));
    this.#capacity = Math.min(MAX_BLOCK_DOUBLES, Math.max(MIN_BLOCK_DOUBLES, fair));
  }

  /** Appends the first `length` numbers of a record. */
  add(partition: number, stream: number, record: Float64Array, length: number): void {
    const at = partition * this.#streams + stream;
    let block = this.#open[at];
    if (block === undefined || block.length + length > block.doubles.length) {
      if (block !== undefined) this.#flush(partition, stream, block);
      if (block === undefined || length > block.doubles.length) {
        block = { doubles: new Float64Array(Math.max(this.#capacity, length)), length: 0 };
        this.#open[at] = block;
      }
    }
    const { doubles } = block;
    let to = block.length;
    for (let i = 0; i < length; i++) doubles[to++] = record[i] as number;
    block.length = to;
  }

  close(): Spill {
    for (const [at, block] of this.#open.entries())
      if (block !== undefined) this.#flush(Math.floor(at / this.#streams), at % this.#streams, block);
    closeSync(this.#file);
    return { path: this.#path, blocks: Float64Array.from(this.#index) };
  }

  #flush(partition: number, stream: number, block: Block): void {
    if (block.length === 0) return;
    const bytes = new Uint8Array(block.doubles.buffer, 0, block.length * 8);
    for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at, bytes.length - at);
    this.#index.push(partition, stream, this.#written, block.length);
    this.#written += block.length;
    block.length = 0;
  }
}

/** All records of a stream of a partition, in the order of the spills and of their addition. */
export function readSpills(spills: readonly Spill[], partition: number, stream: number): Float64Array {
  const parts = spills.map(({ path, blocks }) => ({ path, blocks: blocksOf(blocks, partition, stream) }));
  let length = 0;
  for (const { blocks } of parts) for (const block of blocks) length += block.length;
  const doubles = new Float64Array(length);
  const bytes = new Uint8Array(doubles.buffer);
  let to = 0;
  for (const { path, blocks } of parts) {
    if (blocks.length === 0) continue;
    const file = openSync(path, "r");
    try {
      for (const block of blocks) {
        const end = to + block.length * 8;
        for (let from = block.offset * 8; to < end;) {
          const count = readSync(file, bytes, to, end - to, from);
          if (count === 0) throw new Error(`the temporary file ${path} is cut off; is the disk full?`);
          to += count;
          from += count;
        }
      }
    } finally {
      closeSync(file);
    }
  }
  return doubles;
}

function blocksOf(index: Float64Array, partition: number, stream: number): { offset: number; length: number }[] {
  const found: { offset: number; length: number }[] = [];
  for (let at = 0; at < index.length; at += 4)
    if (index[at] === partition && index[at + 1] === stream)
      found.push({ offset: index[at + 2] as number, length: index[at + 3] as number });
  return found;
}
