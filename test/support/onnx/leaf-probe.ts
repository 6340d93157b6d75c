/** Turns an ensemble into a graph that answers, for every tree, which leaf a row reaches. */
import { attribute, model, node, valueInfo } from "../../../models/onnx/build-graph.ts";
import type { Attribute, Model, Node } from "../../../models/onnx/model.ts";
import { writeModel } from "../../../models/onnx/write-model.ts";

const ROUTING = [
  "nodes_treeids",
  "nodes_nodeids",
  "nodes_featureids",
  "nodes_values",
  "nodes_modes",
  "nodes_truenodeids",
  "nodes_falsenodeids",
  "nodes_missing_value_tracks_true",
];

export function ensembleOf(model: Model): Node {
  const found = model.graph.nodes.find(({ opType }) => opType.startsWith("TreeEnsemble"));
  if (!found) throw new Error("no tree ensemble in the graph");
  return found;
}

/**
 * @returns `TreeEnsembleRegressor` with the same nodes, one target per tree and, as the weight of a leaf, its position in
 * the node arrays: an integer, exact in float32, so that a wrong branch cannot hide behind rounding.
 */
export function leafProbe(source: Model, width: number): Uint8Array {
  const ensemble = ensembleOf(source);
  const trees = ints(ensemble, "nodes_treeids");
  const modes = ensemble.attributes.get("nodes_modes");
  if (modes?.type !== "strings") throw new Error("no nodes_modes");
  const nodes = ints(ensemble, "nodes_nodeids");
  const order = [...new Set(trees)].sort((a, b) => a - b);
  const leaves = [...trees.keys()].filter((index) => modes.value[index] === "LEAF");
  const kept = ROUTING.flatMap((name): [string, Attribute][] => {
    const value = ensemble.attributes.get(name);
    return value ? [[name, value]] : [];
  });
  const probe = node("TreeEnsembleRegressor", {
    domain: "ai.onnx.ml",
    inputs: ["x"],
    outputs: ["leaf"],
    attributes: {
      ...Object.fromEntries(kept),
      n_targets: attribute.int(order.length),
      target_treeids: attribute.ints(leaves.map((index) => trees[index] ?? 0)),
      target_nodeids: attribute.ints(leaves.map((index) => nodes[index] ?? 0)),
      target_ids: attribute.ints(leaves.map((index) => order.indexOf(trees[index] ?? 0))),
      target_weights: attribute.floats(leaves),
      post_transform: attribute.string("NONE"),
    },
  });
  return writeModel(
    model({
      nodes: [probe],
      inputs: [valueInfo("x", "float32", ["n", width])],
      outputs: [valueInfo("leaf", "float32", ["n", order.length])],
    }),
  );
}

function ints(from: Node, name: string): number[] {
  const found = from.attributes.get(name);
  if (found?.type !== "ints") throw new Error(`no ${name}`);
  return [...found.value];
}
