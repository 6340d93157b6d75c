/** Element-wise operators. */
import { attribute, floatTensor } from "../../../models/onnx/build-graph.ts";
import type { Attribute } from "../../../models/onnx/model.ts";
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

export const elementwiseCases: readonly OperatorCase[] = [...unary, ...binary, ...logical];
