import { describe, expect, it } from "vitest";
import { compileSession } from "../../../models/engine/compile-session.ts";
import { UnsupportedOperator } from "../../../models/engine/unsupported-operator.ts";
import {
  attribute,
  floatTensor,
  int64Tensor,
  model,
  node,
  tensor,
  valueInfo,
} from "../../../models/onnx/build-graph.ts";
import type { Model } from "../../../models/onnx/model.ts";
import { treeEnsembleRegressor } from "../../../models/onnx/tree-ensemble.ts";
import { engineKernels } from "../../support/engine-kernels.ts";
import { generatedRows, generatedTrees } from "../../support/generated-trees.ts";

const x = valueInfo("x", "float32", ["rows", 3]);
const y = valueInfo("y", "float32", ["rows", 3]);

function graph(fields: Partial<Parameters<typeof model>[0]>): Model {
  return model({ nodes: [], inputs: [x], outputs: [y], ...fields });
}

function refusal(made: Model): UnsupportedOperator {
  try {
    compileSession(made);
  } catch (error) {
    if (error instanceof UnsupportedOperator) return error;
    throw error;
  }
  throw new Error("the graph was accepted");
}

describe("compileSession", () => {
  it("names the operator that it does not run, with its domain and node", () => {
    const strange = node("Conv", { inputs: ["x", "x"], outputs: ["y"], name: "layer 3" });
    expect(refusal(graph({ nodes: [strange] }))).toMatchObject({ operator: "Conv", node: "layer 3" });
    const svm = node("SVMRegressor", { inputs: ["x"], outputs: ["y"], domain: "ai.onnx.ml" });
    expect(refusal(graph({ nodes: [svm] })).message).toMatch(/ai\.onnx\.ml\.SVMRegressor \(node "y"\)/);
  });

  it("ignores nodes that only lead to labels and dictionaries, and serves what a ZipMap wraps", () => {
    const nodes = [
      node("Softmax", { inputs: ["x"], outputs: ["scores"] }),
      node("ArgMax", { inputs: ["scores"], outputs: ["best"], attributes: { axis: attribute.int(1) } }),
      node("NoSuchOperator", { inputs: ["best"], outputs: ["label"] }),
      node("ZipMap", { inputs: ["scores"], outputs: ["probabilities"], domain: "ai.onnx.ml" }),
    ];
    const outputs = [
      valueInfo("label", "int64", [null]),
      {
        name: "probabilities",
        type: {
          kind: "sequence",
          element: { kind: "map", key: "int64", value: { kind: "tensor", elementType: "float32", shape: [] } },
        },
      } as const,
    ];
    const session = compileSession(graph({ nodes, outputs }));
    expect(Array.from(session.run(Float32Array.of(1, 1, 1), 1))).toEqual([1 / 3, 1 / 3, 1 / 3].map(Math.fround));
    expect(session.outputs[1]).toEqual({ name: "probabilities", shape: [null, 3], type: "float32" });
  });

  it("computes the output that is asked for", () => {
    const nodes = [node("Relu", { inputs: ["x"], outputs: ["y"] }), node("Neg", { inputs: ["y"], outputs: ["z"] })];
    const made = graph({ nodes, outputs: [y, valueInfo("z", "float32", ["rows", 3])] });
    expect(Array.from(compileSession(made, { output: "z" }).run(Float32Array.of(1, -2, 3), 1))).toEqual([-1, -0, -3]);
    expect(() => compileSession(made, { output: "w" })).toThrow(/no output of this name/);
  });

  it("takes the columns of several inputs side by side, integers truncated", () => {
    const made = model({
      nodes: [
        node("Gather", { inputs: ["table", "id"], outputs: ["e"] }),
        node("Mul", { inputs: ["e", "x"], outputs: ["m"] }),
        node("ReduceSum", { inputs: ["m", "axis"], outputs: ["y"] }),
      ],
      inputs: [valueInfo("id", "int64", [null]), valueInfo("x", "float32", [null, 2])],
      outputs: [valueInfo("y", "float32", [null, 1])],
      initializers: [floatTensor("table", [3, 2], [1, 2, 3, 4, 5, 6]), int64Tensor("axis", [1], [1])],
    });
    const session = compileSession(made);
    expect(session.rowWidth).toBe(3);
    expect(Array.from(session.run(Float32Array.of(2, 1, 1, 0.9, 1, 10), 2))).toEqual([11, 21]);
    expect(() => session.run(Float32Array.of(7, 1, 1), 1)).toThrow(RangeError);
  });

  it("runs a graph that is frozen to a batch once per batch", () => {
    const frozen = graph({
      nodes: [node("Relu", { inputs: ["x"], outputs: ["y"] })],
      inputs: [valueInfo("x", "float32", [2, 3])],
      outputs: [valueInfo("y", "float32", [2, 3])],
    });
    const batch = Float32Array.from({ length: 12 }, (_, index) => index - 6);
    expect(Array.from(compileSession(frozen).run(batch, 4))).toEqual(Array.from(batch, (value) => Math.max(0, value)));
    expect(() => compileSession(frozen).run(batch, 3)).toThrow(/2 rows at a time/);
  });

  it("answers any number of rows alike, whatever was asked before", () => {
    const trees = generatedTrees({ trees: 30, depth: 5, features: 3, seed: 2 });
    const built = treeEnsembleRegressor({ input: "h", output: "y", trees, baseValues: [0.5] });
    const made = graph({
      nodes: [node("MatMul", { inputs: ["x", "w"], outputs: ["h"] }), built.node],
      outputs: [valueInfo("y", "float32", ["rows", 1])],
      initializers: [floatTensor("w", [3, 3], [1, 0.2, 0, 0, 1, 0.3, 0.1, 0, 1])],
    });
    const batch = generatedRows(1000, 3, 7, 0);
    for (const session of [compileSession(made), compileSession(made, { kernels: engineKernels })]) {
      const one = Array.from({ length: 1000 }, (_, row) => session.run(batch.subarray(row * 3, row * 3 + 3), 1)[0]);
      for (const rows of [1000, 1, 7, 8, 128, 129, 500, 3, 0])
        expect(Array.from(session.run(batch, rows))).toEqual(one.slice(0, rows));
    }
  });

  it("does not allocate for each call", () => {
    const trees = generatedTrees({ trees: 50, depth: 6, features: 3, seed: 2 });
    const built = treeEnsembleRegressor({ input: "x", output: "y", trees, baseValues: [0] });
    const session = compileSession(graph({ nodes: [built.node], outputs: [valueInfo("y", "float32", ["rows", 1])] }), {
      kernels: engineKernels,
    });
    const row = Float32Array.of(0.1, 0.2, 0.3);
    const first = session.run(row, 1);
    for (let call = 0; call < 10; call++) expect(session.run(row, 1)).toBe(first);
  });

  it("refuses graphs that mix rows, and shapes that no memory holds, before it allocates them", () => {
    const over = (axis: number): Model =>
      graph({
        nodes: [node("ReduceSum", { inputs: ["x", "axes"], outputs: ["y"] })],
        initializers: [int64Tensor("axes", [1], [axis])],
      });
    expect(refusal(over(0)).reason).toMatch(/over the batch/);
    expect(compileSession(over(1)).outputWidth).toBe(1);
    const huge = graph({
      nodes: [node("Expand", { inputs: ["x", "shape"], outputs: ["y"] })],
      initializers: [int64Tensor("shape", [3], [1_000_000, 1, 3])],
      inputs: [valueInfo("x", "float32", ["rows", 1, 3])],
    });
    expect(() => compileSession(huge)).toThrow();
    const wide = graph({
      nodes: [node("Relu", { inputs: ["x"], outputs: ["y"] })],
      inputs: [valueInfo("x", "float32", [null, 2 ** 30])],
    });
    expect(() => compileSession(wide)).toThrow(/over 104857600 bytes/);
  });

  it("says what to do about an input whose size it cannot know", () => {
    const free = graph({
      nodes: [node("Relu", { inputs: ["x"], outputs: ["y"] })],
      inputs: [valueInfo("x", "float32", ["rows", "columns"])],
    });
    expect(refusal(free).reason).toMatch(/axis 1 is free \(columns\); export it fixed, or give its size/);
    expect(Array.from(compileSession(free, { dimensions: { columns: 2 } }).run(Float32Array.of(-1, 2), 1))).toEqual([
      0, 2,
    ]);
    const texts = graph({
      nodes: [node("Relu", { inputs: ["x"], outputs: ["y"] })],
      inputs: [valueInfo("x", "string", [null, 2])],
    });
    expect(refusal(texts).reason).toMatch(/string/);
    const label = graph({
      nodes: [node("Add", { inputs: ["x", "s"], outputs: ["y"] })],
      initializers: [tensor("s", "string", [1], ["a"])],
    });
    expect(refusal(label).reason).toMatch(/"s" holds no numbers/);
  });
});
