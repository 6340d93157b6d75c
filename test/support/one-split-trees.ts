import { attribute, node } from "../../models/onnx/build-graph.ts";

/** One tree with one split, of input `features`: `below` up to the threshold and where the value is missing, `above` beyond it. */
export function oneSplitTrees(
  output: string,
  { feature, threshold, below, above }: Readonly<Record<"feature" | "threshold" | "below" | "above", number>>,
): ReturnType<typeof node> {
  return node("TreeEnsembleRegressor", {
    domain: "ai.onnx.ml",
    inputs: ["features"],
    outputs: [output],
    attributes: {
      nodes_treeids: attribute.ints([0, 0, 0]),
      nodes_nodeids: attribute.ints([0, 1, 2]),
      nodes_featureids: attribute.ints([feature, 0, 0]),
      nodes_values: attribute.floats([threshold, 0, 0]),
      nodes_modes: attribute.strings(["BRANCH_LEQ", "LEAF", "LEAF"]),
      nodes_truenodeids: attribute.ints([1, 0, 0]),
      nodes_falsenodeids: attribute.ints([2, 0, 0]),
      nodes_missing_value_tracks_true: attribute.ints([1, 0, 0]),
      n_targets: attribute.int(1),
      target_treeids: attribute.ints([0, 0]),
      target_nodeids: attribute.ints([1, 2]),
      target_ids: attribute.ints([0, 0]),
      target_weights: attribute.floats([below, above]),
      aggregate_function: attribute.string("SUM"),
      post_transform: attribute.string("NONE"),
    },
  });
}
