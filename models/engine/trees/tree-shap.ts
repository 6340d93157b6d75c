/**
 * Exact path-dependent TreeSHAP (Lundberg et al. 2020, "From local explanations to global understanding with explainable
 * AI for trees"; the value of a coalition follows known features and averages over children by cover for unknown ones).
 *
 * A leaf with value v whose path has distinct features i, each with cover fraction z(i) and o(i) = 1 where the row meets
 * all its conditions on i, else 0, contributes to feature i
 *
 *     v · (o(i) - z(i)) · ∫ Π over j ≠ i of (t · o(j) + (1 - t) · z(j)) dt,  t from 0 to 1,
 *
 * because the Shapley weight of a coalition of size s among n is ∫ t^s (1 - t)^(n - 1 - s) dt. The integrand is a
 * polynomial of degree n - 1, so Gauss–Legendre quadrature with n / 2 points is exact, and every factor is positive: no
 * cancellation. Products are carried down the tree, sums of leaves back up; where a feature comes again, its factor is
 * replaced. That is O(nodes · points) a row instead of O(leaves · depth²).
 */
import type { Contributions } from "../session.ts";
import { gaussLegendre, linkFeatures, type Quadrature, type ShapData } from "./shap-data.ts";

/** Packed trees as arrays that can be read. */
export interface ReadableTrees {
  readonly words: Uint32Array;
  readonly floats: Float32Array;
  readonly first: Int32Array;
}

/** Buffers for the largest tree. */
class Scratch {
  readonly product: Float64Array;
  readonly zero: Float64Array;
  readonly one: Uint8Array;

  constructor(data: ShapData) {
    const nodes = data.counts.reduce((most, count) => Math.max(most, count), 0);
    const points = data.points.reduce((most, count) => Math.max(most, count), 0);
    this.product = new Float64Array(nodes * points);
    this.zero = new Float64Array(nodes);
    this.one = new Uint8Array(nodes);
  }
}

/** Expected margin of each output: what the contributions start from. */
function expectedMargins({ words, floats, first }: ReadableTrees, data: ShapData): Float64Array {
  const expected = new Float64Array(data.outputs);
  data.counts.forEach((count, tree) => {
    const means = nodeMeans({ words, floats, first: first[tree] ?? 0, count, cover: data.cover });
    const output = data.target[tree] ?? 0;
    expected[output] = (expected[output] ?? 0) + (means[0] ?? 0);
  });
  return expected.map((sum, output) => sum * data.scale + (data.base[output] ?? 0));
}

interface TreeFields {
  readonly words: Uint32Array;
  readonly floats: Float32Array;
  readonly first: number;
  readonly count: number;
  readonly cover: Uint32Array | Float64Array;
}

/** Mean leaf value below each node, weighted by cover. */
function nodeMeans({ words, floats, first, count, cover }: TreeFields): Float64Array {
  const means = new Float64Array(count);
  for (let at = count - 1; at >= 0; at--) {
    const distance = (words[2 * (first + at) + 1] ?? 0) & 0xffff;
    const right = at + distance;
    means[at] =
      distance === 1
        ? (floats[2 * (first + at)] ?? 0)
        : share(cover, first + right - 1, first + at) * (means[right - 1] ?? 0) +
          share(cover, first + right, first + at) * (means[right] ?? 0);
  }
  return means;
}

/** Part of a node's cover that went to a child; halves where no training row came. */
function share(cover: Uint32Array | Float64Array, child: number, parent: number): number {
  const whole = cover[parent] ?? 0;
  return whole === 0 ? 0.5 : (cover[child] ?? 0) / whole;
}

/** Explains prepared rows in plain JavaScript; the kernels do the same, see `shapTree` in `kernels/tree-shap.as.ts`. */
export class PlainExplainer {
  readonly #trees: ReadableTrees;
  readonly #data: ShapData;
  readonly #base: Float64Array;
  readonly #scratch: Scratch;
  /** Links of every tree. */
  readonly #previous: readonly Uint16Array[];
  readonly #quadratures = new Map<number, Quadrature>();

