/** What explaining needs beside the packed trees, and the choice of ensembles that can be explained. */
import type { Ensemble } from "./ensemble.ts";
import type { PackedTrees } from "./packed-trees.ts";

/** Deepest paths in distinct features: 64 quadrature points. Real models stay below 32. */
const MAX_DISTINCT = 128;

/** Positions within a tree have 16 bits. */
const MAX_TREE_NODES = 65_535;

export interface ShapData {
  /** Covers by packed position: 32-bit integers where all are, else doubles. */
  readonly cover: Uint32Array | Float64Array;
  /** By tree: nodes, quadrature points, output. */
  readonly counts: Int32Array;
  readonly points: Int32Array;
  readonly target: Int32Array;
  /** Sums of outputs are multiplied by this (1, or one over the trees for an average). */
  readonly scale: number;
  readonly outputs: number;
  /** Base values of the file per output. */
  readonly base: Float64Array;
  readonly features: number;
}

/**
 * null where there are no covers, or where the margin is no plain sum of one value per leaf: minima and maxima, leaves of
 * several weights, binary encodings whose base value ONNX Runtime ignores.
 */
export function shapData(ensemble: Ensemble, packed: PackedTrees, classifier: boolean): ShapData | null {
  const { cover, aggregate, base, targets } = ensemble;
  if (cover === null || aggregate === "MIN" || aggregate === "MAX") return null;
  const { target } = packed;
  if (target === null) return null;
  const oneScore = classifier && targets === 2;
  // A binary classifier is explained where its leaves score class 0, which ONNX Runtime reads as the positive side.
  if (oneScore && (target.some((index) => index !== 0) || base.length > 1)) return null;
  const outputs = oneScore ? 1 : targets;
  if (base.length !== 0 && base.length !== outputs) return null;
  const counts = Int32Array.from({ length: packed.trees }, (_, tree) => nodesOf(packed, tree));
  if (counts.some((count) => count > MAX_TREE_NODES)) return null;
  const covers = new Float64Array(packed.nodes);
  const words = new Uint32Array(packed.nodes);
  let whole = true;
  for (let at = 0; at < packed.nodes; at++) {
    const value = cover[packed.origin[at] ?? 0] ?? 0;
    covers[at] = value;
    words[at] = value;
    if (words[at] !== value) whole = false;
  }
  // n points integrate polynomials of degree 2n - 1 exactly; the integrand has the degree of the other features of a path.
  const points = new Int32Array(packed.trees);
  for (let tree = 0; tree < packed.trees; tree++)
    points[tree] = Math.ceil(Math.max(1, Math.min(packed.longest[tree] ?? 1, packed.features)) / 2);
  if (points.some((count) => count > MAX_DISTINCT / 2)) return null;
  return {
    cover: whole ? words : covers,
    counts,
    points,
    target,
    scale: aggregate === "AVERAGE" ? 1 / packed.trees : 1,
    outputs,
    base: base.length === 0 ? new Float64Array(outputs) : base,
    features: packed.features,
  };
}

function nodesOf({ first, trees, nodes }: PackedTrees, tree: number): number {
  return (tree + 1 < trees ? (first[tree + 1] ?? 0) : nodes) - (first[tree] ?? 0);
}

/**
 * Links of one tree, by position within it, for its splits: the node below the nearest split above on the same feature, on
 * the way here; 0 where there is none.
 */
export function linkFeatures(words: Uint32Array, first: number, count: number, features: number): Uint16Array {
  const feature = new Int32Array(count);
  const parent = new Int32Array(count);
  const previous = new Uint16Array(count);
  for (let at = 0; at < count; at++) {
    const word = words[2 * (first + at) + 1] ?? 0;
    const distance = word & 0xffff;
    if (distance === 1) continue;
    feature[at] = (word >>> 16) % features;
    let found = at;
    while (found !== 0 && feature[parent[found] ?? 0] !== feature[at]) found = parent[found] ?? 0;
    previous[at] = found;
    parent[at + distance - 1] = at;
    parent[at + distance] = at;
  }
  return previous;
}

export interface Quadrature {
  /** Points in (0, 1) and their weights, which add up to 1. */
  readonly at: Float64Array;
  readonly weight: Float64Array;
}

/** Gauss–Legendre on [0, 1], by Newton's method on the Legendre polynomial (Numerical Recipes, 4.6). */
export function gaussLegendre(count: number): Quadrature {
  const at = new Float64Array(count);
  const weight = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    let x = Math.cos((Math.PI * (index + 0.75)) / (count + 0.5));
    let slope = 1;
    for (let step = 0; step < 100; step++) {
      let [value, before] = [1, 0];
      for (let degree = 1; degree <= count; degree++)
        [value, before] = [((2 * degree - 1) * x * value - (degree - 1) * before) / degree, value];
      slope = (count * (x * value - before)) / (x * x - 1);
      const move = value / slope;
      x -= move;
      if (Math.abs(move) < 1e-16) break;
    }
    at[index] = (1 + x) / 2;
    weight[index] = 1 / ((1 - x * x) * slope * slope);
  }
  return { at, weight };
}
