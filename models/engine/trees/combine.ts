/**
 * From the leaves of one row to its scores: aggregation, base values and post-transform, in the order and precision in
 * which ONNX Runtime does them (float32 sums over the trees in file order; doubles where the input is double).
 */
import { postTransform, probit } from "../post-transform.ts";
import type { Ensemble } from "./ensemble.ts";
import type { LeafTable } from "./packed-trees.ts";

/** Turns accumulated scores into `width` outputs at `out[to]`. */
export interface Combiner {
  readonly width: number;
  /** Bytes of the table of leaves that it holds. */
  readonly bytes: number;
  /** Forgets the row before. */
  readonly begin: () => void;
  /** Adds a leaf, by its number in the table. */
  readonly add: (leaf: number) => void;
  /** Adds a leaf's value to a target. */
  readonly addValue: (target: number, value: number) => void;
  readonly end: (out: Float32Array, to: number) => void;
}

export interface ClassifierFields {
  /** Leaves name one class only: the classifier is binary and gives the score of one side. */
  readonly singleClass: boolean;
  readonly allPositive: boolean;
}

export interface CombinerFields {
  /** Sum in doubles: the input is double. */
  readonly double: boolean;
  readonly classifier: ClassifierFields | null;
}

const NO_LEAVES: LeafTable = { start: new Int32Array(0), target: new Int32Array(0), weight: new Float64Array(0) };

export function combiner(
  ensemble: Ensemble,
  leaves: LeafTable | null,
  { double, classifier }: CombinerFields,
): Combiner {
  const { targets, aggregate } = ensemble;
  const { start, target, weight } = leaves ?? NO_LEAVES;
  const scores = double ? new Float64Array(targets) : new Float32Array(targets);
  const scored = new Uint8Array(targets);
  const write = (to: number, value: number): void => {
    const before = scores[to] ?? 0;
    const first = scored[to] === 0;
    if (aggregate === "MIN") scores[to] = first || value < before ? value : before;
    else if (aggregate === "MAX") scores[to] = first || value > before ? value : before;
    else scores[to] = before + value;
    scored[to] = 1;
  };
  const finish = classifier === null ? regression(ensemble) : classification(ensemble, classifier);
  return {
    width: outputWidth(targets, classifier),
    bytes: start.byteLength + target.byteLength + weight.byteLength,
    begin: () => {
      scores.fill(0);
      scored.fill(0);
    },
    add: (leaf) => {
      const from = start[leaf] ?? 0;
      const end = targets === 1 ? from + 1 : (start[leaf + 1] ?? 0);
      for (let at = from; at < end; at++) write(target[at] ?? 0, weight[at] ?? 0);
    },
    addValue: write,
    end: (out, to) => finish(scores, scored, out, to),
  };
}

/** A classifier gives a score per class, a binary one always two. */
export function outputWidth(targets: number, classifier: ClassifierFields | null): number {
  return classifier === null ? targets : Math.max(2, targets);
}

type Scores = Float32Array | Float64Array;
/** Which targets some leaf named. */
export const ONE_SCORED = Uint8Array.of(1);

export type Finish = (scores: Scores, scored: Uint8Array, out: Float32Array, to: number) => void;

/**
 * Scores of a regressor. Of several targets, one that no leaf of the row names gives 0, without its base value; of one
 * target, only the probit transform is applied. Both as ONNX Runtime has it.
 */
export function regression(ensemble: Ensemble): Finish {
  const { targets, aggregate, base, transform, roots } = ensemble;
  const useBase = base.length === targets;
  return (scores, scored, out, to) => {
    for (let target = 0; target < targets; target++) {
      if (aggregate === "AVERAGE") scores[target] = (scores[target] ?? 0) / roots.length;
      if (useBase) scores[target] = (scores[target] ?? 0) + (base[target] ?? 0);
      out[to + target] = targets === 1 || scored[target] === 1 ? (scores[target] ?? 0) : 0;
    }
    if (targets > 1) postTransform(out, to, targets, transform);
    else if (transform === "PROBIT") out[to] = probit(out[to] ?? 0);
  };
}

/** Scores of a classifier, with ONNX Runtime's reading of binary models whose leaves name one class. */
function classification({ targets, base, transform }: Ensemble, fields: ClassifierFields): Finish {
  if (targets > 2)
    return (scores, _scored, out, to) => {
      for (let target = 0; target < targets; target++) {
        if (base.length > 0) scores[target] = (scores[target] ?? 0) + (base[target] ?? 0);
        out[to + target] = scores[target] ?? 0;
      }
      postTransform(out, to, targets, transform);
    };
  return (scores, scored, out, to) => {
    const [first, second] = [scored[0] === 1, scored[1] === 1];
    if (base.length === 2 && second) {
      // The first base value is not used, and the second class is taken for the opposite of the first.
      scores[1] = (base[1] ?? 0) + (scores[0] ?? 0);
      scores[0] = -(scores[1] ?? 0);
    } else if (base.length > 0) scores[0] = (scores[0] ?? 0) + (base[0] ?? 0);
    // A class that no leaf of the row names counts as 0, whatever its base value.
    out[to] = first ? (scores[0] ?? 0) : 0;
    out[to + 1] = second ? (scores[1] ?? 0) : 0;
    if (base.length === 2 || second) postTransform(out, to, 2, transform);
    else oneScore(out, to, { base, transform }, fields);
  };
}

/** Two outputs where `out[to]` holds the only score there is. */
function oneScore(
  out: Float32Array,
  to: number,
  { transform, base }: Pick<Ensemble, "transform" | "base">,
  fields: ClassifierFields,
): void {
  const score = out[to] ?? 0;
  if (transform === "PROBIT") out[to] = probit(score);
  // ONNX Runtime leaves the second output unwritten here, and after a probit.
  else if (fields.singleClass || base.length === 0) {
    const complement = fields.singleClass && fields.allPositive && transform !== "LOGISTIC";
    out[to] = complement ? 1 - score : -score;
    out[to + 1] = score;
    if (transform === "LOGISTIC") postTransform(out, to, 2, transform);
  }
}
