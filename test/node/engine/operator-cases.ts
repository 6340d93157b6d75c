/** One or more small graphs per operator of the standard domain; see `operators.test.ts`. */
import { attribute as a, floatTensor, int64Tensor } from "../../../models/onnx/build-graph.ts";
import { type Case, cube, normal, one, op, positive, small, WIDTH, withConstant, x, z } from "./case-makers.ts";

export const OPERATOR_CASES: Readonly<Record<string, Case>> = {
  ...Object.fromEntries(
    [
      "Abs",
      "Neg",
      "Sign",
      "Exp",
      "Floor",
      "Ceil",
      "Round",
      "Sin",
      "Cos",
      "Tan",
      "Tanh",
      "Atan",
      "Sinh",
      "Cosh",
      "Erf",
      "Sigmoid",
      "Relu",
      "Softplus",
      "Softsign",
      "HardSwish",
      "Mish",
      "LeakyRelu",
      "Elu",
      "Celu",
      "Selu",
      "ThresholdedRelu",
      "HardSigmoid",
      "Identity",
      "Softmax",
      "LogSoftmax",
      "Flatten",
      "Transpose",
    ].map((name) => [name, one(name, name === "Transpose" ? { perm: a.ints([0, 1]) } : {})]),
  ),
  ...Object.fromEntries(["Log", "Sqrt", "Reciprocal"].map((name) => [name, one(name, {}, { input: positive })])),
  ...Object.fromEntries(["Asin", "Acos"].map((name) => [name, one(name, {}, { input: small })])),
  "Round half to even": one("Round", {}, { input: (_, index) => (index - 6) / 2 }),
  "Gelu exact": one("Gelu", {}, { opset: 20 }),
  "Gelu tanh": one("Gelu", { approximate: a.string("tanh") }, { opset: 20 }),
  "LeakyRelu alpha": one("LeakyRelu", { alpha: a.float(0.3) }),
  "Clip by inputs": {
    nodes: [op("Clip", {}, ["x", "low", "high"])],
    constants: [floatTensor("low", [], [-0.5]), floatTensor("high", [], [0.7])],
  },
  "Clip by attributes": one("Clip", { min: a.float(-0.5), max: a.float(0.7) }, { opset: 9 }),
  ...Object.fromEntries(
    ["Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu", "Sum", "Mean"].flatMap((name) => [
      [`${name} a row`, withConstant(name, floatTensor("c", [WIDTH], normal(WIDTH)))],
      [`${name} a scalar`, withConstant(name, floatTensor("c", [1], [1.5]))],
      [`${name} itself`, { nodes: [op(name, {}, ["x", "x"])] }],
      [`${name} in between`, cube(op(name, {}, ["z", "c"]), [floatTensor("c", [3, 1], normal(3))])],
    ]),
  ),
  "constant minus x": { nodes: [op("Sub", {}, ["c", "x"])], constants: [floatTensor("c", [], [1])] },
  "constant row minus x": { nodes: [op("Sub", {}, ["c", "x"])], constants: [floatTensor("c", [WIDTH], normal(WIDTH))] },
  Pow: withConstant("Pow", floatTensor("c", [], [3])),
  "Pow of a row": withConstant("Pow", floatTensor("c", [WIDTH], normal(WIDTH)), {}, { input: positive }),
  Mod: withConstant("Mod", floatTensor("c", [], [0.7]), { fmod: a.int(1) }),
  "Where and Greater": {
    nodes: [op("Greater", {}, ["x", "c"], ["g"]), op("Where", {}, ["g", "x", "c"])],
    constants: [floatTensor("c", [1], [0.2])],
  },
  "IsNaN, Not, And, Or, Cast": {
    nodes: [
      op("IsNaN", {}, x, ["n"]),
      op("Less", {}, ["x", "c"], ["l"]),
      op("Not", {}, ["n"], ["o"]),
      op("And", {}, ["o", "l"], ["b"]),
      op("Or", {}, ["b", "n"], ["e"]),
      op("Cast", { to: a.int(1) }, ["e"]),
    ],
    constants: [floatTensor("c", [], [0])],
    input: (value, index) => (index % 5 === 0 ? Number.NaN : value),
  },
  "Equal and Xor": {
    nodes: [
      op("Equal", {}, ["x", "c"], ["e"]),
      op("GreaterOrEqual", {}, ["x", "c"], ["g"]),
      op("Xor", {}, ["e", "g"], ["w"]),
      op("Cast", { to: a.int(1) }, ["w"]),
    ],
    constants: [
      floatTensor(
        "c",
        [WIDTH],
        Float32Array.from({ length: WIDTH }, (_, index) => index % 3),
      ),
    ],
    input: (_, index) => index % 4,
  },
  "Cast to integers and back": {
    nodes: [op("Cast", { to: a.int(7) }, x, ["i"]), op("Cast", { to: a.int(1) }, ["i"])],
    input: (value) => value * 3,
  },
  "Cast to double and back": {
    nodes: [op("Cast", { to: a.int(11) }, x, ["d"]), op("Exp", {}, ["d"], ["e"]), op("Cast", { to: a.int(1) }, ["e"])],
  },
  "integer Div": {
    nodes: [
      op("Cast", { to: a.int(7) }, x, ["i"]),
      op("Div", {}, ["i", "c"], ["q"]),
      op("Cast", { to: a.int(1) }, ["q"]),
    ],
    constants: [int64Tensor("c", [], [3])],
    input: (value) => value * 10,
  },
  ...Object.fromEntries(
    [
      "ReduceSum",
      "ReduceMean",
      "ReduceMax",
      "ReduceMin",
      "ReduceProd",
      "ReduceL1",
      "ReduceL2",
      "ReduceSumSquare",
      "ReduceLogSumExp",
    ].flatMap((name) => [
      [
        `${name} of rows`,
        { nodes: [op(name, { keepdims: a.int(1) }, ["x", "axes"])], constants: [int64Tensor("axes", [1], [-1])] },
      ],
      [
        `${name} of a middle axis`,
        cube(op(name, { keepdims: a.int(0) }, ["z", "axes"]), [int64Tensor("axes", [1], [1])]),
      ],
      [`${name} by attribute`, one(name, { axes: a.ints([1]), keepdims: a.int(0) }, { opset: 12 })],
    ]),
  ),
  "Softmax before 13": cube(op("Softmax", { axis: a.int(1) }, z), [], 12),
  "Softmax of a middle axis": cube(op("Softmax", { axis: a.int(1) }, z)),
  LayerNormalization: cube(op("LayerNormalization", { axis: a.int(-1) }, ["z", "s", "b"]), [
    floatTensor("s", [4], normal(4)),
    floatTensor("b", [4], normal(4)),
  ]),
  "LayerNormalization of two axes": cube(op("LayerNormalization", { axis: a.int(1) }, ["z", "s"]), [
    floatTensor("s", [3, 4], normal(12)),
  ]),
  "LpNormalization L2": one("LpNormalization"),
  "LpNormalization L1": cube(op("LpNormalization", { p: a.int(1), axis: a.int(1) }, z)),
  ArgMax: { nodes: [op("ArgMax", { axis: a.int(1) }, x, ["i"]), op("Cast", { to: a.int(1) }, ["i"])] },
  "ArgMin of ties, last": {
    nodes: [
      op("ArgMin", { axis: a.int(1), select_last_index: a.int(1), keepdims: a.int(0) }, x, ["i"]),
      op("Cast", { to: a.int(1) }, ["i"]),
    ],
    input: (_, index) => index % 3,
  },
  "TopK values": { nodes: [op("TopK", {}, ["x", "k"], ["y", "i"])], constants: [int64Tensor("k", [1], [5])] },
  "TopK indices with ties": {
    nodes: [op("TopK", { largest: a.int(0) }, ["x", "k"], ["v", "i"]), op("Cast", { to: a.int(1) }, ["i"])],
    constants: [int64Tensor("k", [1], [5])],
    input: (_, index) => index % 4,
  },
  Concat: { nodes: [op("Relu", {}, x, ["r"]), op("Concat", { axis: a.int(1) }, ["x", "r", "x"])] },
  "Concat of a middle axis": cube(op("Concat", { axis: a.int(1) }, ["z", "z"])),
  "Gather columns": withConstant("Gather", int64Tensor("c", [3], [2, -1, 0]), { axis: a.int(1) }),
  "Gather an embedding": {
    nodes: [op("Cast", { to: a.int(7) }, x, ["i"]), op("Gather", {}, ["table", "i"])],
    constants: [floatTensor("table", [5, 3], normal(15))],
    input: (_, index) => index % 5,
  },
  GatherElements: {
    nodes: [op("ArgMax", { axis: a.int(1) }, x, ["i"]), op("GatherElements", { axis: a.int(1) }, ["x", "i"])],
  },
  Slice: {
    nodes: [op("Slice", {}, ["x", "s", "e", "a"])],
    constants: [int64Tensor("s", [1], [2]), int64Tensor("e", [1], [-1]), int64Tensor("a", [1], [1])],
  },
  "Slice backwards": {
    nodes: [op("Slice", {}, ["x", "s", "e", "a", "t"])],
    constants: [
      int64Tensor("s", [1], [-1]),
      int64Tensor("e", [1], [-(2 ** 40)]),
      int64Tensor("a", [1], [1]),
      int64Tensor("t", [1], [-2]),
    ],
  },
  "Slice by attributes": one(
    "Slice",
    { starts: a.ints([0, 1]), ends: a.ints([2 ** 31 - 1, 5]), axes: a.ints([0, 1]) },
    { opset: 9 },
  ),
  Split: {
    nodes: [op("Split", { axis: a.int(1) }, ["x", "parts"], ["p", "q"]), op("Concat", { axis: a.int(1) }, ["q", "p"])],
    constants: [int64Tensor("parts", [2], [5, 7])],
  },
  "Split evenly": {
    nodes: [op("Split", { axis: a.int(1), num_outputs: a.int(3) }, x, ["p", "q", "r"]), op("Sub", {}, ["r", "q"])],
  },
  Tile: withConstant("Tile", int64Tensor("c", [2], [1, 3])),
  "Unsqueeze, Squeeze": {
    nodes: [op("Unsqueeze", {}, ["x", "a"], ["u"]), op("Squeeze", {}, ["u", "a"])],
    constants: [int64Tensor("a", [1], [1])],
  },
  "Transpose of a cube": cube(op("Transpose", { perm: a.ints([0, 2, 1]) }, z)),
  Expand: {
    nodes: [
      op("Reshape", {}, ["x", "cube"], ["z"]),
      op("ReduceMean", { axes: a.ints([1]) }, z, ["m"]),
      op("Expand", {}, ["m", "s"]),
    ],
    constants: [int64Tensor("cube", [3], [0, 3, 4]), int64Tensor("s", [3], [1, 3, 4])],
    opset: 17,
  },
  "Shape arithmetic of PyTorch": {
    nodes: [
      op("Shape", {}, x, ["s"]),
      op("Gather", { axis: a.int(0) }, ["s", "zero"], ["n"]),
      op("Unsqueeze", {}, ["n", "axis0"], ["n1"]),
      op("Concat", { axis: a.int(0) }, ["n1", "rest"], ["shape"]),
      op("Reshape", {}, ["x", "shape"], ["c"]),
      op("ReduceMean", { axes: a.ints([2]), keepdims: a.int(0) }, ["c"]),
    ],
    constants: [int64Tensor("zero", [], [0]), int64Tensor("axis0", [1], [0]), int64Tensor("rest", [2], [4, -1])],
    opset: 13,
  },
  "ConstantOfShape of the batch": {
    nodes: [
      op("Shape", {}, x, ["s"]),
      op("ConstantOfShape", { value: a.tensor(floatTensor("", [1], [2.5])) }, ["s"], ["k"]),
      op("Mul", {}, ["x", "k"]),
    ],
  },
  "Gemm with bias": {
    nodes: [op("Gemm", { transB: a.int(1) }, ["x", "w", "b"])],
    constants: [floatTensor("w", [5, WIDTH], normal(60)), floatTensor("b", [5], normal(5))],
  },
  "Gemm scaled": {
    nodes: [op("Gemm", { alpha: a.float(0.5), beta: a.float(2) }, ["x", "w", "b"])],
    constants: [floatTensor("w", [WIDTH, 5], normal(60)), floatTensor("b", [5], normal(5))],
  },
  "Gemm without bias": { nodes: [op("Gemm", {}, ["x", "w"])], constants: [floatTensor("w", [WIDTH, 9], normal(108))] },
  "MatMul, Add, Relu": {
    nodes: [op("MatMul", {}, ["x", "w"], ["m"]), op("Add", {}, ["b", "m"], ["p"]), op("Relu", {}, ["p"])],
    constants: [floatTensor("w", [WIDTH, 17], normal(204)), floatTensor("b", [17], normal(17))],
  },
  "MatMul of a cube by weights": cube(op("MatMul", {}, ["z", "w"]), [floatTensor("w", [4, 6], normal(24))]),
  "MatMul of two cubes": {
    nodes: [
      op("Reshape", {}, ["x", "cube"], ["z"]),
      op("Transpose", { perm: a.ints([0, 2, 1]) }, z, ["t"]),
      op("MatMul", {}, ["z", "t"]),
    ],
    constants: [int64Tensor("cube", [3], [0, 3, 4])],
  },
  "MatMul by a vector": withConstant("MatMul", floatTensor("c", [WIDTH], normal(WIDTH))),
  "self-attention": {
    nodes: [
      op("Reshape", {}, ["x", "cube"], ["z"]),
      op("MatMul", {}, ["z", "wq"], ["q"]),
      op("MatMul", {}, ["z", "wk"], ["k"]),
      op("MatMul", {}, ["z", "wv"], ["v"]),
      op("Transpose", { perm: a.ints([0, 2, 1]) }, ["k"], ["kt"]),
      op("MatMul", {}, ["q", "kt"], ["scores"]),
      op("Div", {}, ["scores", "scale"], ["scaled"]),
      op("Softmax", { axis: a.int(-1) }, ["scaled"], ["weights"]),
      op("MatMul", {}, ["weights", "v"], ["mixed"]),
      op("Add", {}, ["mixed", "z"], ["residual"]),
      op("LayerNormalization", { axis: a.int(-1) }, ["residual", "s"]),
    ],
    constants: [
      int64Tensor("cube", [3], [0, 3, 4]),
      floatTensor("wq", [4, 4], normal(16)),
      floatTensor("wk", [4, 4], normal(16)),
      floatTensor("wv", [4, 4], normal(16)),
      floatTensor("scale", [], [2]),
      floatTensor("s", [4], normal(4)),
    ],
  },
};
