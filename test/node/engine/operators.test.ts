import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { compileSession } from "../../../models/engine/compile-session.ts";
import { model, valueInfo } from "../../../models/onnx/build-graph.ts";
import type { Model } from "../../../models/onnx/model.ts";
import { writeModel } from "../../../models/onnx/write-model.ts";
import { engineKernels } from "../../support/engine-kernels.ts";
import { gaussian } from "../../support/generated-trees.ts";
import { type Case, random, WIDTH } from "./case-makers.ts";
import { ML_OPERATOR_CASES } from "./ml-operator-cases.ts";
import { OPERATOR_CASES } from "./operator-cases.ts";

const CASES = { ...OPERATOR_CASES, ...ML_OPERATOR_CASES };

function modelOf(name: string, { nodes, constants = [], opset = 18, mlOpset = 3 }: Case): Model {
  expect(nodes.at(-1)?.outputs, name).toContain("y");
  return model({
    nodes,
    inputs: [valueInfo("x", "float32", [null, WIDTH])],
    outputs: [{ name: "y", type: { kind: "tensor", elementType: "float32", shape: null } }],
    initializers: constants,
    opset,
    mlOpset,
  });
}

describe("operators answer as ONNX Runtime does", () => {
  it.each(Object.entries(CASES))("%s", async (name, made) => {
    const graph = modelOf(name, made);
    const sessions = [compileSession(graph), compileSession(graph, { kernels: engineKernels })];
    const oracle = await ort.InferenceSession.create(writeModel(graph), { intraOpNumThreads: 1, logSeverityLevel: 3 });
    // More rows, then fewer, then more again: buffers grow once and are never stale.
    for (const rows of [1, 7, 2, 90]) {
      const batch = Float32Array.from(
        { length: rows * WIDTH },
        (_, index) => made.input?.(gaussian(random), index) ?? gaussian(random),
      );
      const { y: expected } = await oracle.run({ x: new ort.Tensor("float32", batch, [rows, WIDTH]) });
      const wanted = expected?.data as Float32Array;
      for (const session of sessions) {
        const actual = session.run(batch, rows);
        expect(actual.length).toBe(wanted.length);
        wanted.forEach((value, index) => {
          const own = actual[index] ?? Number.NaN;
          if (Math.abs(own - value) > 1e-6 + 1e-5 * Math.abs(value) || Number.isNaN(own) !== Number.isNaN(value))
            expect.fail(`rows ${rows}, element ${index}: ${own} instead of ${value}`);
        });
      }
    }
  });
});
