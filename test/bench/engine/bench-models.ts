import { floatTensor, model, node, valueInfo } from "../../../models/onnx/build-graph.ts";
import type { Node, Tensor } from "../../../models/onnx/model.ts";
import { type RegressionTree, treeEnsembleRegressor } from "../../../models/onnx/tree-ensemble.ts";
import { writeModel } from "../../../models/onnx/write-model.ts";
import { gaussian, generatedRows, generatedTrees, seededRandom } from "../../support/generated-trees.ts";

export interface BenchModel {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly features: number;
  /** null for a network. */
  readonly trees: readonly RegressionTree[] | null;
  /** Multiplications of one row; 0 for trees. */
  readonly products: number;
}

/** Columns of the tree models: about what the fraud model reads. */
const TREE_FEATURES = 30;

export const TREE_SHAPES = [
  [100, 6],
  [200, 6],
  [500, 8],
  [1000, 8],
] as const;

const DENSE_SHAPES = [
  [30, 128, 64, 1],
  [64, 256, 128, 1],
] as const;

/** Boosted trees: nearly full, missing values both ways, covers for explanations, a sigmoid behind the sum. */
export function treeModel(trees: number, depth: number): BenchModel {
  const made = generatedTrees({ trees, depth, features: TREE_FEATURES, seed: trees + depth });
  const { node: ensemble, metadata } = treeEnsembleRegressor({
    input: "x",
    output: "raw",
    trees: made,
    baseValues: [-1],
  });
  const graph = model({
    nodes: [ensemble, node("Sigmoid", { inputs: ["raw"], outputs: ["p"] })],
    inputs: [valueInfo("x", "float32", [null, TREE_FEATURES])],
    outputs: [valueInfo("p", "float32", [null, 1])],
    metadata,
  });
  return { id: `trees-${trees}x${depth}`, bytes: writeModel(graph), features: TREE_FEATURES, trees: made, products: 0 };
}

/** A multilayer perceptron: ReLU between the layers, a sigmoid at the end, weights as an initialiser would draw them. */
function denseModel(sizes: readonly number[]): BenchModel {
  const random = seededRandom(sizes.length);
  const nodes: Node[] = [];
  const initializers: Tensor[] = [];
  let products = 0;
  let previous = "x";
  for (let layer = 0; layer + 1 < sizes.length; layer++) {
    const [depth = 1, width = 1] = sizes.slice(layer);
    const scale = Math.sqrt(2 / depth);
    const weights = Float32Array.from({ length: depth * width }, () => gaussian(random) * scale);
    initializers.push(
      floatTensor(`w${layer}`, [depth, width], weights),
      floatTensor(`b${layer}`, [width], new Float32Array(width)),
    );
    const last = layer + 2 === sizes.length;
    const output = last ? "p" : `a${layer}`;
    nodes.push(node("Gemm", { inputs: [previous, `w${layer}`, `b${layer}`], outputs: [`h${layer}`] }));
    nodes.push(node(last ? "Sigmoid" : "Relu", { inputs: [`h${layer}`], outputs: [output] }));
    previous = output;
    products += depth * width;
  }
  const features = sizes[0] ?? 1;
  const graph = model({
    nodes,
    initializers,
    inputs: [valueInfo("x", "float32", [null, features])],
    outputs: [valueInfo("p", "float32", [null, 1])],
  });
  return { id: `dense-${sizes.join("-")}`, bytes: writeModel(graph), features, trees: null, products };
}

export function benchModels(): BenchModel[] {
  return [...TREE_SHAPES.map(([trees, depth]) => treeModel(trees, depth)), ...DENSE_SHAPES.map(denseModel)];
}

/** Rows to score: 5 % missing for trees, none for networks. */
export function benchRows({ features, trees }: BenchModel, rows: number): Float32Array {
  return generatedRows(rows, features, rows + 1, trees === null ? 0 : 0.05);
}
