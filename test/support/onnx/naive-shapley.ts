/**
 * Shapley values by their definition: every subset of features, every order accounted for by its weight. Exponential, and
 * therefore nothing like the algorithm it judges. The value of a subset is the path-dependent expectation: a split on a
 * feature outside of it is averaged over both sides by their covers (Lundberg et al. 2020, algorithm 1).
 */
import type { EnsembleShape, TreeShape } from "./arbitrary-ensemble.ts";

/** Trees with a cover at every node. */
export type CoveredTree =
  | { readonly kind: "leaf"; readonly cover: number; readonly weights: ReadonlyMap<number, number> }
  | {
      readonly kind: "split";
      readonly cover: number;
      readonly feature: number;
      readonly goesTrue: (value: number) => boolean;
      readonly whenTrue: CoveredTree;
      readonly whenFalse: CoveredTree;
    };

/** Covers made up leaf by leaf, added up towards the root; every fifth leaf may have none. */
export function covered(shape: EnsembleShape, emptyLeaves: boolean): CoveredTree[] {
  let leaves = 0;
  const add = (tree: TreeShape): CoveredTree => {
    if (tree.kind === "leaf") {
      const cover = emptyLeaves && leaves % 5 === 4 ? 0 : 1 + ((leaves * 7919) % 23);
      leaves++;
      return {
        kind: "leaf",
        cover,
        weights: new Map(tree.weights.map(({ target, eighths }) => [target, eighths / 8])),
      };
    }
    const [whenTrue, whenFalse] = [add(tree.whenTrue), add(tree.whenFalse)];
    const { feature } = tree;
    return {
      kind: "split",
      cover: whenTrue.cover + whenFalse.cover,
      feature,
      goesTrue: test(tree),
      whenTrue,
      whenFalse,
    };
  };
  return shape.trees.map(add);
}

/** Covers in the order in which `ensemble-model.ts` writes nodes: depth first, a node before its children. */
export function coversInFileOrder(trees: readonly CoveredTree[]): Float64Array {
  const visit = (tree: CoveredTree): number[] =>
    tree.kind === "leaf" ? [tree.cover] : [tree.cover, ...visit(tree.whenTrue), ...visit(tree.whenFalse)];
  return Float64Array.from(trees.flatMap(visit));
}

function test({ mode, threshold, missingTrue }: Extract<TreeShape, { kind: "split" }>): (value: number) => boolean {
  const compare = {
    LEQ: (value: number) => value <= threshold,
    LT: (value: number) => value < threshold,
    GTE: (value: number) => value >= threshold,
    GT: (value: number) => value > threshold,
    EQ: (value: number) => value === threshold,
    NEQ: (value: number) => value !== threshold,
  }[mode];
  return (value) => compare(value) || (missingTrue && Number.isNaN(value));
}

/** Expected output of one target when only the features in `known` (a bit set) are known. */
function expectation(tree: CoveredTree, row: ArrayLike<number>, known: number, target: number): number {
  if (tree.kind === "leaf") return tree.weights.get(target) ?? 0;
  const side = (branch: CoveredTree): number => expectation(branch, row, known, target);
  if ((known & (1 << tree.feature)) !== 0) {
    return side(tree.goesTrue(row[tree.feature] ?? 0) ? tree.whenTrue : tree.whenFalse);
  }
  const { whenTrue, whenFalse } = tree;
  return (whenTrue.cover * side(whenTrue) + whenFalse.cover * side(whenFalse)) / tree.cover;
}

export interface NaiveAttribution {
  readonly base: number;
  readonly values: readonly number[];
}

/** @param width at most 8: 2^width subsets are visited per feature */
export function naiveShapley(
  trees: readonly CoveredTree[],
  row: ArrayLike<number>,
  { width, target }: { readonly width: number; readonly target: number },
): NaiveAttribution {
  const subsets = Array.from({ length: 2 ** width }, (_, known) =>
    trees.reduce((sum, tree) => sum + expectation(tree, row, known, target), 0),
  );
  const values = Array.from({ length: width }, (_, feature) => {
    let value = 0;
    for (let known = 0; known < subsets.length; known++) {
      if ((known & (1 << feature)) !== 0) continue;
      const gain = (subsets[known | (1 << feature)] ?? 0) - (subsets[known] ?? 0);
      value += gain * orderShare(bits(known), width);
    }
    return value;
  });
  return { base: subsets[0] ?? 0, values };
}

/** Saabas' path attribution: each split's change of the expected value goes to its feature. */
export function naivePath(
  trees: readonly CoveredTree[],
  row: ArrayLike<number>,
  { width, target }: { readonly width: number; readonly target: number },
): NaiveAttribution {
  const values = Array.from({ length: width }, () => 0);
  let base = 0;
  for (const tree of trees) {
    let node = tree;
    let here = expectation(node, row, 0, target);
    base += here;
    while (node.kind === "split") {
      const { feature } = node;
      node = node.goesTrue(row[feature] ?? 0) ? node.whenTrue : node.whenFalse;
      const next = expectation(node, row, 0, target);
      values[feature] = (values[feature] ?? 0) + next - here;
      here = next;
    }
  }
  return { base, values };
}

const bits = (set: number): number => (set === 0 ? 0 : (set & 1) + bits(set >>> 1));

/** |S|! (n - |S| - 1)! / n!: the share of orders in which a feature comes right after those of S. */
function orderShare(size: number, width: number): number {
  let share = 1 / width;
  for (let k = 1; k <= size; k++) share *= k / (width - k);
  return share;
}
