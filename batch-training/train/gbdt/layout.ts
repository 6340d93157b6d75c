import { TrainingError } from "../training-set.ts";
import { BLOCK_BYTES, BLOCK_FEATURES, GATHER_BYTES, SORT_COUNTS_BYTES } from "./kernel.ts";

/**
 * The plan of the one shared memory of a run: byte offset of every array. All threads compute it from the same numbers,
 * so offsets never travel. Whole-memory need is known before the first row is read, and refused when it cannot fit.
 */
export interface LayoutInput {
  readonly trainRows: number;
  readonly validationRows: number;
  readonly features: number;
  readonly leaves: number;
  readonly histogramMegabytes: number;
  readonly threads: number;
  /** Raw scores per row: 1, or the number of classes. */
  readonly outputs: number;
  readonly weighted: boolean;
  /** Ranking: groups of training and validation rows; 0 otherwise. */
  readonly trainGroups: number;
  readonly validationGroups: number;
}

export interface Layout extends LayoutInput {
  /** Training and validation rows. */
  readonly rowsTotal: number;
  readonly blocks: number;
  /** Int32: the team's words and the arguments of a phase. */
  readonly control: number;
  /** 64 bytes of search parameters (see kernel.as.ts), 64 bytes of Float64 arguments, two 64-byte node records. */
  readonly search: number;
  /** One 64-byte record per feature and child: best split (see kernel.as.ts), then the left bins of a categorical one, 256 bits. */
  readonly results: number;
  /** 256-byte table bin -> left (1) or right (0) of the split in hand. */
  readonly splitTable: number;
  /** Left counts of partition chunks, Int32. */
  readonly chunkCounts: number;
  /** Int32 per feature: value bins; whether the tree may use it; -1, 0 or 1. */
  readonly bins: number;
  readonly featureMask: number;
  readonly monotone: number;
  /** Int32 per feature: 1 where its bins are categories. */
  readonly categorical: number;
  /** 256 float32 per feature: upper edges of bins 1.., padded with +infinity; or the categories of bins 1... */
  readonly edges: number;
  /** The finished tree, as `addTree` reads it. */
  readonly treeNodes: number;
  readonly treeValues: number;
  readonly treeTables: number;
  /** Runs of rows of one leaf, 16 bytes: i32 begin, i32 count, f64 value. */
  readonly spans: number;
  /** Float64 partial sums, two per chunk of rows. */
  readonly partialSums: number;
  /** First rows of the groups, training then validation, then the number of rows. */
  readonly groupStarts: number;
  readonly labels: number;
  /** 0 where all weights are one. */
  readonly weights: number;
  /** Float64, `outputs` runs of `rowsTotal`. */
  readonly scores: number;
  /** Pairs of int32, `outputs` runs of `trainRows`. */
  readonly grads: number;
  readonly gradStride: number;
  readonly rows: number;
  readonly spareRows: number;
  /** While binning, raw float32 columns lie over scores .. spareRows. */
  readonly stage: number;
  readonly stageColumns: number;
  readonly stageStride: number;
  /** Column-major bins; column f at columns + f * columnStride. */
  readonly columns: number;
  readonly columnStride: number;
  /** Row-major bins of the training rows: one record of `recordWidth` bytes per row, eight bytes per block. */
  readonly records: number;
  readonly recordWidth: number;
  readonly histograms: number;
  readonly histogramSlots: number;
  readonly slotBytes: number;
  /** Per thread: sample and scratch of the sort, over the histograms. */
  readonly sampleRows: number;
  readonly sortBytes: number;
  /** Histograms of all features for the parts of a row-parallel build but the first, `partSlots` of them. */
  readonly parts: number;
  readonly partSlots: number;
  /** One per thread: where `histogram` gathers rows and a categorical search spreads cells. */
  readonly gather: number;
  readonly totalBytes: number;
}

export const RESULT_BYTES = 64;
export const CONTROL_INTS = 256;
export const SEARCH_BYTES = 256;
/** Rows per chunk of the row-parallel phases: 64 KiB of scores, small enough to balance, large enough to amortise. */
export const CHUNK_ROWS = 8192;
/** Rows of a leaf that one task adds its value to. */
export const SPAN_ROWS = 32_768;
/** Values that bin edges are found from, per column. As LightGBM's `bin_construct_sample_cnt`. */
const EDGE_SAMPLE_ROWS = 200_000;
/** Memory for histograms of row-parallel parts. */
const MAX_PART_BYTES = 64 * 1_048_576;
const PAGE_BYTES = 65_536;
/** What a 32-bit shared memory can address. */
const MAX_BYTES = 65_536 * PAGE_BYTES - PAGE_BYTES;

