/** Operators of ai.onnx.ml beside trees. */
import { attribute } from "../../../models/onnx/build-graph.ts";
import { ints, ml, op, type OperatorCase } from "./operator-case.ts";

const int = attribute.int;
const strings = attribute.string;
/**
 * SOFTMAX_ZERO blows up what is left when a sum of products cancels, so its cases use whole numbers, whose sums are exact.
 */
const cellsFor = (post: string): "real" | "tied" => (post === "SOFTMAX_ZERO" ? "tied" : "real");
const POSTS = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"] as const;

export const mlCases: readonly OperatorCase[] = [
  {
    operator: "ai.onnx.ml.Scaler",
    variant: "one factor, or one per column",
    build: (draw) => {
      const k = draw.int(1, 6);
      const size = draw.pick(1, k);
      return {
        inner: [k],
        cells: "any",
        nodes: [
          ml("Scaler", "y", {
            offset: attribute.floats(draw.floats(size)),
            scale: attribute.floats(draw.floats(size)),
          }),
        ],
        output: "y",
      };
    },
  },
  {
    operator: "ai.onnx.ml.Normalizer",
    variant: "MAX, L1, L2, rows of zeros",
    build: (draw) => ({
      inner: draw.dims(1),
      cells: "tied",
      nodes: [ml("Normalizer", "y", { norm: strings(draw.pick("MAX", "L1", "L2")) })],
      output: "y",
    }),
  },
  {
    operator: "ai.onnx.ml.LinearRegressor",
    variant: "targets, intercepts, post-transforms",
    build: (draw) => {
      const [k, m] = [draw.int(1, 6), draw.int(1, 3)];
      const post = draw.pick(...POSTS);
      const cells = cellsFor(post);
      const attributes = {
        targets: int(m),
        coefficients: attribute.floats(draw.floats(k * m, cells)),
        post_transform: strings(post),
      };
      return {
        inner: [k],
        cells,
        nodes: [
          ml(
            "LinearRegressor",
            "y",
            draw.bool() ? { ...attributes, intercepts: attribute.floats(draw.floats(m, cells)) } : attributes,
          ),
        ],
        output: "y",
      };
    },
  },
  {
    operator: "ai.onnx.ml.LinearClassifier",
    variant: "two and more classes, one or all rows of coefficients",
    build: (draw) => {
      const [k, classes] = [draw.int(1, 6), draw.int(2, 4)];
      const rows = classes === 2 ? draw.pick(1, 2) : classes;
      const post = draw.pick(...POSTS);
      const cells = cellsFor(post);
      const attributes = {
        coefficients: attribute.floats(draw.floats(k * rows, cells)),
        intercepts: attribute.floats(draw.floats(rows, cells)),
        classlabels_ints: attribute.ints(Array.from({ length: classes }, (_, i) => i)),
        multi_class: int(draw.int(0, 1)),
        post_transform: strings(post),
      };
      return { inner: [k], cells, nodes: [ml("LinearClassifier", "label y", attributes)], output: "y" };
    },
  },
  {
    operator: "ai.onnx.ml.Imputer",
    variant: "NaN or a number stands for missing",
    build: (draw) => {
      const k = draw.int(1, 5);
      const attributes = {
        imputed_value_floats: attribute.floats(draw.floats(draw.pick(1, k))),
        replaced_value_float: attribute.float(draw.pick(Number.NaN, 1)),
      };
      return { inner: [k], cells: "any", nodes: [ml("Imputer", "y", attributes)], output: "y" };
    },
  },
  {
    operator: "ai.onnx.ml.Binarizer",
    variant: "ties at the threshold",
    build: (draw) => ({
      inner: draw.dims(2),
      cells: "tied",
      nodes: [ml("Binarizer", "y", { threshold: attribute.float(draw.pick(0, 1)) })],
      output: "y",
    }),
  },
  {
    operator: "ai.onnx.ml.ArrayFeatureExtractor",
    variant: "columns by number",
    build: (draw) => {
      const k = draw.int(1, 6);
      const node = { ...ml("ArrayFeatureExtractor", "y", {}), inputs: ["x", "i"] };
      return {
        inner: [k],
        cells: "any",
        nodes: [node],
        initializers: [ints("i", [k - 1, 0, draw.int(0, k - 1)])],
        output: "y",
      };
    },
  },
  {
    operator: "ai.onnx.ml.OneHotEncoder",
    variant: "unknown categories give zeros",
    build: (draw) => {
      const encoder = {
        ...ml("OneHotEncoder", "y", { cats_int64s: attribute.ints([0, 2, 3]), zeros: int(1) }),
        inputs: ["i"],
      };
      return {
        inner: [draw.int(1, 3)],
        cells: "index",
        indexLimit: 6,
        nodes: [op("Cast", "x", "i", { to: int(7) }), encoder],
        output: "y",
      };
    },
  },
  {
    operator: "ai.onnx.ml.LabelEncoder",
    variant: "integers to floats with a default",
    build: (draw) => {
      const attributes = {
        keys_int64s: attribute.ints([0, 1, 4]),
        values_floats: attribute.floats(draw.floats(3)),
        default_float: attribute.float(draw.int(-3, 3)),
      };
      return {
        inner: [draw.int(1, 3)],
        cells: "index",
        indexLimit: 6,
        nodes: [op("Cast", "x", "i", { to: int(7) }), { ...ml("LabelEncoder", "y", attributes), inputs: ["i"] }],
        output: "y",
      };
    },
  },
  {
    operator: "ai.onnx.ml.FeatureVectorizer",
    variant: "columns side by side",
    build: (draw) => {
      const k = draw.int(1, 5);
      const node = { ...ml("FeatureVectorizer", "y", { inputdimensions: attribute.ints([k, k]) }), inputs: ["x", "a"] };
      return { inner: [k], cells: "real", nodes: [op("Abs", "x", "a"), node], output: "y" };
    },
  },
];
