/** Element-wise operators, matrix products, reductions and normalisations. */
import { attribute, floatTensor } from "../../../models/onnx/build-graph.ts";
import type { Attribute, Tensor } from "../../../models/onnx/model.ts";
import { type Cells, type Draw, ints, op, type OperatorCase } from "./operator-case.ts";

type Attributes = (draw: Draw) => Record<string, Attribute>;
const none: Attributes = () => ({});
const float = (draw: Draw, ...from: number[]): Attribute => attribute.float(draw.pick(...from));

const UNARY: readonly (readonly [string, Cells, Attributes, number?])[] = [
  ["Abs", "any", none],
  ["Neg", "any", none],
  ["Sign", "wide", none],
  ["Exp", "real", none],
  ["Log", "positive", none],
  ["Sqrt", "positive", none],
  ["Reciprocal", "positive", none],
  ["Floor", "any", none],
  ["Ceil", "any", none],
  ["Round", "real", none],
  ["Sin", "real", none],
  ["Cos", "real", none],
  ["Tan", "unit", none],
  ["Asin", "unit", none],
  ["Acos", "unit", none],
  ["Atan", "wide", none],
  ["Sinh", "real", none],
  ["Cosh", "real", none],
  ["Tanh", "wide", none],
  ["Erf", "wide", none],
  ["Sigmoid", "wide", none],
  ["Relu", "wide", none],
  ["Softplus", "real", none],
  ["Softsign", "real", none],
  ["Identity", "any", none],
  ["Mish", "real", none],
  ["HardSwish", "real", none],
  ["LeakyRelu", "wide", (draw) => ({ alpha: float(draw, 0.01, 0.3) })],
  ["Elu", "real", (draw) => ({ alpha: float(draw, 1, 0.5) })],
  ["Celu", "real", (draw) => ({ alpha: float(draw, 1, 0.5) })],
  ["Selu", "real", (draw) => ({ alpha: float(draw, 1.67326, 1.5), gamma: float(draw, 1.0507, 2) })],
  ["ThresholdedRelu", "tied", (draw) => ({ alpha: float(draw, 1, 0) })],
  ["HardSigmoid", "real", (draw) => ({ alpha: float(draw, 0.2, 0.5), beta: float(draw, 0.5, 0) })],
  ["Gelu", "real", (draw) => ({ approximate: attribute.string(draw.pick("none", "tanh")) }), 20],
];

const unary: OperatorCase[] = UNARY.map(([operator, cells, attributes, opset]) => ({
  operator,
  variant: cells,
  build: (draw) => ({
    inner: draw.dims(draw.int(1, 3)),
    cells,
    nodes: [op(operator, "x", "y", attributes(draw))],
    output: "y",
    ...(opset === undefined ? {} : { opset }),
  }),
}));

/** A shape that broadcasts against [n, …inner] without adding to it: suffixes with some dimensions 1. */
function broadcastDims(draw: Draw, inner: readonly number[]): number[] {
  const rank = draw.int(0, inner.length + 1);
  if (rank === inner.length + 1) return [1, ...inner];
  return inner.slice(inner.length - rank).map((size) => (draw.bool() ? size : 1));
}

const BINARY: readonly (readonly [string, Cells, boolean])[] = [
  ["Add", "any", false],
  ["Sub", "any", false],
  ["Mul", "any", false],
  ["Div", "any", false],
  ["Pow", "positive", false],
  ["Equal", "tied", true],
  ["Greater", "any", true],
  ["GreaterOrEqual", "any", true],
  ["Less", "any", true],
  ["LessOrEqual", "any", true],
  ["PRelu", "real", false],
  ["Max", "wide", false],
  ["Min", "wide", false],
  ["Sum", "real", false],
  ["Mean", "real", false],
];

