import { FRAUD_FEATURES } from "../../models/catalog/feature-catalog.ts";
import { FRAUD_MODEL } from "../../models/catalog/fraud-orders/model.ts";
import type { Manifest, ManifestContent } from "../../models/contract/manifest.ts";
import { model, node, valueInfo } from "../../models/onnx/build-graph.ts";
import { encodeTreeCover, treeCoverKey } from "../../models/onnx/tree-cover.ts";
import { writeModel } from "../../models/onnx/write-model.ts";
import { oneSplitTrees } from "./one-split-trees.ts";
import { describeFiles, manifestOf, TEST_LINEAGE } from "./test-manifest.ts";

export interface AmountModelOptions {
  /** Log-odds of an order above 100 in major units; below it has the opposite. */
  readonly logOdds?: number;
  readonly engine?: "compact" | "ort";
  /** Changes the content, and with it the version. */
  readonly note?: string;
}

export interface PublishableModel {
  readonly manifest: Manifest;
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

export const MODEL_FILE = "model.onnx";

/**
 * The smallest fraud model: one split on the order's amount. Its scores are known without any engine: 1 / (1 + e^-logOdds) above 100,
 * one minus that up to 100; its attribution of the amount is the leaf minus the mean of the leaves by their covers, 90 to 10.
 */
export function amountModel(options: AmountModelOptions = {}): PublishableModel {
  const logOdds = options.logOdds ?? 2;
  const bytes = oneSplit(logOdds);
  const high = 1 / (1 + Math.exp(-logOdds));
  const row = (amount: number): (number | null)[] =>
    FRAUD_FEATURES.names.map((name) => (name === "amount" ? amount : null));
  return publishable(bytes, {
    v: 1,
    name: FRAUD_MODEL,
    kind: "fraud",
    engine: options.engine ?? "compact",
    engineReason: options.note ?? "a test",
    input: { name: "features", width: FRAUD_FEATURES.width },
    output: { name: "score", width: 1 },
    featureService: { name: FRAUD_FEATURES.name, hash: FRAUD_FEATURES.hash },
    fitted: {},
    policy: { reviewAt: 0.5, declineAt: 0.8 },
    explanation: options.engine === "ort" ? "none" : "exact",
    metrics: [{ name: "roc_auc", slice: "test", value: 0.9, low: 0.8, high: 1 }],
    costs: { residentBytes: 1_000 },
    lineage: TEST_LINEAGE,
    files: [],
    golden: {
      tolerance: 1e-6,
      rows: [
        { vector: row(50), score: [1 - high] },
        { vector: row(500), score: [high] },
      ],
    },
  });
}

/** The manifest of some bytes: `content` with their file described and the version that follows. */
export function publishable(bytes: Uint8Array, content: ManifestContent): PublishableModel {
  const files = describeFiles(new Map([[MODEL_FILE, bytes]]));
  return { bytes, sha256: files[0]?.sha256 ?? "", manifest: manifestOf({ ...content, files }) };
}

function oneSplit(logOdds: number): Uint8Array {
  const amount = FRAUD_FEATURES.indexOf("amount");
  const trees = oneSplitTrees("log_odds", { feature: amount, threshold: 100, below: -logOdds, above: logOdds });
  const sigmoid = node("Sigmoid", { inputs: ["log_odds"], outputs: ["score"] });
  return writeModel(
    model({
      nodes: [trees, sigmoid],
      inputs: [valueInfo("features", "float32", ["n", FRAUD_FEATURES.width])],
      outputs: [valueInfo("score", "float32", ["n", 1])],
      metadata: new Map([[treeCoverKey("log_odds"), encodeTreeCover(Float64Array.of(100, 90, 10))]]),
    }),
  );
}
