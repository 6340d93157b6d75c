import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RegressionTree } from "../../../models/onnx/tree-ensemble.ts";
import type { BenchModel } from "./bench-models.ts";

/** Times LightGBM's predictor on one thread: median microseconds of a call by number of rows. */
const SCRIPT = `
import json, sys, time
import numpy as np, lightgbm as lgb
folder, features, sizes = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
booster = lgb.Booster(model_file=folder + "/model.txt")
rows = np.fromfile(folder + "/rows.bin", dtype=np.float32).reshape(-1, features)
result = {"version": lgb.__version__}
for size in sizes:
    batch = np.ascontiguousarray(rows[:size])
    spent = []
    for _ in range(max(30, 3000 // size)):
        start = time.perf_counter()
        booster.predict(batch, raw_score=True, num_threads=1)
        spent.append(time.perf_counter() - start)
    result[str(size)] = sorted(spent)[len(spent) // 2] * 1e6
scores = booster.predict(rows[:100], raw_score=True, num_threads=1)
result["scores"] = [float(score) for score in scores]
print(json.dumps(result))
`;

export interface LightGbmFigures {
  readonly version: string;
  readonly microseconds: ReadonlyMap<number, number>;
  /** Raw scores of the first hundred rows, without the base value. */
  readonly scores: readonly number[];
}

/**
 * LightGBM's own predictor on the same trees and rows; null where no Python with LightGBM is named by
 * `EDGEWISE_LIGHTGBM_PYTHON`. It includes the call from Python, some 40 µs, which only the larger batches hide.
 */
export function lightGbmFigures(
  model: BenchModel,
  rows: Float32Array,
  sizes: readonly number[],
): LightGbmFigures | null {
  const python = process.env["EDGEWISE_LIGHTGBM_PYTHON"];
  if (python === undefined || model.trees === null) return null;
  const folder = mkdtempSync(join(tmpdir(), "lightgbm-"));
  try {
    writeFileSync(join(folder, "model.txt"), textModel(model.trees, model.features));
    writeFileSync(join(folder, "rows.bin"), new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength));
    const { stdout, stderr, status } = spawnSync(
      python,
      ["-c", SCRIPT, folder, String(model.features), JSON.stringify(sizes)],
      { encoding: "utf8", timeout: 120_000 },
    );
    if (status !== 0) throw new Error(`LightGBM failed: ${stderr.slice(-500)}`);
    const result = JSON.parse(stdout) as Record<string, number> & { version: string; scores: number[] };
    return {
      version: result.version,
      microseconds: new Map(sizes.map((size) => [size, result[String(size)] ?? Number.NaN])),
      scores: result.scores,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The trees in LightGBM's text format: split nodes first, then leaves, a child ~n being leaf n. */
function textModel(trees: readonly RegressionTree[], features: number): string {
  const names = Array.from({ length: features }, (_, feature) => `f${feature}`);
  const header = [
    "tree",
    "version=v4",
    "num_class=1",
    "num_tree_per_iteration=1",
    "label_index=0",
    `max_feature_idx=${features - 1}`,
    "objective=regression",
    `feature_names=${names.join(" ")}`,
    `feature_infos=${names.map(() => "[-1e30:1e30]").join(" ")}`,
  ];
  return `${header.join("\n")}\n\n${trees.map(textTree).join("\n")}\nend of trees\n`;
}

function textTree(tree: RegressionTree, index: number): string {
  const nodes = Array.from({ length: tree.feature.length }, (_, node) => node);
  const splits = nodes.filter((node) => (tree.feature[node] ?? -1) >= 0);
  const leaves = nodes.filter((node) => (tree.feature[node] ?? -1) < 0);
  const place = new Map([
    ...splits.map((node, at) => [node, at] as const),
    ...leaves.map((node, at) => [node, ~at] as const),
  ]);
  const list = (name: string, of: (node: number) => number | undefined, over = splits): string =>
    `${name}=${over.map((node) => of(node) ?? 0).join(" ")}`;
  return [
    `Tree=${index}`,
    `num_leaves=${leaves.length}`,
    "num_cat=0",
    list("split_feature", (node) => tree.feature[node]),
    list("split_gain", () => 1),
    list("threshold", (node) => tree.threshold[node]),
    // Bit 1: missing values go left; bits 2 and 3: NaN is what is missing.
    list("decision_type", (node) => 8 + (tree.missingTrue[node] === 1 ? 2 : 0)),
    list("left_child", (node) => place.get(tree.whenTrue[node] ?? 0)),
    list("right_child", (node) => place.get(tree.whenFalse[node] ?? 0)),
    list("leaf_value", (node) => tree.value[node], leaves),
    list("leaf_weight", (node) => tree.cover?.[node], leaves),
    list("leaf_count", (node) => tree.cover?.[node], leaves),
    list("internal_value", () => 0),
    list("internal_weight", (node) => tree.cover?.[node]),
    list("internal_count", (node) => tree.cover?.[node]),
    "is_linear=0",
    "shrinkage=1",
    "",
  ].join("\n");
}
