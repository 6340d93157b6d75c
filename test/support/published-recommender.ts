import { RECOMMENDER_MODEL } from "../../models/catalog/product-recommendations/model.ts";
import type { GoldenVectors, Manifest, ManifestContent } from "../../models/contract/manifest.ts";
import { hex, sha256 } from "../../models/contract/sha256.ts";
import { attribute, model, node, valueInfo } from "../../models/onnx/build-graph.ts";
import { writeModel } from "../../models/onnx/write-model.ts";
import { encodeBundle, type RecommenderBundle } from "../../models/recommend/bundle.ts";
import { recommenderManifest } from "../../models/recommend/golden.ts";
import { RANKING_FEATURES, RANKING_WIDTH } from "../../models/recommend/ranking-features.ts";
import { manifestOf } from "./amount-model.ts";

export interface PublishableRecommender {
  readonly manifest: Manifest;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** The files and the manifest of a bundle, as a trainer publishes them. */
export function publishableRecommender(
  bundle: RecommenderBundle,
  options: { readonly note?: string; readonly ranking?: GoldenVectors } = {},
): PublishableRecommender {
  const files = encodeBundle(bundle);
  const content: ManifestContent = {
    v: 1,
    name: RECOMMENDER_MODEL,
    engine: "compact",
    engineReason: options.note ?? "a test",
    fitted: {},
    policy: null,
    explanation: "none",
    metrics: [{ name: "ndcg@10", slice: "test", value: 0.2, low: 0.1, high: 0.3 }],
    lineage: {
      runId: "run-1",
      dataHash: "0".repeat(64),
      codeVersion: "test",
      parent: null,
      trainedFrom: 0,
      trainedTo: 1,
      rows: 100,
      parameters: {},
    },
    files: describe(files),
    ...recommenderManifest(bundle, [[0, 1, 2], [5], []], options.ranking ?? null),
  };
  return { files, manifest: manifestOf(content) };
}

/** The smallest ranker: products above a price, as `item_price` has it, come first. Its golden rows are the two leaves. */
export function priceRanker(price: number): { readonly bytes: Uint8Array; readonly golden: GoldenVectors } {
  const at = RANKING_FEATURES.findIndex((feature) => feature.name === "item_price");
  const split = Math.fround(Math.log1p(price));
  const trees = node("TreeEnsembleRegressor", {
    domain: "ai.onnx.ml",
    inputs: ["features"],
    outputs: ["score"],
    attributes: {
      nodes_treeids: attribute.ints([0, 0, 0]),
      nodes_nodeids: attribute.ints([0, 1, 2]),
      nodes_featureids: attribute.ints([at, 0, 0]),
      nodes_values: attribute.floats([split, 0, 0]),
      nodes_modes: attribute.strings(["BRANCH_LEQ", "LEAF", "LEAF"]),
      nodes_truenodeids: attribute.ints([1, 0, 0]),
      nodes_falsenodeids: attribute.ints([2, 0, 0]),
      nodes_missing_value_tracks_true: attribute.ints([1, 0, 0]),
      n_targets: attribute.int(1),
      target_treeids: attribute.ints([0, 0]),
      target_nodeids: attribute.ints([1, 2]),
      target_ids: attribute.ints([0, 0]),
      target_weights: attribute.floats([-1, 1]),
      aggregate_function: attribute.string("SUM"),
      post_transform: attribute.string("NONE"),
    },
  });
  const bytes = writeModel(
    model({
      nodes: [trees],
      inputs: [valueInfo("features", "float32", ["n", RANKING_WIDTH])],
      outputs: [valueInfo("score", "float32", ["n", 1])],
    }),
  );
  const row = (value: number | null): (number | null)[] =>
    RANKING_FEATURES.map((_, index) => (index === at ? value : null));
  const golden = {
    tolerance: 1e-6,
    rows: [
      { vector: row(split + 1), score: [1] },
      { vector: row(null), score: [-1] },
    ],
  };
  return { bytes, golden };
}

/** The same manifest over other files, described as they are. */
export function republished(manifest: Manifest, files: ReadonlyMap<string, Uint8Array>): PublishableRecommender {
  const { version: _version, signature: _signature, ...content } = manifest;
  return { files, manifest: manifestOf({ ...content, files: describe(files) }) };
}

function describe(files: ReadonlyMap<string, Uint8Array>): Manifest["files"] {
  return Array.from(files, ([path, bytes]) => ({ path, sha256: hex(sha256(bytes)), bytes: bytes.byteLength }));
}
