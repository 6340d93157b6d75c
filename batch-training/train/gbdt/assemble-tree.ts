import type { Executor } from "./executor.ts";
import type { Tree } from "./tree.ts";

export interface Split {
  readonly gain: number;
  readonly feature: number;
  readonly bin: number;
  readonly missingLeft: boolean;
  /** Left bins of a categorical split, 256 bits; null for a threshold. */
  readonly leftBins: Uint8Array | null;
  readonly leftG: bigint;
  readonly leftHc: bigint;
}

/** Least and greatest value a node may take. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** A leaf of the tree in growth. */
export interface GrownLeaf extends Bounds {
  readonly begin: number;
  readonly count: number;
  readonly g: bigint;
  readonly hc: bigint;
  readonly depth: number;
  /** Node that points here, and on which side; -1 for the root. */
  readonly parent: number;
  readonly onLeft: boolean;
  /** Histogram slot, or -1 where it was dropped or never needed. */
  slot: number;
  split: Split | null;
}

export interface GrownNode {
  readonly split: Split;
  /** The leaf that was split. */
  readonly leaf: GrownLeaf;
  /** Nodes, or ~leaf. */
  left: number;
  right: number;
}

/**
 * A grown tree as plain data. Also writes it to shared memory as `addTree` reads it, by which rows outside the drawn ones
 * find their leaf.
 */
export function assembleTree(
  executor: Executor,
  nodes: readonly GrownNode[],
  leaves: readonly GrownLeaf[],
  leafValueOf: (leaf: GrownLeaf) => number,
): Tree {
  const { layout, words, doubles, bytes } = executor;
  link(nodes, leaves);
  const leafValue = Float64Array.from(leaves, leafValueOf);
  doubles.set(leafValue, layout.treeValues / 8);
  for (const [index, { split, left, right }] of nodes.entries()) {
    const at = layout.treeNodes / 4 + index * 4;
    words[at] = split.feature * layout.columnStride;
    words[at + 1] = layout.treeTables + index * 256;
    words[at + 2] = left;
    words[at + 3] = right;
    writeTable(bytes, layout.treeTables + index * 256, split);
  }
  return {
    feature: Int32Array.from(nodes, (node) => node.split.feature),
    threshold: Float64Array.from(nodes, (node) => threshold(executor, node.split)),
    missingLeft: Uint8Array.from(nodes, (node) => (node.split.missingLeft ? 1 : 0)),
    members: nodes.map((node) => members(executor, node.split)),
    left: Int32Array.from(nodes, (node) => node.left),
    right: Int32Array.from(nodes, (node) => node.right),
    gain: Float64Array.from(nodes, (node) => node.split.gain),
    cover: Float64Array.from(nodes, (node) => node.leaf.count),
    leafValue,
    leafCover: Float64Array.from(leaves, (leaf) => leaf.count),
  };
}

function link(nodes: readonly GrownNode[], leaves: readonly GrownLeaf[]): void {
  const point = ({ parent, onLeft }: GrownLeaf, target: number): void => {
    const node = nodes[parent];
    if (!node) return;
    if (onLeft) node.left = target;
    else node.right = target;
  };
  for (const [index, node] of nodes.entries()) point(node.leaf, index);
  for (const [index, leaf] of leaves.entries()) point(leaf, ~index);
}

/** Past the last edge lies the padding, +infinity: every value left, missing right. */
function threshold({ layout, floats }: Executor, { feature, bin, leftBins }: Split): number {
  return leftBins ? Number.NaN : (floats[layout.edges / 4 + feature * 256 + bin - 1] ?? 0);
}

/** The categories that go to the side where missing does not. */
function members({ layout, words, floats }: Executor, split: Split): number[] | null {
  if (split.leftBins === null) return null;
  const bins = words[layout.bins / 4 + split.feature] ?? 0;
  const listed: number[] = [];
  for (let bin = 1; bin <= bins; bin++) {
    if (goesLeft(split, bin) === split.missingLeft) continue;
    listed.push(floats[layout.edges / 4 + split.feature * 256 + bin - 1] ?? 0);
  }
  return listed.sort((a, b) => a - b);
}

/** 256 bytes bin -> 1 (left) or 0. */
export function writeTable(bytes: Uint8Array, table: number, split: Split): void {
  for (let bin = 0; bin < 256; bin++) bytes[table + bin] = goesLeft(split, bin) ? 1 : 0;
}

function goesLeft(split: Split, bin: number): boolean {
  if (split.leftBins) return (((split.leftBins[bin >> 3] ?? 0) >> (bin & 7)) & 1) === 1;
  return bin === 0 ? split.missingLeft : bin <= split.bin;
}