export function planLayout(input: LayoutInput): Layout {
  const { trainRows, features, leaves, outputs } = input;
  const rowsTotal = trainRows + input.validationRows;
  const blocks = Math.ceil(features / BLOCK_FEATURES);
  const slotBytes = blocks * BLOCK_BYTES;
  const sampleRows = Math.min(trainRows, EDGE_SAMPLE_ROWS);
  const sortBytes = align(sampleRows * 8 + SORT_COUNTS_BYTES);
  const slotsWanted = Math.max(2, Math.min(leaves + 1, Math.floor((input.histogramMegabytes * 1_048_576) / slotBytes)));
  // One part per thread, unless histograms are so wide that there are blocks enough for all threads anyway.
  const partSlots = input.threads === 1 || slotBytes * input.threads > MAX_PART_BYTES ? 0 : input.threads - 1;
  const columnStride = align(rowsTotal);
  const stageStride = align(rowsTotal * 4);
  const recordWidth = blocks * BLOCK_FEATURES;
  const chunks = Math.ceil(rowsTotal / CHUNK_ROWS) + 1;

  // The last 64 bytes of every array are slack: paired loads may read one row past the end.
  let next = 1024;
  const take = (bytes: number): number => {
    const offset = next;
    next += align(bytes) + 64;
    return offset;
  };
  const control = take(CONTROL_INTS * 4);
  const search = take(SEARCH_BYTES);
  const results = take(2 * features * RESULT_BYTES);
  const splitTable = take(256);
  const chunkCounts = take(chunks * 4);
  const bins = take(features * 4);
  const featureMask = take(features * 4);
  const monotone = take(features * 4);
  const categorical = take(features * 4);
  const edges = take(features * 1024);
  const treeNodes = take(leaves * 16);
  const treeValues = take(leaves * 8);
  const treeTables = take(leaves * 256);
  const spans = take((leaves + Math.ceil(trainRows / SPAN_ROWS)) * 16);
  const partialSums = take(chunks * 16);
  const groupStarts = take((input.trainGroups + input.validationGroups + 1) * 4);
  const labels = take(rowsTotal * 4);
  const weights = input.weighted ? take(rowsTotal * 4) : 0;
  const scores = take(outputs * rowsTotal * 8);
  const gradStride = align(trainRows * 8) + 64;
  const grads = take(outputs * gradStride);
  const rows = take(trainRows * 4);
  const spareRows = take(trainRows * 4 + 64);
  const stage = scores;
  // A stage holds at least one column per thread, so that binning is as parallel as the rest.
  const stageColumns = Math.max(Math.floor((next - stage) / stageStride), Math.min(features, input.threads));
  next = Math.max(next, stage + stageColumns * stageStride);
  const columns = take(features * columnStride);
  const records = take(trainRows * recordWidth);
  const histograms = take(Math.max(slotsWanted * slotBytes, input.threads * sortBytes));
  const parts = take(partSlots * slotBytes);
  const gather = take(input.threads * GATHER_BYTES);
  const totalBytes = Math.ceil(next / PAGE_BYTES) * PAGE_BYTES;
  if (totalBytes > MAX_BYTES) {
    throw new TrainingError(
      "too_large",
      `${rowsTotal} rows with ${features} features need ${Math.ceil(totalBytes / 1_048_576)} MiB; one run has 4095 MiB. ` +
        "Train on fewer rows or columns.",
    );
  }
  return {
    ...input,
    rowsTotal,
    blocks,
    control,
    search,
    results,
    splitTable,
    chunkCounts,
    bins,
    featureMask,
    monotone,
    categorical,
    edges,
    treeNodes,
    treeValues,
    treeTables,
    spans,
    partialSums,
    groupStarts,
    labels,
    weights,
    scores,
    grads,
    gradStride,
    rows,
    spareRows,
    stage,
    stageColumns,
    stageStride,
    columns,
    columnStride,
    records,
    recordWidth,
    histograms,
    histogramSlots: slotsWanted,
    slotBytes,
    sampleRows,
    sortBytes,
    parts,
    partSlots,
    gather,
    totalBytes,
  };
}

function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
