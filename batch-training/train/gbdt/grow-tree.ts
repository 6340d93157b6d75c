import { COMMAND, type Executor } from "./executor.ts";
import { CHUNK_ROWS, RESULT_BYTES, SPAN_ROWS } from "./layout.ts";
import type { GbdtParameters } from "./parameters.ts";
import type { Team } from "./team.ts";
import {
  assembleTree,
  type Bounds,
  type GrownLeaf as Leaf,
  type GrownNode,
  type Split,
  writeTable,
} from "./assemble-tree.ts";
import { mix } from "./mix.ts";
import { HistogramSlots } from "./histogram-slots.ts";
import type { Tree } from "./tree.ts";

/**
 * Leaf-wise growth of one tree: always the leaf whose best split gains most, ties to the older leaf. Per split: rows are
 * partitioned, the smaller child's histogram is built from its rows, the sibling's is the parent's minus it (exact,
 * because the sums are integers), and both are searched.
 */

/**
 * Below so many rows times blocks (about 80 µs of additions) a phase is done by the coordinator alone: waking another
 * thread costs more than it saves, and on a busy machine waiting for one that lost its processor costs milliseconds.
 */
const ALONE_WORK = 16_384;
/** Partitions of fewer rows than this are not split into chunks. */
const CHUNKED_PARTITION_ROWS = 32_768;
/** From this many rows on, threads share the rows of a node: merging their histograms is then a small part of the work. */
const PARTED_ROWS = 16_384;

export interface FixedPoint {
  readonly gradientUnit: number;
  readonly hessianUnit: number;
  /** Bits below the row count in the packed hessian cell. */
  readonly countBit: number;
}

export class TreeGrower {
  private readonly executor: Executor;
  private readonly team: Team;
  private readonly parameters: GbdtParameters;
  private readonly slots: HistogramSlots;
  private readonly bounded: boolean;
  /** Tasks of the phases that share out blocks. */
  private readonly groups: number;
  private fixed: FixedPoint = { gradientUnit: 1, hessianUnit: 1, countBit: 0 };
  private output = 0;
  private seed = 0;
  private leaves: Leaf[] = [];
  private nodes: GrownNode[] = [];

  constructor(executor: Executor, team: Team, parameters: GbdtParameters) {
    this.executor = executor;
    this.team = team;
    this.parameters = parameters;
    this.bounded = Object.keys(parameters.monotone).length > 0;
    this.groups = Math.min(executor.layout.blocks, executor.layout.threads);
    this.slots = new HistogramSlots(executor.layout.histogramSlots);
  }

  /**
   * @param drawn rows to learn from: the first `drawn` of `layout.rows`; `all` when they are every row in order
   * @param seed of this tree's node-wise draws
   */
  grow(drawn: number, all: boolean, fixed: FixedPoint, output: number, seed: number): Tree {
    this.seed = seed;
    this.fixed = fixed;
    this.output = output;
    this.nodes = [];
    this.slots.clear();
    this.writeSearch();
    const root = this.makeRoot(drawn, all);
    this.leaves = [root];
    while (this.leaves.length < this.parameters.leaves) {
      const next = this.bestLeaf();
      if (next === null) break;
      this.splitLeaf(next);
    }
    return this.finish();
  }

  private writeSearch(): void {
    const { doubles, words, layout } = this.executor;
    const at = layout.search / 8;
    const { l1, l2, minHessianPerLeaf, minGain, minRowsPerLeaf } = this.parameters;
    doubles.set([this.fixed.gradientUnit, this.fixed.hessianUnit, l2, l1, minHessianPerLeaf, minGain], at);
    words[at * 2 + 12] = this.fixed.countBit;
    words[at * 2 + 13] = minRowsPerLeaf;
  }

  private makeRoot(drawn: number, all: boolean): Leaf {
    const { executor, team } = this;
    const { layout } = executor;
    const parts = this.parts(drawn);
    executor.setArguments(all ? 0 : layout.rows, drawn, 0, parts, this.output, 0, this.groups);
    team.run(COMMAND.histogram, parts);
    const { g, hc } = this.rootTotals(parts);
    const bound = Number.POSITIVE_INFINITY;
    const root: Leaf = {
      begin: 0,
      count: drawn,
      g,
      hc,
      depth: 0,
      low: -bound,
      high: bound,
      parent: -1,
      onLeft: true,
      slot: 0,
      split: null,
    };
    this.slots.hand(0, root);
    this.writeRecord(0, root);
    team.run(COMMAND.find, this.groups);
    root.split = this.mayGrow(root) ? this.bestSplit(0) : null;
    return root;
  }

