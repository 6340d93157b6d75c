import type { GoldenVectors } from "../../../models/contract/manifest.ts";
import { compileSession } from "../../../models/engine/compile-session.ts";
import { model, valueInfo } from "../../../models/onnx/build-graph.ts";
import { readModel } from "../../../models/onnx/read-model.ts";
import { treeEnsembleRegressor } from "../../../models/onnx/tree-ensemble.ts";
import { writeModel } from "../../../models/onnx/write-model.ts";
import { RANKING_WIDTH } from "../../../models/recommend/ranking-features.ts";
import { engineKernels } from "../../support/engine-kernels.ts";
import { generatedRows, generatedTrees } from "../../support/generated-trees.ts";

const TREES = 100;
const DEPTH = 5;

/** A second stage of the size that serves: 100 trees of depth 5 over the ranking features. Its cost is measured, not its merit. */
export function benchRanker(): { readonly bytes: Uint8Array; readonly golden: GoldenVectors } {
  const trees = generatedTrees({ trees: TREES, depth: DEPTH, features: RANKING_WIDTH, seed: 1 });
  const built = treeEnsembleRegressor({ input: "features", output: "score", trees, baseValues: [0] });
  const bytes = writeModel(
    model({
      nodes: [built.node],
      inputs: [valueInfo("features", "float32", ["n", RANKING_WIDTH])],
      outputs: [valueInfo("score", "float32", ["n", 1])],
      metadata: new Map(built.metadata),
    }),
  );
  const session = compileSession(readModel(bytes), { kernels: engineKernels });
  const rows = Array.from({ length: 4 }, (_, seed) => {
    const vector = generatedRows(1, RANKING_WIDTH, seed, 0);
    return { vector: [...vector], score: [...session.run(vector, 1)] };
  });
  return { bytes, golden: { tolerance: 1e-5, rows } };
}
