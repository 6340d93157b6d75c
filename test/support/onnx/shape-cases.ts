/** Operators that move, pick, count or build values. */
import { attribute, floatTensor, int64Tensor, tensor } from "../../../models/onnx/build-graph.ts";
import { type Draw, ints, op, type OperatorCase, product } from "./operator-case.ts";

const int = attribute.int;

/** An inner axis, counted from either end. */
function innerAxis(draw: Draw, rank: number): number {
  const axis = draw.int(1, rank);
  return draw.bool() ? axis : axis - rank - 1;
}

const at = <T>(list: readonly T[], index: number): T => {
  const found = list.at(index);
  if (found === undefined) throw new Error(`nothing at ${index}`);
  return found;
};

const shapes: OperatorCase[] = [
  {
    operator: "Reshape",
    variant: "with 0 and -1",
    build: (draw) => {
      const inner = draw.dims(draw.int(1, 3));
      const target = draw.pick([0, -1], [-1, product(inner)], [0, 1, -1], [-1, ...inner.toReversed()], [0, ...inner]);
      return {
        inner,
        cells: "any",
        nodes: [op("Reshape", "x s", "y")],
        initializers: [ints("s", target)],
        output: "y",
      };
    },
  },
  {
    operator: "Flatten",
    variant: "",
    build: (draw) => ({
      inner: draw.dims(3),
      cells: "any",
      nodes: [op("Flatten", "x", "y", { axis: int(1) })],
      output: "y",
    }),
  },
  ...[11, 18].flatMap((opset) => [
    {
      operator: "Unsqueeze",
      variant: `opset ${opset}`,
      build: (draw: Draw) => {
        const axes = draw.pick([1], [2], [-1], [1, 3]);
        const nodes =
          opset < 13 ? [op("Unsqueeze", "x", "y", { axes: attribute.ints(axes) })] : [op("Unsqueeze", "x a", "y")];
        return {
          inner: draw.dims(2),
          cells: "real" as const,
          nodes,
          initializers: opset < 13 ? [] : [ints("a", axes)],
          output: "y",
          opset,
        };
      },
    },
    {
      operator: "Squeeze",
      variant: `opset ${opset}`,
      build: (draw: Draw) => {
        const axes = draw.pick([1], [1, -1], [3]);
        const nodes =
          opset < 13 ? [op("Squeeze", "x", "y", { axes: attribute.ints(axes) })] : [op("Squeeze", "x a", "y")];
        return {
          inner: [1, draw.int(1, 4), 1],
          cells: "real" as const,
          nodes,
          initializers: opset < 13 ? [] : [ints("a", axes)],
          output: "y",
          opset,
        };
      },
    },
  ]),
  {
    operator: "Transpose",
    variant: "the batch stays first",
    build: (draw) => {
      const perm = draw.pick([0, 1, 2, 3], [0, 2, 1, 3], [0, 3, 2, 1], [0, 2, 3, 1], [0, 1, 3, 2]);
      return {
        inner: draw.dims(3),
        cells: "any",
        nodes: [op("Transpose", "x", "y", { perm: attribute.ints(perm) })],
        output: "y",
      };
    },
  },
  {
    operator: "Expand",
    variant: "inner dimensions",
    build: (draw) => {
      const inner = [1, draw.int(1, 4)];
      return {
        inner,
        cells: "real",
        nodes: [op("Expand", "x s", "y")],
        initializers: [ints("s", draw.pick([1, draw.int(2, 4), 1], [3, at(inner, 1)], [1]))],
        output: "y",
      };
    },
  },
  {
    operator: "Tile",
    variant: "inner dimensions",
    build: (draw) => ({
      inner: draw.dims(2),
      cells: "real",
      nodes: [op("Tile", "x r", "y")],
      initializers: [ints("r", [1, draw.int(1, 3), draw.int(1, 3)])],
      output: "y",
    }),
  },
  {
    operator: "Shape",
    variant: "computes a reshape",
    build: (draw) => {
      const nodes = [
        op("Shape", "x", "s"),
        op("Gather", "s i", "n", { axis: int(0) }),
        op("Concat", "n rest", "t", { axis: int(0) }),
        op("Reshape", "x t", "y"),
      ];
      return {
        inner: draw.dims(2),
        cells: "real",
        nodes,
        initializers: [ints("i", [0]), ints("rest", [-1])],
        output: "y",
      };
    },
  },
  {
    operator: "ConstantOfShape",
    variant: "as large as the batch",
    build: (draw) => {
      const value = attribute.tensor(tensor("", "float32", [1], Float32Array.of(draw.int(-3, 3))));
      const nodes = [op("Shape", "x", "s"), op("ConstantOfShape", "s", "c", { value }), op("Add", "x c", "y")];
      return { inner: draw.dims(2), cells: "real", nodes, output: "y" };
    },
  },
  {
    operator: "Constant",
    variant: "",
    build: (draw) => {
      const inner = draw.dims(1);
      return {
        inner,
        cells: "real",
        nodes: [
          op("Constant", "", "c", { value: attribute.tensor(draw.tensor("", inner)) }),
          op("Add", "x c", "y"),
        ].map((n) => (n.opType === "Constant" ? { ...n, inputs: [] } : n)),
        output: "y",
      };
    },
  },
  {
    operator: "Range",
    variant: "positions",
    build: (draw) => {
      const k = draw.int(1, 5);
      const initializers = [floatTensor("a", [], [0]), floatTensor("b", [], [k]), floatTensor("d", [], [1])];
      return {
        inner: [k],
        cells: "real",
        nodes: [op("Range", "a b d", "r"), op("Mul", "x r", "y")],
        initializers,
        output: "y",
      };
    },
  },
  {
    operator: "Dropout",
    variant: "does nothing when serving",
    build: (draw) => ({ inner: draw.dims(2), cells: "real", nodes: [op("Dropout", "x", "y")], output: "y" }),
  },
];