  /** Any feature's cells add up to the node's totals; with several parts, over all of them. */
  private rootTotals(parts: number): { g: bigint; hc: bigint } {
    const { layout, longs, kernel } = this.executor;
    let g = 0n;
    let hc = 0n;
    for (let part = 0; part < parts; part++) {
      kernel.sumFeature(this.executor.partHistogram(0, part), layout.results);
      g += longs[layout.results / 8] ?? 0n;
      hc += longs[layout.results / 8 + 1] ?? 0n;
    }
    return { g, hc };
  }

  /** Threads share the rows of a large node, each with its own histograms, and the blocks of a small one. */
  private parts(count: number): number {
    return count < PARTED_ROWS ? 1 : this.executor.layout.partSlots + 1;
  }

  private writeRecord(child: number, leaf: Leaf): void {
    const { doubles, longs, words, layout } = this.executor;
    const at = (layout.search + 128 + child * 64) / 8;
    longs[at] = leaf.g;
    longs[at + 1] = leaf.hc;
    doubles[at + 2] = this.nodeScore(leaf);
    doubles[at + 3] = leaf.low;
    doubles[at + 4] = leaf.high;
    words[at * 2 + 10] = this.bounded ? 1 : 0;
    words[at * 2 + 11] = this.mayGrow(leaf) ? 1 : 0;
    // Which features a node may use depends on where it is in the tree, not on who searches it.
    words[at * 2 + 12] = mix(this.seed ^ mix((leaf.parent + 1) * 2 + (leaf.onLeft ? 0 : 1)));
  }

  private mayGrow(leaf: Leaf): boolean {
    const { maxDepth, minRowsPerLeaf } = this.parameters;
    return (maxDepth === 0 || leaf.depth < maxDepth) && leaf.count >= 2 * minRowsPerLeaf;
  }

  private sums(leaf: { g: bigint; hc: bigint }): { g: number; h: number } {
    const h = leaf.hc & ((1n << BigInt(this.fixed.countBit)) - 1n);
    return { g: Number(leaf.g) * this.fixed.gradientUnit, h: Number(h) * this.fixed.hessianUnit };
  }

  /** Twice the loss reduction of the node's value; with bounds, of the clamped value. */
  private nodeScore(leaf: Leaf): number {
    const { g, h } = this.sums(leaf);
    const shrunk = shrink(g, this.parameters.l1);
    const denominator = h + this.parameters.l2;
    if (denominator <= 0) return 0;
    if (!this.bounded) return (shrunk * shrunk) / denominator;
    const value = this.valueOf(leaf);
    return -(2 * shrunk * value + denominator * value * value);
  }

  /** Value of a node before the learning rate, within its bounds. */
  private valueOf(node: { g: bigint; hc: bigint } & Bounds): number {
    const { g, h } = this.sums(node);
    const denominator = h + this.parameters.l2;
    if (denominator <= 0) return 0;
    return Math.min(node.high, Math.max(node.low, -shrink(g, this.parameters.l1) / denominator));
  }

  private bestSplit(child: number): Split | null {
    const { layout, doubles, words, longs } = this.executor;
    let best = Number.NEGATIVE_INFINITY;
    let feature = -1;
    for (let f = 0; f < layout.features; f++) {
      if (words[layout.featureMask / 4 + f] !== 1) continue;
      const gain = doubles[(layout.results + (child * layout.features + f) * RESULT_BYTES) / 8] ?? 0;
      if (gain > best) {
        best = gain;
        feature = f;
      }
    }
    if (feature < 0) return null;
    const at = (layout.results + (child * layout.features + feature) * RESULT_BYTES) / 8;
    return {
      gain: best,
      feature,
      bin: words[at * 2 + 2] ?? 0,
      missingLeft: words[at * 2 + 3] === 1,
      leftBins:
        words[layout.categorical / 4 + feature] === 1 ? this.executor.bytes.slice(at * 8 + 32, at * 8 + 64) : null,
      leftG: longs[at + 2] ?? 0n,
      leftHc: longs[at + 3] ?? 0n,
    };
  }

  private bestLeaf(): Leaf | null {
    let best: Leaf | null = null;
    for (const leaf of this.leaves) {
      if (leaf.split && (best?.split == null || leaf.split.gain > best.split.gain)) best = leaf;
    }
    return best;
  }

  private splitLeaf(leaf: Leaf): void {
    const split = leaf.split;
    if (split === null) return;
    const leftCount = this.partition(leaf, split);
    const node = this.nodes.length;
    this.nodes.push({ split, leaf, left: 0, right: 0 });
    const [leftBounds, rightBounds] = this.childBounds(leaf, split);
    const child = (onLeft: boolean, begin: number, count: number, g: bigint, hc: bigint): Leaf => ({
      begin,
      count,
      g,
      hc,
      depth: leaf.depth + 1,
      ...(onLeft ? leftBounds : rightBounds),
      parent: node,
      onLeft,
      slot: -1,
      split: null,
    });
    const left = child(true, leaf.begin, leftCount, split.leftG, split.leftHc);
    const right = child(
      false,
      leaf.begin + leftCount,
      leaf.count - leftCount,
      leaf.g - split.leftG,
      leaf.hc - split.leftHc,
    );
    this.leaves[this.leaves.indexOf(leaf)] = left;
    this.leaves.push(right);
    const more = this.leaves.length < this.parameters.leaves;
    const [small, large] = left.count <= right.count ? [left, right] : [right, left];
    if (more && (this.mayGrow(small) || this.mayGrow(large))) this.search(leaf, small, large);
    else this.slots.release(leaf);
  }

