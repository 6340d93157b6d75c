/** Matrix products, reductions and normalisations. */
import { attribute } from "../../../models/onnx/build-graph.ts";
import type { Attribute, Tensor } from "../../../models/onnx/model.ts";
import { type Cells, type Draw, ints, op, type OperatorCase } from "./operator-case.ts";

const float = (draw: Draw, ...from: number[]): Attribute => attribute.float(draw.pick(...from));

const products: OperatorCase[] = [
  {
    operator: "Gemm",
    variant: "weights in either order, bias of any shape, factors",
    build: (draw) => {
      const [k, m] = [draw.int(1, 24), draw.int(1, 24)];
      const transB = draw.bool();
      const bias = draw.pick<number[] | null>([m], [1, m], [1], [], null);
      const initializers = [draw.tensor("w", transB ? [m, k] : [k, m], "unit")];
      if (bias) initializers.push(draw.tensor("b", bias));
      const factors = draw.bool() ? { alpha: float(draw, 1, 0.5, -2), beta: float(draw, 1, 0, 2) } : {};
      const attributes = { transB: attribute.int(transB ? 1 : 0), ...factors };
      return {
        inner: [k],
        cells: "real",
        nodes: [op("Gemm", bias ? "x w b" : "x w", "y", attributes)],
        initializers,
        output: "y",
      };
    },
  },
  {
    operator: "MatMul",
    variant: "with constant weights",
    build: (draw) => {
      const inner = draw.dims(draw.int(1, 3));
      const k = inner.at(-1) ?? 1;
      const weights = draw.pick<number[]>([k, draw.int(1, 9)], [k], [1, k, draw.int(1, 9)]);
      const fits = weights.length < 3 || inner.length > 1;
      return {
        inner,
        cells: "unit",
        nodes: [op("MatMul", "x w", "y")],
        initializers: [draw.tensor("w", fits ? weights : [k, 2], "unit")],
        output: "y",
      };
    },
  },
  {
    operator: "MatMul",
    variant: "of the row with itself, per head",
    build: (draw) => {
      const inner = draw.dims(draw.int(2, 3));
      const axes = Array.from({ length: inner.length + 1 }, (_, axis) => axis);
      const perm = [...axes.slice(0, -2), inner.length, inner.length - 1];
      const transpose = op("Transpose", "x", "t", { perm: attribute.ints(perm) });
      return { inner, cells: "unit", nodes: [transpose, op("MatMul", draw.bool() ? "x t" : "t x", "y")], output: "y" };
    },
  },
  {
    operator: "Gemm",
    variant: "layers with activations between",
    build: (draw) => {
      const [k, h, m] = [draw.int(1, 40), draw.int(1, 40), draw.int(1, 6)];
      const initializers = [
        draw.tensor("w1", [k, h], "unit"),
        draw.tensor("b1", [h]),
        draw.tensor("w2", [m, h], "unit"),
        draw.tensor("b2", [m]),
      ];
      const activation = draw.pick("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu");
      const nodes = [
        op("Gemm", "x w1 b1", "h"),
        op(activation, "h", "a"),
        op("Gemm", "a w2 b2", "z", { transB: attribute.int(1) }),
        op("Sigmoid", "z", "y"),
      ];
      return { inner: [k], cells: "unit", nodes, initializers, output: "y" };
    },
  },
];

const REDUCTIONS: readonly (readonly [string, Cells])[] = [
  ["ReduceSum", "real"],
  ["ReduceMean", "real"],
  ["ReduceMax", "wide"],
  ["ReduceMin", "wide"],
  ["ReduceProd", "unit"],
  ["ReduceL1", "real"],
  ["ReduceL2", "real"],
  ["ReduceSumSquare", "real"],
  ["ReduceLogSum", "positive"],
  ["ReduceLogSumExp", "real"],
];

/** One or several inner axes, counted from either end. */
function innerAxes(draw: Draw, rank: number): number[] {
  const chosen = Array.from({ length: rank }, (_, axis) => axis + 1).filter(() => draw.bool());
  const axes = chosen.length > 0 ? chosen : [rank];
  return axes.map((axis) => (draw.bool() ? axis : axis - rank - 1));
}

const reductions: OperatorCase[] = REDUCTIONS.flatMap(([operator, cells]) =>
  (["input", "attribute"] as const).map((variant) => ({
    operator,
    variant: `axes as ${variant}`,
    build: (draw: Draw) => {
      const inner = draw.dims(draw.int(1, 3));
      const axes = innerAxes(draw, inner.length);
      const keepdims = attribute.int(draw.int(0, 1));
      return variant === "input"
        ? {
            inner,
            cells,
            nodes: [op(operator, "x axes", "y", { keepdims })],
            initializers: [ints("axes", axes)],
            output: "y",
          }
        : {
            inner,
            cells,
            nodes: [op(operator, "x", "y", { keepdims, axes: attribute.ints(axes) })],
            output: "y",
            opset: 12,
          };
    },
  })),
);

const normalisations: OperatorCase[] = [
  ...["Softmax", "LogSoftmax"].flatMap((operator) =>
    [18, 11].map((opset) => ({
      operator,
      variant: `opset ${opset}`,
      build: (draw: Draw) => {
        const inner = draw.dims(draw.int(1, 3));
        const axis = draw.int(1, inner.length);
        return {
          inner,
          cells: "real" as const,
          nodes: [op(operator, "x", "y", { axis: attribute.int(axis) })],
          output: "y",
          opset,
        };
      },
    })),
  ),
  {
    operator: "LayerNormalization",
    variant: "",
    build: (draw) => {
      const inner = draw.dims(draw.int(1, 3)).map((size) => size + 1);
      const axis = draw.int(1, inner.length);
      const dims = inner.slice(axis - 1);
      const initializers: Tensor[] = [draw.tensor("s", dims), draw.tensor("b", dims)];
      const attributes = {
        axis: attribute.int(draw.bool() ? axis : axis - inner.length - 1),
        epsilon: float(draw, 1e-5, 1e-3),
      };
      return {
        inner,
        cells: "real",
        nodes: [op("LayerNormalization", draw.bool() ? "x s b" : "x s", "y", attributes)],
        initializers,
        output: "y",
      };
    },
  },
  {
    operator: "BatchNormalization",
    variant: "",
    build: (draw) => {
      const inner = draw.dims(draw.int(1, 3));
      const c = [inner[0] ?? 1];
      const initializers = [
        draw.tensor("s", c),
        draw.tensor("b", c),
        draw.tensor("m", c),
        draw.tensor("v", c, "positive"),
      ];
      return {
        inner,
        cells: "real",
        nodes: [op("BatchNormalization", "x s b m v", "y", { epsilon: float(draw, 1e-5, 1e-3) })],
        initializers,
        output: "y",
      };
    },
  },
  {
    operator: "LpNormalization",
    variant: "",
    build: (draw) => {
      const inner = draw.dims(draw.int(1, 2));
      const attributes = { p: attribute.int(draw.int(1, 2)), axis: attribute.int(draw.pick(-1, inner.length)) };
      return {
        inner, // Squares of denormals vanish in float32 and not in double: no case for exact agreement.
        cells: "tied",
        nodes: [op("LpNormalization", "x", "y", attributes)],
        output: "y",
      };
    },
  },
];

export const mathCases: readonly OperatorCase[] = [...products, ...reductions, ...normalisations];
