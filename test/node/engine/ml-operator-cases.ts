/** Small graphs of ai.onnx.ml, and of what the planner does with constants; see `operators.test.ts`. */
import { attribute as a, floatTensor, int64Tensor, node, tensor } from "../../../models/onnx/build-graph.ts";
import { type Case, ml, normal, one, op, WIDTH, x, y } from "./case-makers.ts";

export const ML_OPERATOR_CASES: Readonly<Record<string, Case>> = {
  LinearRegressor: {
    nodes: [
      ml("LinearRegressor", {
        coefficients: a.floats(normal(WIDTH * 2)),
        intercepts: a.floats([0.1, -0.2]),
        targets: a.int(2),
      }),
    ],
  },
  ...Object.fromEntries(
    ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"].flatMap((transform) =>
      [1, 2, 3].map((classes) => [
        `LinearClassifier of ${classes} scores, ${transform}`,
        {
          nodes: [
            ml(
              "LinearClassifier",
              {
                coefficients: a.floats(normal(WIDTH * classes)),
                intercepts: a.floats(normal(classes)),
                post_transform: a.string(transform),
                classlabels_ints: a.ints(classes === 3 ? [0, 1, 2] : [0, 1]),
              },
              ["label", "y"],
            ),
          ],
        },
      ]),
    ),
  ),
  Scaler: { nodes: [ml("Scaler", { offset: a.floats(normal(WIDTH)), scale: a.floats(normal(WIDTH)) })] },
  ...Object.fromEntries(
    ["MAX", "L1", "L2"].map((norm) => [`Normalizer ${norm}`, { nodes: [ml("Normalizer", { norm: a.string(norm) })] }]),
  ),
  "Imputer of NaN": {
    nodes: [
      ml("Imputer", { imputed_value_floats: a.floats(normal(WIDTH)), replaced_value_float: a.float(Number.NaN) }),
    ],
    input: (value, index) => (index % 3 === 0 ? Number.NaN : value),
  },
  "Imputer of a number": {
    nodes: [ml("Imputer", { imputed_value_floats: a.floats([7]), replaced_value_float: a.float(1) })],
    input: (_, index) => index % 3,
  },
  Binarizer: { nodes: [ml("Binarizer", { threshold: a.float(0.3) })] },
  ArrayFeatureExtractor: {
    nodes: [node("ArrayFeatureExtractor", { inputs: ["x", "i"], outputs: y, domain: "ai.onnx.ml" })],
    constants: [int64Tensor("i", [3], [4, 0, 4])],
  },
  FeatureVectorizer: {
    nodes: [
      op("Relu", {}, x, ["r"]),
      node("FeatureVectorizer", {
        inputs: ["x", "r"],
        outputs: y,
        domain: "ai.onnx.ml",
        attributes: { inputdimensions: a.ints([WIDTH, WIDTH]) },
      }),
    ],
  },
  Dropout: one("Dropout", {}, { opset: 9 }),
  "constants that are folded": {
    nodes: [op("Exp", {}, ["c"], ["e"]), op("Neg", {}, ["e"], ["n"]), op("Add", {}, ["x", "n"])],
    constants: [floatTensor("c", [WIDTH], normal(WIDTH))],
  },
  "half-precision constant": {
    nodes: [op("Cast", { to: a.int(1) }, ["h"], ["f"]), op("Add", {}, ["x", "f"])],
    constants: [tensor("h", "float16", [1], Uint16Array.of(0x3e00))],
  },
};
