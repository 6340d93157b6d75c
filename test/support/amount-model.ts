import { FRAUD_FEATURES } from "../../models/catalog/feature-catalog.ts";
import { FRAUD_MODEL } from "../../models/catalog/fraud-orders/model.ts";
import { canonicalJson } from "../../models/contract/canonical-json.ts";
import type { Manifest, ManifestContent } from "../../models/contract/manifest.ts";
import { sha256 } from "../../models/contract/sha256.ts";
import { attribute, model, node, valueInfo } from "../../models/onnx/build-graph.ts";
import { encodeTreeCover, treeCoverKey } from "../../models/onnx/tree-cover.ts";
import { writeModel } from "../../models/onnx/write-model.ts";

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
  const hash = hexOf(sha256(bytes));
  const complete = { ...content, files: [{ path: MODEL_FILE, sha256: hash, bytes: bytes.byteLength }] };
  return { bytes, sha256: hash, manifest: manifestOf(complete) };
}

export function manifestOf(content: ManifestContent): Manifest {
  const version = hexOf(sha256(new TextEncoder().encode(canonicalJson(content))));
  return { ...content, version, signature: null };
}

function oneSplit(logOdds: number): Uint8Array {
  const trees = node("TreeEnsembleRegressor", {
    domain: "ai.onnx.ml",
    inputs: ["features"],
    outputs: ["log_odds"],
    attributes: {
      nodes_treeids: attribute.ints([0, 0, 0]),
      nodes_nodeids: attribute.ints([0, 1, 2]),
      nodes_featureids: attribute.ints([FRAUD_FEATURES.indexOf("amount"), 0, 0]),
      nodes_values: attribute.floats([100, 0, 0]),
      nodes_modes: attribute.strings(["BRANCH_LEQ", "LEAF", "LEAF"]),
      nodes_truenodeids: attribute.ints([1, 0, 0]),
      nodes_falsenodeids: attribute.ints([2, 0, 0]),
      nodes_missing_value_tracks_true: attribute.ints([1, 0, 0]),
      n_targets: attribute.int(1),
      target_treeids: attribute.ints([0, 0]),
      target_nodeids: attribute.ints([1, 2]),
      target_ids: attribute.ints([0, 0]),
      target_weights: attribute.floats([-logOdds, logOdds]),
      aggregate_function: attribute.string("SUM"),
      post_transform: attribute.string("NONE"),
    },
  });
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

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
