import { binCategories, findCategories, findEdges, sampleColumn, storeEdges } from "./binning.ts";
import {
  BLOCK_BYTES,
  BLOCK_FEATURES,
  FEATURE_BYTES,
  GATHER_BLOCKS,
  GATHER_BYTES,
  instantiateKernel,
  type Kernel,
} from "./kernel.ts";
import { type Layout, RESULT_BYTES } from "./layout.ts";
import { mix } from "./mix.ts";
import { findCategorySplit } from "./find-category-split.ts";
import { computeGradients, computeLoss, findLargestResidual, quantiseGradients } from "./objective-tasks.ts";
import type { GbdtParameters } from "./parameters.ts";
import { addSpan, addTreeToRows, partitionChunk, placeChunk } from "./row-tasks.ts";
import { ARGUMENTS } from "./team.ts";

/**
 * What one thread does for one task of a phase. Every thread of the team has an executor over the same memory; the
 * coordinator writes the arguments of a phase (`setArguments`) before it opens it.
 */
export const COMMAND = {
  /** task = staged column. Argument: first feature. */
  bin: 1,
  /** task = block * parts + part. Arguments: parts. */
  pack: 2,
  /** task = part of the rows. Arguments: rows offset (0: all rows), count, slot, parts, output. */
  histogram: 3,
  /** task = group of blocks. Arguments as above, then slot of the sibling + 1 (0: none), groups. */
  find: 4,
  /** task = group of blocks: its histogram from all rows, then `find`. Arguments as above, one part. */
  build: 5,
  /** task = chunk. Arguments: rows offset, count, feature. */
  partition: 6,
  place: 7,
  /** task = span. Arguments: output. */
  addSpans: 8,
  /** task = chunk of rows. Arguments: rows offset (0: ranges), begin, end, output. */
  addTree: 9,
  /** task = chunk of training rows, or of groups. Arguments: tasks. */
  gradients: 10,
  /** task = chunk of validation rows, or of groups. Arguments: tasks. */
  loss: 11,
  /** task = chunk of training rows: largest |weight * (score - label)| to the partial sums. */
  largestResidual: 12,
  /** task = chunk of training rows: float pairs to fixed point, all outputs. */
  quantise: 13,
} as const;

export class Executor {
  readonly kernel: Kernel;
  readonly layout: Layout;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly floats: Float32Array;
  readonly doubles: Float64Array;
  readonly longs: BigInt64Array;
  private readonly control: number;
  private readonly thread: number;
  readonly parameters: GbdtParameters;

  constructor(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    layout: Layout,
    parameters: GbdtParameters,
    thread: number,
  ) {
    this.thread = thread;
    this.parameters = parameters;
    this.kernel = instantiateKernel(module, memory);
    this.layout = layout;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.floats = new Float32Array(memory.buffer);
    this.doubles = new Float64Array(memory.buffer);
    this.longs = new BigInt64Array(memory.buffer);
    this.control = layout.control / 4 + ARGUMENTS;
  }

  setArguments(...values: number[]): void {
    for (const [i, value] of values.entries()) this.words[this.control + i] = value;
  }

  argument(index: number): number {
    return this.words[this.control + index] ?? 0;
  }

  readonly execute = (command: number, task: number): void => {
    switch (command) {
      case COMMAND.bin:
        return this.binStaged(task);
      case COMMAND.pack:
        return this.pack(task);
      case COMMAND.histogram:
        return this.histogram(task, 0, this.layout.blocks);
      case COMMAND.find:
        return this.find(task);
      case COMMAND.build:
        this.histogram(0, ...this.group(task));
        return this.find(task);
      case COMMAND.partition:
        return partitionChunk(this, task);
      case COMMAND.place:
        return placeChunk(this, task);
      case COMMAND.addSpans:
        return addSpan(this, task);
      case COMMAND.addTree:
        return addTreeToRows(this, task);
      case COMMAND.gradients:
        return computeGradients(this, task);
      case COMMAND.quantise:
        return quantiseGradients(this, task);
      case COMMAND.loss:
        return computeLoss(this, task);
      case COMMAND.largestResidual:
        return findLargestResidual(this, task);
      default:
        throw new RangeError(`unknown command ${command}`);
    }
  };

