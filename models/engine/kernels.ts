/**
 * The functions of `kernels/kernels.wasm`. Addresses are bytes in the memory that the module was instantiated with; what
 * they do and how their arguments lie in memory is said beside their source.
 */

/** 0: none, 1: ReLU. */
export type Activation = 0 | 1;

export interface Kernels {
  prepareRow(x: number, features: number, copies: number, out: number): void;
  prepareEight(x: number, features: number, copies: number, out: number): void;
  walkRow(row: number, table: number, groups: number, leaves: number): number;
  walkEights(
    rows: number,
    blocks: number,
    blockBytes: number,
    table: number,
    groups: number,
    sums: number,
    leaves: number,
  ): void;
  /** Arguments in the order of the source: counts, addresses of columns, addresses of results. */
  packV3(...counts: readonly number[]): number;
  linkFeatures(nodes: number, count: number, features: number, previous: number, scratch: number): void;
  treeMean(nodes: number, count: number, covers: number, wide: number, scratch: number): number;
  pathTree(
    nodes: number,
    count: number,
    covers: number,
    wide: number,
    row: number,
    features: number,
    scratch: number,
    values: number,
  ): number;
  shapTree(
    nodes: number,
    count: number,
    covers: number,
    wide: number,
    previous: number,
    row: number,
    features: number,
    points: number,
    pairs: number,
    scratch: number,
    values: number,
  ): number;
  dense(
    x: number,
    packed: number,
    bias: number,
    out: number,
    height: number,
    width: number,
    depth: number,
    activation: Activation,
  ): void;
  denseSparse(
    x: number,
    packed: number,
    bias: number,
    out: number,
    height: number,
    width: number,
    depth: number,
    activation: Activation,
    lists: number,
    moves: number,
  ): void;
  topK(
    items: number,
    count: number,
    real: number,
    vectors: number,
    query: number,
    limit: number,
    scores: number,
    indices: number,
  ): number;
  dotAll(items: number, count: number, vectors: number, query: number, out: number): void;
  dotAllBytes(
    items: number,
    count: number,
    blocks: number,
    query: number,
    scales: number,
    unit: number,
    out: number,
  ): void;
  topKBytes(
    items: number,
    count: number,
    blocks: number,
    query: number,
    scales: number,
    limit: number,
    scores: number,
    indices: number,
  ): number;
}

export function loadKernels(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernels;
}
