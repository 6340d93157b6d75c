import type { RegressionTree } from "../../models/onnx/tree-ensemble.ts";

/** A seeded generator of uniform numbers in [0, 1) (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface GeneratedTreesFields {
  readonly trees: number;
  /** Longest path, in splits. */
  readonly depth: number;
  readonly features: number;
  readonly seed: number;
  /** Share of nodes above the last level that are leaves; default 0.02, about what boosting gives. */
  readonly earlyLeaves?: number;
}

/** Trees as boosting leaves them: nearly full, standard-normal thresholds, small leaf values, covers that add up. */
export function generatedTrees(fields: GeneratedTreesFields): RegressionTree[] {
  const random = seededRandom(fields.seed);
  return Array.from({ length: fields.trees }, () => generatedTree(fields, random));
}

function generatedTree(fields: GeneratedTreesFields, random: () => number): RegressionTree {
  const tree = {
    feature: [] as number[],
    threshold: [] as number[],
    whenTrue: [] as number[],
    whenFalse: [] as number[],
    missingTrue: [] as number[],
    value: [] as number[],
    cover: [] as number[],
  };
  const grow = (depth: number, cover: number): number => {
    const id = tree.feature.length;
    const leaf = depth === fields.depth || cover < 2 || (depth > 0 && random() < (fields.earlyLeaves ?? 0.02));
    tree.feature.push(leaf ? -1 : Math.floor(random() * fields.features));
    tree.threshold.push(leaf ? 0 : Math.fround(gaussian(random)));
    tree.missingTrue.push(!leaf && random() < 0.5 ? 1 : 0);
    tree.value.push(leaf ? Math.fround(gaussian(random) * 0.05) : 0);
    tree.cover.push(cover);
    tree.whenTrue.push(0);
    tree.whenFalse.push(0);
    if (leaf) return id;
    const left = Math.max(1, Math.min(cover - 1, Math.round(cover * (0.2 + 0.6 * random()))));
    tree.whenTrue[id] = grow(depth + 1, left);
    tree.whenFalse[id] = grow(depth + 1, cover - left);
    return id;
  };
  grow(0, 100_000);
  return tree;
}

/** Box–Muller; one of the pair is thrown away. */
export function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Standard-normal rows with a share of missing values. */
export function generatedRows(rows: number, features: number, seed: number, missing = 0.05): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: rows * features }, () => (random() < missing ? Number.NaN : gaussian(random)));
}
