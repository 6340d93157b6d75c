import { RECOMMENDER_MODEL } from "../../models/catalog/product-recommendations/model.ts";
import type { GoldenVectors, Manifest, ManifestContent } from "../../models/contract/manifest.ts";
import { model, valueInfo } from "../../models/onnx/build-graph.ts";
import { writeModel } from "../../models/onnx/write-model.ts";
import { encodeBundle, type RecommenderBundle } from "../../models/recommend/bundle.ts";
import { recommenderManifest } from "../../models/recommend/golden.ts";
import { RANKING_FEATURES, RANKING_WIDTH } from "../../models/recommend/ranking-features.ts";
import { oneSplitTrees } from "./one-split-trees.ts";
import { describeFiles, manifestOf, TEST_LINEAGE } from "./test-manifest.ts";

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
    lineage: TEST_LINEAGE,
    files: describeFiles(files),
    ...recommenderManifest(bundle, [[0, 1, 2], [5], []], options.ranking ?? null),
  };
  return { files, manifest: manifestOf(content) };
}

/** The smallest ranker: products above a price, as `item_price` has it, come first. Its golden rows are the two leaves. */
export function priceRanker(price: number): { readonly bytes: Uint8Array; readonly golden: GoldenVectors } {
  const at = RANKING_FEATURES.findIndex((feature) => feature.name === "item_price");
  const split = Math.fround(Math.log1p(price));
  const trees = oneSplitTrees("score", { feature: at, threshold: split, below: -1, above: 1 });
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
  return { files, manifest: manifestOf({ ...content, files: describeFiles(files) }) };
}
