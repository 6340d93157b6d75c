import type { Arena, Block } from "../arena.ts";
import type { Contributor } from "../contributor.ts";
import type { Value } from "../value.ts";
import { type Combiner, type Finish, ONE_SCORED } from "./combine.ts";
import { kernelExplain } from "./kernel-explain.ts";
import { GROUP, type PackedTrees } from "./packed-trees.ts";
import type { ShapData } from "./shap-data.ts";

export interface Walk {
  /** Scores that many rows of the input. */
  readonly run: (rows: number) => void;
  /** Bytes that it holds outside the arena. */
  readonly bytes: number;
  /** Explains the first row of the input; null where the ensemble cannot be explained. */
  readonly contributor: Contributor | null;
}

export interface WalkFields {
  readonly packed: PackedTrees;
  /** Turns a sum of leaf values into an output, where payloads are values. */
  readonly finish: Finish;
  /** Takes leaves one by one, where payloads are positions in a table. */
  readonly combine: Combiner | null;
  /** Covers and links between splits; null where the ensemble cannot be explained. */
  readonly shap: ShapData | null;
  readonly input: Value;
  readonly output: Value;
}

/** Blocks of eight rows that are prepared before the trees are walked: their features stay in the nearest cache. */
const BLOCKS = 8;
/** Bytes of a group in the tree table. */
const GROUP_BYTES = 40;
const NODE_BYTES = 8;

/** The walk by the kernels: trees, table and prepared rows lie in their memory. */
export function kernelWalk(arena: Arena, fields: WalkFields): Walk {
  const { input, output, finish, combine } = fields;
  const { features, slots, trees, twoCopies, target } = fields.packed;
  const groups = fields.packed.first.length / GROUP;
  const copies = twoCopies ? 2 : 1;
  input.inKernelMemory = true;
  const { table, nodes } = placeTrees(arena, fields.packed);
  const row = arena.block(slots * 4, () => undefined);
  const eights = arena.block(slots * 4 * GROUP * BLOCKS, () => undefined);
  let results = new Float32Array(0);
  let leaves = new Uint32Array(0);
  const size = Math.max(GROUP * BLOCKS, combine === null ? 0 : groups * GROUP * GROUP);
  const result = arena.block(size * 4, (buffer, offset) => {
    results = new Float32Array(buffer, offset, size);
    leaves = new Uint32Array(buffer, offset, size);
  });
  const score = new Float32Array(1);
  const blockBytes = slots * 4 * GROUP;
  const blockLimit = combine === null ? BLOCKS : 1;
  const rowBytes = features * 4;

  function combineAt(leaf: Combiner, at: number, from: number, stride: number): void {
    leaf.begin();
    for (let tree = 0, at = from; tree < trees; tree++, at += stride)
      if (target === null) leaf.add(leaves[at] ?? 0);
      else leaf.addValue(target[tree] ?? 0, results[at] ?? 0);
    leaf.end(output.data as Float32Array, at * leaf.width);
  }

  function run(rows: number): void {
    const { kernels } = arena;
    if (kernels === null) return;
    const out = output.data as Float32Array;
    let at = 0;
    for (let blocks = rows >> 3; blocks > 0;) {
      const count = Math.min(blocks, blockLimit);
      for (let block = 0; block < count; block++)
        kernels.prepareEight(
          input.offset + (at + block * GROUP) * rowBytes,
          features,
          copies,
          eights.offset + block * blockBytes,
        );
      const to = combine === null ? 0 : result.offset;
      kernels.walkEights(eights.offset, count, blockBytes, table.offset, groups, result.offset, to);
      for (let index = 0; index < count * GROUP; index++) {
        if (combine !== null) combineAt(combine, at + index, index, GROUP);
        else {
          score[0] = results[index] ?? 0;
          finish(score, ONE_SCORED, out, at + index);
        }
      }
      at += count * GROUP;
      blocks -= count;
    }
    for (; at < rows; at++) {
      kernels.prepareRow(input.offset + at * rowBytes, features, copies, row.offset);
      if (combine !== null) {
        kernels.walkRow(row.offset, table.offset, groups, result.offset);
        combineAt(combine, at, 0, 1);
      } else {
        score[0] = kernels.walkRow(row.offset, table.offset, groups, 0);
        finish(score, ONE_SCORED, out, at);
      }
    }
  }

  const prepare = (): void => arena.kernels?.prepareRow(input.offset, features, copies, row.offset);
  const { shap, packed } = fields;
  const contributor = shap === null ? null : kernelExplain(arena, { packed, data: shap, nodes, row, prepare });
  return { run, bytes: combine?.bytes ?? 0, contributor };
}

interface PlacedTrees {
  readonly table: Block;
  readonly nodes: Block;
}

/** Nodes and table of groups in kernel memory; the packed arrays are let go of once they are copied. */
function placeTrees(arena: Arena, packed: PackedTrees): PlacedTrees {
  let source: PackedTrees | null = packed;
  const nodes = arena.block(packed.words.byteLength, (buffer, offset) => {
    if (source !== null) new Uint32Array(buffer, offset, source.words.length).set(source.words);
  });
  const groups = packed.first.length / GROUP;
  const table = arena.block(groups * GROUP_BYTES, (buffer, offset) => {
    if (source === null) return;
    const words = new Uint32Array(buffer, offset, (groups * GROUP_BYTES) / 4);
    for (let group = 0; group < groups; group++) {
      const [from, to] = [group * GROUP, Math.min(source.trees, (group + 1) * GROUP)];
      const at = group * (GROUP_BYTES / 4);
      for (let member = 0; member < GROUP; member++)
        words[at + member] = nodes.offset + NODE_BYTES * (source.first[from + member] ?? 0);
      words[at + GROUP] = source.shortest.subarray(from, to).reduce((least, depth) => Math.min(least, depth), 0xffff);
      words[at + GROUP + 1] = source.longest.subarray(from, to).reduce((most, depth) => Math.max(most, depth), 0);
    }
    source = null;
  });
  return { table, nodes };
}