  constructor(trees: ReadableTrees, data: ShapData) {
    this.#trees = trees;
    this.#data = data;
    this.#base = expectedMargins(trees, data);
    this.#scratch = new Scratch(data);
    this.#previous = Array.from(data.counts, (count, tree) =>
      linkFeatures(trees.words, trees.first[tree] ?? 0, count, data.features),
    );
    for (const count of data.points) this.#quadratures.set(count, gaussLegendre(count));
  }

  exact(row: Float32Array): Contributions {
    return this.#contributions((tree, values) => this.#shapTree(tree, row, values));
  }

  path(row: Float32Array): Contributions {
    return this.#contributions((tree, values) => this.#pathTree(tree, row, values));
  }

  #contributions(explain: (tree: number, values: Float64Array) => number): Contributions {
    const { features, outputs, counts, target, scale, base } = this.#data;
    const values = new Float64Array(outputs * features);
    const raw = new Float64Array(outputs);
    for (let tree = 0; tree < counts.length; tree++) {
      const output = target[tree] ?? 0;
      raw[output] = (raw[output] ?? 0) + explain(tree, values.subarray(output * features, (output + 1) * features));
    }
    for (let at = 0; at < values.length; at++) values[at] = (values[at] ?? 0) * scale;
    for (let at = 0; at < outputs; at++) raw[at] = (raw[at] ?? 0) * scale + (base[at] ?? 0);
    return { features, outputs, base: this.#base.slice(), values, raw };
  }

  /** Adds one tree's contributions to `values`; returns the value of the leaf that the row reaches. */
  #shapTree(tree: number, row: Float32Array, values: Float64Array): number {
    const { words, floats } = this.#trees;
    const { cover, features } = this.#data;
    const first = this.#trees.first[tree] ?? 0;
    const count = this.#data.counts[tree] ?? 0;
    const previous = this.#previous[tree] ?? new Uint16Array(0);
    const quadrature = this.#quadratures.get(this.#data.points[tree] ?? 1);
    if (quadrature === undefined) return 0;
    const { at: points, weight: weights } = quadrature;
    const n = points.length;
    const { product, zero, one } = this.#scratch;
    product.fill(1, 0, n);
    zero[0] = 1;
    one[0] = 1;
    let reached = 0;
    for (let at = 0; at < count; at++) {
      const word = words[2 * (first + at) + 1] ?? 0;
      const distance = word & 0xffff;
      const value = floats[2 * (first + at)] ?? 0;
      if (distance === 1) {
        for (let k = 0; k < n; k++) product[at * n + k] = (product[at * n + k] ?? 0) * value;
        continue;
      }
      const goesLeft = (row[word >>> 16] ?? 0) <= value;
      const before = previous[at] ?? 0;
      const [zBefore, oBefore] = before === 0 ? [1, 1] : [zero[before] ?? 0, one[before] ?? 0];
      for (const child of [at + distance - 1, at + distance]) {
        const part = share(cover, first + child, first + at);
        const z = zBefore * part;
        const o = oBefore === 1 && goesLeft === (child !== at + distance) ? 1 : 0;
        zero[child] = z;
        one[child] = o;
        for (let k = 0; k < n; k++) {
          const t = points[k] ?? 0;
          // Where the feature already failed above, the factor only shrinks by the cover.
          const ratio = oBefore === 0 ? part : (t * o + (1 - t) * z) / (t + (1 - t) * zBefore);
          product[child * n + k] = (product[at * n + k] ?? 0) * ratio;
        }
      }
    }
    for (let at = count - 1; at >= 0; at--) {
      const word = words[2 * (first + at) + 1] ?? 0;
      const distance = word & 0xffff;
      if (distance === 1) continue;
      const before = previous[at] ?? 0;
      const [zBefore, oBefore] = before === 0 ? [1, 1] : [zero[before] ?? 0, one[before] ?? 0];
      const feature = (word >>> 16) % features;
      for (const child of [at + distance - 1, at + distance])
        for (let k = 0; k < n; k++) {
          const t = points[k] ?? 0;
          const sum = product[child * n + k] ?? 0;
          product[at * n + k] = child === at + distance ? (product[at * n + k] ?? 0) + sum : sum;
          // What failed above has had its say there: its terms cancel.
          if (oBefore === 0) continue;
          const z = zero[child] ?? 0;
          const own = one[child] === 1 ? (1 - z) / (t + (1 - t) * z) : -1 / (1 - t);
          const replaced = before === 0 ? 0 : (1 - zBefore) / (t + (1 - t) * zBefore);
          values[feature] = (values[feature] ?? 0) + (weights[k] ?? 0) * sum * (own - replaced);
        }
    }
    for (let at = 0; ;) {
      const word = words[2 * (first + at) + 1] ?? 0;
      reached = floats[2 * (first + at)] ?? 0;
      const distance = word & 0xffff;
      if (distance === 1) return reached;
      at += (row[word >>> 16] ?? 0) <= reached ? distance - 1 : distance;
    }
  }

  /** The step in the mean at each split of the row's path, given to the split's feature. */
  #pathTree(tree: number, row: Float32Array, values: Float64Array): number {
    const { words, floats } = this.#trees;
    const { cover, features } = this.#data;
    const first = this.#trees.first[tree] ?? 0;
    const means = nodeMeans({ words, floats, first, count: this.#data.counts[tree] ?? 0, cover });
    for (let at = 0; ;) {
      const word = words[2 * (first + at) + 1] ?? 0;
      const distance = word & 0xffff;
      if (distance === 1) return means[at] ?? 0;
      const next = at + ((row[word >>> 16] ?? 0) <= (floats[2 * (first + at)] ?? 0) ? distance - 1 : distance);
      const feature = (word >>> 16) % features;
      values[feature] = (values[feature] ?? 0) + (means[next] ?? 0) - (means[at] ?? 0);
      at = next;
    }
  }
}
