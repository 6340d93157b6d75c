import * as ortNode from "onnxruntime-node";
import * as ortWeb from "onnxruntime-web";
import { compileSession } from "../../../models/engine/compile-session.ts";
import { readModel } from "../../../models/onnx/read-model.ts";
import { engineKernels } from "../../support/engine-kernels.ts";
import type { Contender } from "../measure.ts";
import type { BenchModel } from "./bench-models.ts";

/** Scores one batch; a promise where the engine is asynchronous. */
export interface Scorer {
  readonly name: "compact" | "ort-web" | "ort-node";
  readonly score: (batch: Float32Array, rows: number) => unknown;
}

ortWeb.env.wasm.numThreads = 1;
ortWeb.env.logLevel = "error";

/** The engines with a model loaded, each on one thread. */
export async function scorersOf({ bytes, features }: BenchModel): Promise<Scorer[]> {
  const compact = compileSession(readModel(bytes), { kernels: engineKernels });
  const web = await ortWeb.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const native = await ortNode.InferenceSession.create(bytes, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  return [
    { name: "compact", score: (batch, rows) => compact.run(batch, rows) },
    {
      name: "ort-web",
      score: async (batch, rows) => web.run({ x: new ortWeb.Tensor("float32", batch, [rows, features]) }),
    },
    {
      name: "ort-node",
      score: async (batch, rows) => native.run({ x: new ortNode.Tensor("float32", batch, [rows, features]) }),
    },
  ];
}

/** The scorers over a set of batches that takes turns: no engine sees the same rows twice in a row. */
export function contendersOver(
  scorers: readonly Scorer[],
  batches: readonly Float32Array[],
  rows: number,
): Contender[] {
  return scorers.map(({ name, score }) => {
    let turn = 0;
    return { name, once: () => score(batches[turn++ % batches.length] ?? new Float32Array(0), rows) };
  });
}
