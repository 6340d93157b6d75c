import type { PostTransform } from "../post-transform.ts";

/** How a node compares its feature with its threshold; numbers as in `TreeEnsemble` of ai.onnx.ml version 5. */
export const Mode = { LEQ: 0, LT: 1, GTE: 2, GT: 3, EQ: 4, NEQ: 5, MEMBER: 6, LEAF: 7 } as const;

export type Aggregate = "SUM" | "AVERAGE" | "MIN" | "MAX";

/** A tree ensemble as its file states it, with children and leaf weights resolved to positions: one entry per node. */
export interface Ensemble {
  /** First node of each tree, in the order in which ONNX Runtime adds them up. */
  readonly roots: Int32Array;
  readonly mode: Uint8Array;
  readonly feature: Int32Array;
  readonly threshold: Float64Array;
  readonly whenTrue: Int32Array;
  readonly whenFalse: Int32Array;
  /** 1: a missing value goes to `whenTrue` even where the comparison fails. */
  readonly missingTrue: Uint8Array;
  /** Values of a MEMBER node by its position. */
  readonly members: ReadonlyMap<number, Float64Array>;
  /** Weights of leaf n: positions `weightStart[n]` to `weightStart[n + 1]`. */
  readonly weightStart: Int32Array;
  readonly weightTarget: Int32Array;
  readonly weight: Float64Array;
  /** Training rows (or hessian sums) per node, from the model's metadata; null where it has none. */
  readonly cover: Float64Array | null;
  /** Some node has two parents (chains of equalities that share a branch): no tree, but it can be walked. */
  readonly shared: boolean;
  readonly targets: number;
  readonly base: Float64Array;
  readonly aggregate: Aggregate;
  readonly transform: PostTransform;
  /** Largest feature index + 1. */
  readonly features: number;
}
