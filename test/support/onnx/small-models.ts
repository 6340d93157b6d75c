/** Small graphs built with the project's own writer, for tests that need a model and not its mathematics. */
import { attribute, floatTensor, model, node, valueInfo } from "../../../models/onnx/build-graph.ts";
import { treeEnsembleRegressor } from "../../../models/onnx/tree-ensemble.ts";
import { writeModel } from "../../../models/onnx/write-model.ts";

/** Sigmoid of two stumps with covers on three features: x0 <= 1 (missing true) and x2 <= -0.5 (missing false). */
export function stumps(): Uint8Array {
  const stump = (feature: number, threshold: number, missingTrue: number) => ({
    feature: [feature, -1, -1],
    threshold: [threshold, 0, 0],
    whenTrue: [1, 0, 0],
    whenFalse: [2, 0, 0],
    missingTrue: [missingTrue, 0, 0],
    value: [0, -1, 2],
    cover: [10, 6, 4],
  });
  const { node: trees, metadata } = treeEnsembleRegressor({
    input: "x",
    output: "raw",
    trees: [stump(0, 1, 1), stump(2, -0.5, 0)],
    baseValues: [0.25],
  });
  return writeModel(
    model({
      nodes: [trees, node("Sigmoid", { inputs: ["raw"], outputs: ["score"] })],
      inputs: [valueInfo("x", "float32", ["n", 3])],
      outputs: [valueInfo("score", "float32", ["n", 1])],
      metadata,
    }),
  );
}

/** One node of a given type, from x float32[n,3] to y; optional attributes. */
export function singleNode(opType: string, domain = ""): Uint8Array {
  const graph = model({
    nodes: [node(opType, { inputs: ["x"], outputs: ["y"], domain })],
    inputs: [valueInfo("x", "float32", ["n", 3])],
    outputs: [valueInfo("y", "float32", ["n", 3])],
  });
  const opsetImports = new Map(graph.opsetImports);
  if (domain !== "" && !opsetImports.has(domain)) opsetImports.set(domain, 1);
  return writeModel({ ...graph, opsetImports });
}

/** y = x · w, with `width` inputs and one output; as many weights as the test wants bytes. */
export function linear(width: number): Uint8Array {
  return writeModel(
    model({
      nodes: [node("Gemm", { inputs: ["x", "w"], outputs: ["y"], attributes: { alpha: attribute.float(1) } })],
      inputs: [valueInfo("x", "float32", ["n", width])],
      outputs: [valueInfo("y", "float32", ["n", 1])],
      initializers: [
        floatTensor(
          "w",
          [width, 1],
          Float32Array.from({ length: width }, (_, i) => (i % 7) - 3),
        ),
      ],
    }),
  );
}