  private binStaged(task: number): void {
    const { layout, words } = this;
    const feature = this.argument(0) + task;
    const staged = layout.stage + task * layout.stageStride;
    const column = this.floats.subarray(staged / 4, staged / 4 + layout.rowsTotal);
    const edges = this.floats.subarray((layout.edges + feature * 1024) / 4, (layout.edges + feature * 1024) / 4 + 256);
    if (words[layout.categorical / 4 + feature] === 1) {
      const categories = findCategories(column.subarray(0, layout.trainRows), this.parameters.maxBins);
      storeEdges(categories, edges);
      words[layout.bins / 4 + feature] = categories.length;
      const bins = layout.columns + feature * layout.columnStride;
      binCategories(column, categories, this.bytes.subarray(bins, bins + layout.rowsTotal));
    } else words[layout.bins / 4 + feature] = this.binNumbers(feature, staged, column, edges);
  }

  private binNumbers(feature: number, staged: number, column: Float32Array, into: Float32Array): number {
    const { layout, kernel } = this;
    const scratch = layout.histograms + this.thread * layout.sortBytes;
    const sample = this.floats.subarray(scratch / 4, scratch / 4 + layout.sampleRows);
    const kept = sampleColumn(column, layout.trainRows, layout.sampleRows, sample);
    const sortScratch = scratch + layout.sampleRows * 4;
    kernel.sortFloats(scratch, sortScratch, sortScratch + layout.sampleRows * 4, kept);
    const edges = findEdges(sample.subarray(0, kept), this.parameters.maxBins);
    storeEdges(edges, into);
    const bins = layout.columns + feature * layout.columnStride;
    kernel.binColumn(staged, layout.rowsTotal, layout.edges + feature * 1024, bins);
    return edges.length + 1;
  }

  private pack(task: number): void {
    const { layout } = this;
    const parts = this.argument(0);
    const block = Math.floor(task / parts);
    const part = task % parts;
    this.kernel.packBlock(
      layout.columns + block * BLOCK_FEATURES * layout.columnStride,
      layout.columnStride,
      Math.min(BLOCK_FEATURES, layout.features - block * BLOCK_FEATURES),
      Math.floor((layout.trainRows * part) / parts),
      Math.floor((layout.trainRows * (part + 1)) / parts),
      layout.records + block * BLOCK_FEATURES,
      layout.recordWidth,
    );
  }

  /** First block of a group and the one after its last. */
  private group(task: number): [number, number] {
    const { blocks } = this.layout;
    const groups = this.argument(6);
    return [Math.floor((blocks * task) / groups), Math.floor((blocks * (task + 1)) / groups)];
  }

  /** Part 0 goes straight to the node's histogram, the others to their own, which `find` adds up. */
  private histogram(part: number, firstBlock: number, endBlock: number): void {
    const { layout, kernel } = this;
    const rows = this.argument(0);
    const count = this.argument(1);
    const parts = this.argument(3);
    const begin = Math.floor((count * part) / parts);
    const end = Math.floor((count * (part + 1)) / parts);
    for (let block = firstBlock; block < endBlock; block += GATHER_BLOCKS) {
      kernel.histogram(
        layout.records + block * BLOCK_FEATURES,
        layout.recordWidth,
        Math.min(GATHER_BLOCKS, endBlock - block),
        rows === 0 ? 0 : rows + begin * 4,
        begin,
        end - begin,
        layout.grads + this.argument(4) * layout.gradStride,
        this.partHistogram(this.argument(2), part) + block * BLOCK_BYTES,
        layout.gather + this.thread * GATHER_BYTES,
        this.words[layout.search / 4 + 12] ?? 0,
      );
    }
  }

