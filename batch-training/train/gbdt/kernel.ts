import { readFileSync } from "node:fs";

/**
 * The typed face of `kernel.wasm`; what each function does stands in `kernel.as.ts`. Offsets and counts are bytes and
 * rows; i64 values are BigInt.
 */
export interface Kernel {
  readonly sortFloats: (values: number, scratch: number, counts: number, n: number) => void;
  readonly binColumn: (values: number, n: number, edges: number, out: number) => void;
  readonly packBlock: (
    columns: number,
    stride: number,
    features: number,
    begin: number,
    end: number,
    records: number,
    width: number,
  ) => void;
  readonly histogram: (
    records: number,
    width: number,
    blocks: number,
    rows: number,
    begin: number,
    count: number,
    grads: number,
    hist: number,
    scratch: number,
    countBit: number,
  ) => void;
  readonly addBlock: (into: number, from: number) => void;
  readonly subtractBlock: (into: number, from: number) => void;
  readonly readCells: (hist: number, bins: number, params: number, out: number) => void;
  readonly sumCells: (hist: number, mask: number, out: number) => void;
  readonly sumFeature: (hist: number, out: number) => void;
  readonly findSplit: (
    hist: number,
    bins: number,
    totalG: bigint,
    totalHc: bigint,
    parentScore: number,
    params: number,
    monotone: number,
    bounded: number,
    low: number,
    high: number,
    out: number,
  ) => void;
  readonly partitionInPlace: (column: number, table: number, rows: number, count: number, spare: number) => number;
  readonly partitionChunk: (column: number, table: number, rows: number, count: number, spare: number) => number;
  readonly placeChunk: (spare: number, count: number, leftCount: number, leftOut: number, rightOut: number) => void;
  readonly identityRows: (rows: number, begin: number, end: number) => void;
  readonly sampleRows: (rows: number, n: number, seed: number, threshold: number) => number;
  readonly gradientsLogistic: (
    scores: number,
    labels: number,
    weights: number,
    begin: number,
    end: number,
    gScale: number,
    hScale: number,
    grads: number,
  ) => void;
  readonly gradientsSquared: (
    scores: number,
    labels: number,
    weights: number,
    begin: number,
    end: number,
    gScale: number,
    hScale: number,
    grads: number,
  ) => void;
  readonly quantisePairs: (pairs: number, begin: number, end: number, gScale: number, hScale: number) => void;
  readonly addToRows: (scores: number, rows: number, count: number, value: number) => void;
  readonly addTree: (
    columns: number,
    nodes: number,
    values: number,
    rows: number,
    begin: number,
    end: number,
    scores: number,
  ) => void;
}

export const CELL_BYTES = 16;
export const FEATURE_CELLS = 256;
export const FEATURE_BYTES = FEATURE_CELLS * CELL_BYTES;
export const BLOCK_FEATURES = 8;
export const BLOCK_BYTES = BLOCK_FEATURES * FEATURE_BYTES;
/** Blocks that one call of `histogram` takes: a cache line of every record. */
export const GATHER_BLOCKS = 8;
/** Scratch of `histogram`: 512 rows of gradients and block words. */
export const GATHER_BYTES = 512 * 8 * (1 + GATHER_BLOCKS);
/** Counts of `sortFloats`: three passes of 2,048 buckets. */
export const SORT_COUNTS_BYTES = 3 * 2048 * 4;

/** Compiled once per thread that starts; the module itself can be shared by `postMessage`. */
export function compileKernel(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL("./kernel.wasm", import.meta.url)));
}

export function instantiateKernel(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernel {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernel;
}
