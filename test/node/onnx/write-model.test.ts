import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import {
  attribute,
  floatTensor,
  int64Tensor,
  model,
  node,
  tensor,
  valueInfo,
} from "../../../models/onnx/build-graph.ts";
import { readModel } from "../../../models/onnx/read-model.ts";
import { decodeTreeCover, treeCoverKey } from "../../../models/onnx/tree-cover.ts";
import { type RegressionTree, treeEnsembleRegressor } from "../../../models/onnx/tree-ensemble.ts";
import { writeModel } from "../../../models/onnx/write-model.ts";
import { generatedRows, generatedTrees } from "../../support/generated-trees.ts";

const FEATURES = 8;

function boostedModel(trees: readonly RegressionTree[]) {
  const { node: ensemble, metadata } = treeEnsembleRegressor({ input: "x", output: "raw", trees, baseValues: [-0.25] });
  return model({
    nodes: [ensemble, node("Sigmoid", { inputs: ["raw"], outputs: ["probability"] })],
    inputs: [valueInfo("x", "float32", ["rows", FEATURES])],
    outputs: [valueInfo("probability", "float32", ["rows", 1]), valueInfo("raw", "float32", ["rows", 1])],
    metadata,
  });
}

/** The obvious walk: one row, one tree at a time, doubles. */
function naiveScore(trees: readonly RegressionTree[], row: Float32Array): number {
  let sum = -0.25;
  for (const tree of trees) {
    let at = 0;
    while ((tree.feature[at] ?? -1) >= 0) {
      const value = row[tree.feature[at] ?? 0] ?? 0;
      const goesTrue = Number.isNaN(value) ? tree.missingTrue[at] === 1 : value <= (tree.threshold[at] ?? 0);
      at = (goesTrue ? tree.whenTrue[at] : tree.whenFalse[at]) ?? 0;
    }
    sum += tree.value[at] ?? 0;
  }
  return sum;
}

describe("writeModel", () => {
  it("boosted trees score in ONNX Runtime as the trees themselves do", async () => {
    const trees = generatedTrees({ trees: 40, depth: 5, features: FEATURES, seed: 1, earlyLeaves: 0.2 });
    const rows = 200;
    const batch = generatedRows(rows, FEATURES, 2, 0.1);
    const session = await ort.InferenceSession.create(writeModel(boostedModel(trees)));
    const { raw } = await session.run({ x: new ort.Tensor("float32", batch, [rows, FEATURES]) });
    const scores = raw?.data as Float32Array;
    for (let index = 0; index < rows; index++) {
      const row = batch.subarray(index * FEATURES, (index + 1) * FEATURES);
      expect(scores[index]).toBeCloseTo(naiveScore(trees, row), 5);
    }
  });

  it("gives the same bytes for the same model, also after a round trip", () => {
    const trees = generatedTrees({ trees: 5, depth: 4, features: FEATURES, seed: 3 });
    const bytes = writeModel(boostedModel(trees));
    expect(writeModel(boostedModel(trees))).toEqual(bytes);
    expect(writeModel(readModel(bytes))).toEqual(bytes);
  });

  it("keeps every cover exactly, as counts, as float32 and as float64", () => {
    const trees = generatedTrees({ trees: 3, depth: 4, features: FEATURES, seed: 4 });
    for (const scale of [1, 0.5, 1 / 3]) {
      const scaled = trees.map((tree) => ({ ...tree, cover: Array.from(tree.cover ?? [], (cover) => cover * scale) }));
      const written = readModel(writeModel(boostedModel(scaled)));
      const expected = scaled.flatMap((tree) => tree.cover);
      const value = written.metadata.get(treeCoverKey("raw")) ?? "";
      expect(Array.from(decodeTreeCover(value, expected.length))).toEqual(expected);
      expect(() => decodeTreeCover(value, expected.length + 1)).toThrow(/covers/);
    }
  });

  it("tensors of every array type come back as they went", async () => {
    const tensors = [
      floatTensor("floats", [2, 2], [1.5, -2, 3, Number.NaN]),
      int64Tensor("longs", [3], [1, -1, 2 ** 53 - 1]),
      tensor("extremes", "int64", [2], BigInt64Array.from([-(2n ** 63n), 2n ** 63n - 1n])),
      tensor("doubles", "float64", [1], Float64Array.of(Math.PI)),
      tensor("ints", "int32", [2], Int32Array.of(-7, 7)),
      tensor("bytes", "uint8", [2], Uint8Array.of(0, 255)),
      tensor("flags", "bool", [2], Uint8Array.of(0, 1)),
      tensor("halves", "float16", [1], Uint16Array.of(0x3c00)),
      tensor("texts", "string", [2], ["", "grün 🌱"]),
      tensor("empty", "float32", [0, 4], new Float32Array(0)),
      tensor("scalar", "float32", [], Float32Array.of(2)),
    ];
    const written = model({
      nodes: tensors.map((value) => node("Identity", { inputs: [value.name], outputs: [`${value.name}_out`] })),
      inputs: [],
      outputs: tensors.map((value) => valueInfo(`${value.name}_out`, value.type, value.dims)),
      initializers: tensors,
    });
    const bytes = writeModel(written);
    expect(readModel(bytes).graph.initializers).toEqual(tensors);
    const session = await ort.InferenceSession.create(bytes);
    const outputs = await session.run({});
    expect(outputs["texts_out"]?.data).toEqual(["", "grün 🌱"]);
    expect(outputs["extremes_out"]?.data).toEqual(BigInt64Array.from([-(2n ** 63n), 2n ** 63n - 1n]));
    expect(outputs["empty_out"]?.dims).toEqual([0, 4]);
  });

  it("attributes of every kind come back as they went", () => {
    const inner = model({
      nodes: [node("Identity", { inputs: ["x"], outputs: ["y"] })],
      inputs: [],
      outputs: [valueInfo("y", "float32", [])],
      initializers: [floatTensor("x", [], [1])],
    }).graph;
    const attributes = {
      float: attribute.float(-0.5),
      int: attribute.int(-3),
      large: attribute.int(2 ** 40),
      text: attribute.string("ü"),
      tensor: attribute.tensor(floatTensor("t", [1], [1])),
      floats: attribute.floats([1, Number.POSITIVE_INFINITY]),
      none: attribute.floats([]),
      ints: attribute.ints(Int32Array.of(-1, 0, 300)),
      longs: attribute.ints(Float64Array.of(2 ** 45, -(2 ** 63), 2 ** 63)),
      strings: attribute.strings(["a", "", "a"]),
      graph: { type: "graph", value: inner },
      graphs: { type: "graphs", value: [inner, inner] },
      tensors: { type: "tensors", value: [floatTensor("t", [1], [1])] },
      valueType: {
        type: "valueType",
        value: {
          kind: "sequence",
          element: {
            kind: "map",
            key: "int64",
            value: { kind: "optional", element: { kind: "tensor", elementType: "float32", shape: [null, "n", 3] } },
          },
        },
      },
    } as const;
    const made = node("Anything", { inputs: [], outputs: ["out"], attributes });
    const bytes = writeModel(model({ nodes: [made], inputs: [], outputs: [valueInfo("out", "float32", [null])] }));
    expect(readModel(bytes).graph.nodes).toEqual([made]);
  });
});