  partHistogram(slot: number, part: number): number {
    const { layout } = this;
    return part === 0 ? layout.histograms + slot * layout.slotBytes : layout.parts + (part - 1) * layout.slotBytes;
  }

  private find(task: number): void {
    const parts = this.argument(3);
    const sibling = this.argument(5);
    const [first, end] = this.group(task);
    for (let block = first; block < end; block++) {
      const hist = this.partHistogram(this.argument(2), 0) + block * BLOCK_BYTES;
      for (let part = 1; part < parts; part++) {
        this.kernel.addBlock(hist, this.partHistogram(0, part) + block * BLOCK_BYTES);
      }
      this.searchBlock(block, hist, 0);
      if (sibling === 0) continue;
      const other = this.partHistogram(sibling - 1, 0) + block * BLOCK_BYTES;
      this.kernel.subtractBlock(other, hist);
      this.searchBlock(block, other, 1);
    }
  }

  private searchBlock(block: number, hist: number, child: number): void {
    const { layout, words } = this;
    const record = layout.search + 128 + child * 64;
    if (words[record / 4 + 11] !== 1) return;
    const { nodeFeatureFraction } = this.parameters;
    const last = Math.min((block + 1) * BLOCK_FEATURES, layout.features);
    for (let f = block * BLOCK_FEATURES; f < last; f++) {
      const out = layout.results + (child * layout.features + f) * RESULT_BYTES;
      const cells = hist + (f % BLOCK_FEATURES) * FEATURE_BYTES;
      const drawn =
        nodeFeatureFraction === 1 || mix((words[record / 4 + 12] ?? 0) ^ mix(f)) < nodeFeatureFraction * 2 ** 32;
      if (words[layout.featureMask / 4 + f] !== 1 || !drawn) this.doubles[out / 8] = Number.NEGATIVE_INFINITY;
      else if (words[layout.categorical / 4 + f] === 1) this.searchCategories(f, cells, record, out);
      else this.searchThresholds(f, cells, record, out);
    }
  }

  private searchThresholds(feature: number, cells: number, record: number, out: number): void {
    const { layout, words, longs, doubles } = this;
    this.kernel.findSplit(
      cells,
      words[layout.bins / 4 + feature] ?? 0,
      longs[record / 8] ?? 0n,
      longs[record / 8 + 1] ?? 0n,
      doubles[record / 8 + 2] ?? 0,
      layout.search,
      (words[layout.monotone / 4 + feature] ?? 0) | 0,
      words[record / 4 + 10] ?? 0,
      doubles[record / 8 + 3] ?? 0,
      doubles[record / 8 + 4] ?? 0,
      out,
    );
  }

  private searchCategories(feature: number, cells: number, record: number, out: number): void {
    const { layout, kernel, doubles } = this;
    const bins = this.words[layout.bins / 4 + feature] ?? 0;
    const spread = layout.gather + this.thread * GATHER_BYTES;
    kernel.readCells(cells, bins, layout.search, spread);
    const triples = doubles.subarray(spread / 8, spread / 8 + 3 * (bins + 1));
    const left = this.bytes.subarray(out + 32, out + 64);
    const bounds = { low: doubles[record / 8 + 3] ?? 0, high: doubles[record / 8 + 4] ?? 0 };
    const gain = findCategorySplit(triples, this.parameters, bounds, left);
    doubles[out / 8] =
      gain - (doubles[record / 8 + 2] ?? 0) > this.parameters.minGain
        ? gain - (doubles[record / 8 + 2] ?? 0)
        : Number.NEGATIVE_INFINITY;
    this.words[out / 4 + 2] = 0;
    this.words[out / 4 + 3] = (left[0] ?? 0) & 1;
    kernel.sumCells(cells, out + 32, out + 16);
  }
}