const selections: OperatorCase[] = [
  {
    operator: "Concat",
    variant: "",
    build: (draw) => {
      const inner = draw.dims(draw.int(1, 3));
      return {
        inner,
        cells: "any",
        nodes: [op("Abs", "x", "a"), op("Concat", "x a x", "y", { axis: int(innerAxis(draw, inner.length)) })],
        output: "y",
      };
    },
  },
  {
    operator: "Split",
    variant: "sizes, and equal parts",
    build: (draw) => {
      const [a, b, c] = draw.dims(3);
      const inner = [at([a], 0) ?? 1, (b ?? 1) + (c ?? 1)];
      const sizes = draw.bool();
      if (sizes)
        return {
          inner,
          cells: "real",
          nodes: [op("Split", "x s", "l r", { axis: int(2) }), op("Neg", "r", "y")],
          initializers: [ints("s", [b ?? 1, c ?? 1])],
          output: "y",
        };
      return {
        inner: [2 * (b ?? 1)],
        cells: "real",
        nodes: [op("Split", "x", "l r", { axis: int(-1), num_outputs: int(2) }), op("Sub", "l r", "y")],
        output: "y",
      };
    },
  },
  {
    operator: "Slice",
    variant: "starts and ends from either side, steps of either sign",
    build: (draw) => {
      const inner = draw.dims(2).map((size) => size + 1);
      const axis = draw.pick(1, 2, -1);
      const [start, end, step] = draw.pick(
        [0, 2, 1],
        [1, 2 ** 31, 1],
        [-1, -(2 ** 31), -1],
        [-2, 2 ** 31, 1],
        [0, -1, 1],
        [0, 2 ** 31, 2],
      );
      const initializers = [ints("s", [start ?? 0]), ints("e", [end ?? 1]), ints("a", [axis]), ints("t", [step ?? 1])];
      return { inner, cells: "any", nodes: [op("Slice", "x s e a t", "y")], initializers, output: "y" };
    },
  },
  {
    operator: "Gather",
    variant: "embedding rows by id",
    build: (draw) => {
      const [items, width] = [draw.int(1, 9), draw.int(1, 6)];
      const nodes = [op("Cast", "x", "i", { to: int(7) }), op("Gather", "e i", "y", { axis: int(0) })];
      return {
        inner: draw.pick<number[]>([draw.int(1, 4)], [2, 2]),
        cells: "index",
        indexLimit: items,
        nodes,
        initializers: [draw.tensor("e", [items, width])],
        output: "y",
      };
    },
  },
  {
    operator: "Gather",
    variant: "columns, negative indices, scalar index",
    build: (draw) => {
      const inner = draw.dims(2).map((size) => size + 1);
      const axis = draw.pick(1, 2, -1);
      const index = draw.pick(
        int64Tensor("i", [], [-1]),
        int64Tensor("i", [3], [0, -2, 1]),
        int64Tensor("i", [1, 2], [1, 0]),
      );
      return {
        inner,
        cells: "any",
        nodes: [op("Gather", "x i", "y", { axis: int(axis) })],
        initializers: [index],
        output: "y",
      };
    },
  },
  {
    operator: "GatherElements",
    variant: "by a computed order",
    build: (draw) => {
      const k = draw.int(1, 6);
      const nodes = [
        op("TopK", "x k", "v i", { axis: int(-1) }),
        op("Abs", "x", "a"),
        op("GatherElements", "a i", "y", { axis: int(1) }),
      ];
      return { inner: [k], cells: "tied", nodes, initializers: [ints("k", [draw.int(1, k)])], output: "y" };
    },
  },
  ...["values", "indices"].map((variant) => ({
    operator: "TopK",
    variant: `${variant}, ties included`,
    build: (draw: Draw) => {
      const k = draw.int(1, 8);
      const attributes = { axis: int(draw.pick(-1, 1)), largest: int(draw.int(0, 1)), sorted: int(1) };
      return {
        inner: [k],
        cells: "tied" as const,
        nodes: [op("TopK", "x k", "v i", attributes)],
        initializers: [ints("k", [draw.int(1, k)])],
        output: variant === "values" ? "v" : "i",
        cast: variant === "indices",
      };
    },
  })),
  ...["ArgMax", "ArgMin"].map((operator) => ({
    operator,
    variant: "ties included",
    build: (draw: Draw) => {
      const inner = draw.dims(draw.int(1, 2));
      const attributes = {
        axis: int(innerAxis(draw, inner.length)),
        keepdims: int(draw.int(0, 1)),
        select_last_index: int(draw.int(0, 1)),
      };
      return { inner, cells: "tied" as const, nodes: [op(operator, "x", "y", attributes)], output: "y", cast: true };
    },
  })),
];

export const shapeCases: readonly OperatorCase[] = [...shapes, ...selections];
