import { attribute, floatTensor, node, tensor } from "./build-graph.ts";
import { OnnxError } from "./error.ts";
import { encodeTreeCover, treeCoverKey } from "./tree-cover.ts";
import type { RegressionTree, Regressor } from "./tree-ensemble.ts";

/** A tree some of whose splits ask for membership in a set instead of an order. */
export interface MemberTree extends RegressionTree {
  /** Per node: the values that go to `whenTrue`, or null for a threshold. NaN is a member of nothing. */
  readonly members: ArrayLike<readonly number[] | null>;
}

export interface MemberEnsembleFields {
  readonly input: string;
  readonly output: string;
  /** Every tree has at least one split: a constant belongs into the leaves of another. */
  readonly trees: readonly MemberTree[];
  /** Default 1. */
  readonly targets?: number;
  readonly targetOf?: readonly number[];
}

const BRANCH_LEQ = 0;
const BRANCH_MEMBER = 6;
const SUM = 1;

/**
 * Boosted trees with set splits as `TreeEnsemble` of ai.onnx.ml version 5 (`BRANCH_LEQ` and `BRANCH_MEMBER`). The
 * operator has no base values. Models without sets are better off with `treeEnsembleRegressor`, which older runtimes read.
 * @throws OnnxError for a child out of range or a tree without a split
 */
export function memberTreeEnsemble(fields: MemberEnsembleFields): Regressor {
  const builder = new EnsembleColumns();
  for (const [tree, shape] of fields.trees.entries()) builder.add(shape, tree, fields.targetOf?.[tree] ?? 0);
  const built = node("TreeEnsemble", {
    domain: "ai.onnx.ml",
    inputs: [fields.input],
    outputs: [fields.output],
    attributes: builder.attributes(fields.targets ?? 1),
  });
  const covered = fields.trees.every((tree) => tree.cover !== undefined);
  return { node: built, metadata: new Map(covered ? [[treeCoverKey(fields.output), builder.cover()]] : []) };
}

/** The parallel arrays of the operator: nodes of all trees, then leaves of all trees. */
class EnsembleColumns {
  private readonly roots: number[] = [];
  private readonly feature: number[] = [];
  private readonly split: number[] = [];
  private readonly mode: number[] = [];
  private readonly missing: number[] = [];
  private readonly children = { true: [] as number[], false: [] as number[] };
  private readonly childLeaf = { true: [] as number[], false: [] as number[] };
  private readonly membership: number[] = [];
  private readonly leafTarget: number[] = [];
  private readonly leafWeight: number[] = [];
  private readonly nodeCover: number[] = [];
  private readonly leafCover: number[] = [];

  add(tree: MemberTree, treeIndex: number, target: number): void {
    if ((tree.feature[0] ?? -1) < 0) throw new OnnxError("bad-graph", `tree ${treeIndex} has no split`);
    this.roots.push(this.feature.length);
    const place = this.places(tree);
    for (let index = 0; index < tree.feature.length; index++) {
      if ((tree.feature[index] ?? -1) < 0) {
        this.leafTarget.push(target);
        this.leafWeight.push(tree.value[index] ?? 0);
        this.leafCover.push(tree.cover?.[index] ?? 0);
      } else this.addSplit(tree, index, place, treeIndex);
    }
  }

  /** Where each node of the tree will stand among all nodes or all leaves. */
  private places(tree: MemberTree): Int32Array {
    let nodes = this.feature.length;
    let leaves = this.leafWeight.length;
    return Int32Array.from({ length: tree.feature.length }, (_, index) =>
      (tree.feature[index] ?? -1) < 0 ? leaves++ : nodes++,
    );
  }

  private addSplit(tree: MemberTree, index: number, place: Int32Array, treeIndex: number): void {
    const members = tree.members[index] ?? null;
    this.feature.push(tree.feature[index] ?? 0);
    this.split.push(members ? 0 : (tree.threshold[index] ?? 0));
    this.mode.push(members ? BRANCH_MEMBER : BRANCH_LEQ);
    this.missing.push(tree.missingTrue[index] ?? 0);
    this.nodeCover.push(tree.cover?.[index] ?? 0);
    // Sets follow each other in node order, each ended by NaN.
    if (members) this.membership.push(...members, Number.NaN);
    for (const side of ["true", "false"] as const) {
      const child = (side === "true" ? tree.whenTrue : tree.whenFalse)[index] ?? -1;
      const at = place[child];
      if (at === undefined)
        throw new OnnxError("bad-graph", `tree ${treeIndex}: child ${child} is not one of its nodes`);
      this.children[side].push(at);
      this.childLeaf[side].push((tree.feature[child] ?? -1) < 0 ? 1 : 0);
    }
  }

  attributes(targets: number) {
    const nodes = this.feature.length;
    return {
      tree_roots: attribute.ints(this.roots),
      nodes_featureids: attribute.ints(this.feature),
      nodes_modes: attribute.tensor(tensor("nodes_modes", "uint8", [nodes], Uint8Array.from(this.mode))),
      nodes_splits: attribute.tensor(floatTensor("nodes_splits", [nodes], this.split)),
      nodes_truenodeids: attribute.ints(this.children.true),
      nodes_falsenodeids: attribute.ints(this.children.false),
      nodes_trueleafs: attribute.ints(this.childLeaf.true),
      nodes_falseleafs: attribute.ints(this.childLeaf.false),
      nodes_missing_value_tracks_true: attribute.ints(this.missing),
      leaf_targetids: attribute.ints(this.leafTarget),
      leaf_weights: attribute.tensor(floatTensor("leaf_weights", [this.leafWeight.length], this.leafWeight)),
      membership_values: attribute.tensor(floatTensor("membership_values", [this.membership.length], this.membership)),
      n_targets: attribute.int(targets),
      aggregate_function: attribute.int(SUM),
      post_transform: attribute.int(0),
    };
  }

  cover(): string {
    return encodeTreeCover(Float64Array.from([...this.nodeCover, ...this.leafCover]));
  }
}
