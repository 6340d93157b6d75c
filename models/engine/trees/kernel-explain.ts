import type { Arena, Block } from "../arena.ts";
import type { Contributor } from "../contributor.ts";
import type { Kernels } from "../kernels.ts";
import type { Contributions } from "../session.ts";
import type { PackedTrees } from "./packed-trees.ts";
import { gaussLegendre, type ShapData } from "./shap-data.ts";

const NODE_BYTES = 8;

export interface KernelExplainFields {
  readonly packed: PackedTrees;
  readonly data: ShapData;
  /** Packed nodes in kernel memory. */
  readonly nodes: Block;
  /** A prepared row in kernel memory, and what prepares it from the input's first row. */
  readonly row: Block;
  readonly prepare: () => void;
}

/** Explanations by the kernels: covers and feature links lie in their memory beside the trees. */
export function kernelExplain(arena: Arena, fields: KernelExplainFields): Contributor {
  const { nodes, row, prepare, data } = fields;
  const { features, outputs, scale, base, counts, target } = data;
  const first = fields.packed.first.slice(0, fields.packed.trees);
  const pairs = data.points.map((count) => Math.ceil(count / 2));
  const wide = data.cover instanceof Float64Array ? 1 : 0;
  const coverBytes = wide === 1 ? 8 : 4;
  const covers = copied(arena, data.cover);
  const previous = arena.block(2 * fields.packed.nodes, () => undefined);
  const points = placePoints(arena, pairs);
  const scratch = arena.block(scratchBytes(counts, pairs), () => undefined);
  let sums = new Float64Array(0);
  const values = arena.block(features * outputs * 8, (buffer, offset) => {
    sums = new Float64Array(buffer, offset, features * outputs);
  });

  let expected: Float64Array | null = null;

  /** Links between splits and the mean of every tree, worked out by the first explanation. */
  function prepareTrees(kernels: Kernels): Float64Array {
    const means = new Float64Array(outputs);
    for (let tree = 0; tree < counts.length; tree++) {
      const from = first[tree] ?? 0;
      const count = counts[tree] ?? 0;
      const node = nodes.offset + from * NODE_BYTES;
      const output = target[tree] ?? 0;
      kernels.linkFeatures(node, count, features, previous.offset + from * 2, scratch.offset);
      const mean = kernels.treeMean(node, count, covers.offset + from * coverBytes, wide, scratch.offset);
      means[output] = (means[output] ?? 0) + mean;
    }
    return means.map((sum, output) => sum * scale + (base[output] ?? 0));
  }

  function explain(exact: boolean): Contributions {
    const { kernels } = arena;
    const raw = new Float64Array(outputs);
    if (kernels === null) throw new Error("the session is not sealed");
    expected ??= prepareTrees(kernels);
    prepare();
    sums.fill(0);
    for (let tree = 0; tree < counts.length; tree++) {
      const from = first[tree] ?? 0;
      const count = counts[tree] ?? 0;
      const output = target[tree] ?? 0;
      const [node, cover] = [nodes.offset + from * NODE_BYTES, covers.offset + from * coverBytes];
      const into = values.offset + output * features * 8;
      const link = previous.offset + from * 2;
      const point = points.offset + (points.starts[pairs[tree] ?? 1] ?? 0);
      raw[output] =
        (raw[output] ?? 0) +
        (exact
          ? kernels.shapTree(
              node,
              count,
              cover,
              wide,
              link,
              row.offset,
              features,
              point,
              pairs[tree] ?? 1,
              scratch.offset,
              into,
            )
          : kernels.pathTree(node, count, cover, wide, row.offset, features, scratch.offset, into));
    }
    return {
      features,
      outputs,
      base: expected.slice(),
      values: sums.map((sum) => sum * scale),
      raw: raw.map((sum, output) => sum * scale + (base[output] ?? 0)),
    };
  }

  return { exact: () => explain(true), path: () => explain(false) };
}

/** Bytes in kernel memory; the array is let go of once it is copied. */
function copied(arena: Arena, array: Uint32Array | Float64Array): Block {
  let source: Uint8Array | null = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  return arena.block(array.byteLength, (buffer, offset) => {
    if (source !== null) new Uint8Array(buffer, offset, source.length).set(source);
    source = null;
  });
}

/** Records of the largest tree: products and inverse factors, zero and one; the means of a path need less. */
function scratchBytes(counts: Int32Array, pairs: Int32Array): number {
  return counts.reduce((most, count, tree) => Math.max(most, count * (32 * (pairs[tree] ?? 1) + 16)), 0);
}

interface PlacedPoints extends Block {
  /** First byte of the quadrature of so many pairs of points. */
  readonly starts: readonly number[];
}

/** Per pair of quadrature points: t, 1 - t, weight, -weight / (1 - t), two doubles each. */
function placePoints(arena: Arena, pairs: Int32Array): PlacedPoints {
  const used = [...new Set(pairs)].sort((a, b) => a - b);
  const starts: number[] = [];
  const numbers: number[] = [];
  for (const count of used) {
    starts[count] = numbers.length * 8;
    // An even number of points integrates no less.
    const { at, weight } = gaussLegendre(2 * count);
    for (let pair = 0; pair < count; pair++)
      for (const value of [
        (point: number) => at[point] ?? 0,
        (point: number) => 1 - (at[point] ?? 0),
        (point: number) => weight[point] ?? 0,
        (point: number) => -(weight[point] ?? 0) / (1 - (at[point] ?? 0)),
      ])
        numbers.push(value(2 * pair), value(2 * pair + 1));
  }
  const block = arena.block(numbers.length * 8, (buffer, offset) =>
    new Float64Array(buffer, offset, numbers.length).set(numbers),
  );
  return Object.assign(block, { starts });
}