  /**
   * Below a split on a constrained feature the two sides must never cross: the middle of their values bounds them
   * (LightGBM's basic method).
   */
  private childBounds(leaf: Leaf, split: Split): [Bounds, Bounds] {
    const { low, high } = leaf;
    const { layout, words } = this.executor;
    const direction = (words[layout.monotone / 4 + split.feature] ?? 0) | 0;
    if (direction === 0)
      return [
        { low, high },
        { low, high },
      ];
    const left = this.valueOf({ g: split.leftG, hc: split.leftHc, low, high });
    const right = this.valueOf({ g: leaf.g - split.leftG, hc: leaf.hc - split.leftHc, low, high });
    const middle = (left + right) / 2;
    const below = { low, high: Math.min(high, middle) };
    const above = { low: Math.max(low, middle), high };
    return direction > 0 ? [below, above] : [above, below];
  }

  private search(parent: Leaf, small: Leaf, large: Leaf): void {
    if (parent.slot >= 0) {
      // The parent's histogram becomes the larger child's.
      this.slots.hand(parent.slot, large);
      parent.slot = -1;
      this.slots.take(small, large);
      this.build(small, large);
    } else {
      this.slots.take(small, null);
      this.build(small, null);
      this.slots.take(large, small);
      this.build(large, null);
    }
    for (const leaf of [small, large]) if (leaf.split === null) this.slots.release(leaf);
  }

  private build(leaf: Leaf, sibling: Leaf | null): void {
    const { executor, team } = this;
    const { layout } = executor;
    this.writeRecord(0, leaf);
    if (sibling) this.writeRecord(1, sibling);
    const parts = this.parts(leaf.count);
    executor.setArguments(
      layout.rows + leaf.begin * 4,
      leaf.count,
      leaf.slot,
      parts,
      this.output,
      sibling ? sibling.slot + 1 : 0,
      this.groups,
    );
    if (parts === 1) team.run(COMMAND.build, this.groups, leaf.count * layout.blocks < ALONE_WORK);
    else {
      team.run(COMMAND.histogram, parts);
      team.run(COMMAND.find, this.groups);
    }
    if (this.mayGrow(leaf)) leaf.split = this.bestSplit(0);
    if (sibling && this.mayGrow(sibling)) sibling.split = this.bestSplit(1);
  }

  private partition(leaf: Leaf, split: Split): number {
    const { executor, team } = this;
    const { layout, bytes, words, kernel } = executor;
    writeTable(bytes, layout.splitTable, split);
    const rows = layout.rows + leaf.begin * 4;
    if (leaf.count < CHUNKED_PARTITION_ROWS || layout.threads === 1) {
      const column = layout.columns + split.feature * layout.columnStride;
      return kernel.partitionInPlace(column, layout.splitTable, rows, leaf.count, layout.spareRows) >>> 0;
    }
    const chunks = Math.ceil(leaf.count / CHUNK_ROWS);
    executor.setArguments(rows, leaf.count, split.feature);
    team.run(COMMAND.partition, chunks);
    team.run(COMMAND.place, chunks);
    let left = 0;
    for (let chunk = 0; chunk < chunks; chunk++) left += words[layout.chunkCounts / 4 + chunk] ?? 0;
    return left;
  }

  private finish(): Tree {
    return assembleTree(this.executor, this.nodes, this.leaves, (leaf) => this.leafValue(leaf));
  }

  private leafValue(leaf: Leaf): number {
    return Math.fround(this.valueOf(leaf) * this.parameters.learningRate);
  }

  /** Adds the finished tree to the scores of the rows it was grown on, leaf by leaf. */
  addToDrawnRows(tree: Tree, output: number): void {
    const { layout, words, doubles } = this.executor;
    let spans = 0;
    for (const [index, leaf] of this.leaves.entries()) {
      for (let begin = 0; begin < leaf.count; begin += SPAN_ROWS) {
        const at = layout.spans + spans++ * 16;
        words[at / 4] = leaf.begin + begin;
        words[at / 4 + 1] = Math.min(SPAN_ROWS, leaf.count - begin);
        doubles[at / 8 + 1] = tree.leafValue[index] ?? 0;
      }
    }
    this.executor.setArguments(output);
    this.team.run(COMMAND.addSpans, spans);
  }
}

function shrink(g: number, l1: number): number {
  if (g > l1) return g - l1;
  return g < -l1 ? g + l1 : 0;
}
