import { type Ensemble, Mode } from "./ensemble.ts";

/** Node of the leaf that a row reaches: every comparison, any precision, shared branches. */
export function leafOfAny(ensemble: Ensemble, root: number, x: ArrayLike<number>, from: number): number {
  const { mode, feature, threshold, missingTrue, whenTrue, whenFalse } = ensemble;
  let node = root;
  for (;;) {
    const comparison = mode[node] ?? Mode.LEAF;
    if (comparison === Mode.LEAF) return node;
    const value = x[from + (feature[node] ?? 0)] ?? 0;
    const goesTrue =
      holds(ensemble, node, comparison, value, threshold[node] ?? 0) ||
      (missingTrue[node] === 1 && Number.isNaN(value));
    node = (goesTrue ? whenTrue[node] : whenFalse[node]) ?? 0;
  }
}

function holds(ensemble: Ensemble, node: number, comparison: number, value: number, threshold: number): boolean {
  switch (comparison) {
    case Mode.LEQ:
      return value <= threshold;
    case Mode.LT:
      return value < threshold;
    case Mode.GTE:
      return value >= threshold;
    case Mode.GT:
      return value > threshold;
    case Mode.EQ:
      return value === threshold;
    case Mode.NEQ:
      return value !== threshold;
    default:
      return ensemble.members.get(node)?.includes(value) ?? false;
  }
}