/** With a constant on either side, or with a value of the row itself (kept whole, or reduced to one number). */
const binary: OperatorCase[] = BINARY.flatMap(([operator, cells, cast]) =>
  (["constant", "row"] as const).map((variant) => ({
    operator,
    variant,
    build: (draw: Draw) => {
      const inner = draw.dims(draw.int(1, 3));
      const swap = operator !== "PRelu" && draw.bool();
      const inputs = swap ? "c x" : "x c";
      if (variant === "constant" || operator === "PRelu") {
        const c = draw.tensor("c", broadcastDims(draw, inner), cells);
        return { inner, cells, nodes: [op(operator, inputs, "y")], initializers: [c], output: "y", cast };
      }
      // A maximum of 0 and -0 may be either, and a division tells them apart.
      const other =
        operator === "Div" || draw.bool()
          ? op("Abs", "x", "c")
          : op("ReduceMax", "x axes", "c", { keepdims: attribute.int(1) });
      const safe = cells === "any" ? "wide" : cells;
      return {
        inner,
        cells: safe,
        nodes: [other, op(operator, inputs, "y")],
        initializers: [ints("axes", [-1])],
        output: "y",
        cast,
      };
    },
  })),
);

const logical: OperatorCase[] = [
  ...["And", "Or", "Xor"].map((operator) => ({
    operator,
    variant: "of comparisons",
    build: (draw: Draw) => ({
      inner: draw.dims(2),
      cells: "tied" as const,
      nodes: [op("Greater", "x zero", "a"), op("Less", "x one", "b"), op(operator, "a b", "y")],
      initializers: [floatTensor("zero", [], [0]), floatTensor("one", [1], [1])],
      output: "y",
      cast: true,
    }),
  })),
  {
    operator: "Not",
    variant: "of NaN",
    build: (draw) => ({
      inner: draw.dims(1),
      cells: "any",
      nodes: [op("IsNaN", "x", "a"), op("Not", "a", "y")],
      output: "y",
      cast: true,
    }),
  },
  {
    operator: "IsNaN",
    variant: "",
    build: (draw) => ({ inner: draw.dims(2), cells: "any", nodes: [op("IsNaN", "x", "y")], output: "y", cast: true }),
  },
  {
    operator: "Where",
    variant: "missing values replaced",
    build: (draw) => {
      const inner = draw.dims(2);
      const initializers = [draw.tensor("c", broadcastDims(draw, inner))];
      return {
        inner,
        cells: "any",
        nodes: [op("IsNaN", "x", "m"), op("Where", "m c x", "y")],
        initializers,
        output: "y",
      };
    },
  },
  ...["inputs", "attributes", "one bound"].map((variant) => ({
    operator: "Clip",
    variant,
    build: (draw: Draw) => {
      const [low, high] = [-draw.int(0, 3), draw.int(0, 3)];
      const bounds = [floatTensor("low", [], [low]), floatTensor("high", [], [high])];
      const clip = { min: attribute.float(low), max: attribute.float(high) };
      return variant === "attributes"
        ? { inner: draw.dims(2), cells: "wide" as const, nodes: [op("Clip", "x", "y", clip)], output: "y", opset: 6 }
        : {
            inner: draw.dims(2),
            cells: "wide" as const,
            nodes: [op("Clip", variant === "inputs" ? "x low high" : "x _ high", "y")],
            initializers: bounds,
            output: "y",
          };
    },
  })),
  {
    operator: "Mod",
    variant: "fmod",
    build: (draw) => ({
      inner: draw.dims(1),
      cells: "real",
      nodes: [op("Mod", "x c", "y", { fmod: attribute.int(1) })],
      initializers: [floatTensor("c", [], [draw.pick(1.5, -2, 3)])],
      output: "y",
    }),
  },
  ...[6, 7, 9, 11].map((to) => ({
    operator: "Cast",
    variant: `through type ${to}`,
    build: (draw: Draw) => ({
      inner: draw.dims(1),
      cells: "real" as const,
      nodes: [op("Cast", "x", "a", { to: attribute.int(to) })],
      output: "a",
      cast: true,
    }),
  })),
];

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

export const mathCases: readonly OperatorCase[] = [
  ...unary,
  ...binary,
  ...logical,
  ...products,
  ...reductions,
  ...normalisations,
];
