import type { Manifest } from "../../../models/contract/manifest.ts";
import type { InboundEvent, StoredEvent } from "../../../models/contract/events.ts";
import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import { FRAUD_MODEL } from "../../../models/catalog/fraud-orders/model.ts";
import { fraudChargebacks } from "../../../models/catalog/fraud-orders/sources.ts";
import { writeModel } from "../../../models/onnx/write-model.ts";
import { buildTrainingRows } from "../../../batch-training/features/build-training-rows.ts";
import { fitPolicy } from "../../../batch-training/pipeline/fraud/fit-policy.ts";
import { goldenVectors } from "../../../batch-training/pipeline/golden-vectors.ts";
import { splitByTime } from "../../../batch-training/pipeline/training-rows.ts";
import { chooseEngine } from "../../../batch-training/publish/choose-engine.ts";
import { describeFile, manifestOf, type ModelFileContent } from "../../../batch-training/publish/publish-model.ts";
import { gbdtTrainer } from "../../../batch-training/train/gbdt/gbdt-trainer.ts";
import { simulateShop } from "../../../batch-training/simulator/simulate-shop.ts";
import { scoreRows } from "../../../batch-training/train/gbdt/tree.ts";

export const BENCH_TREES = 200;
const MATURITY_MS = 14 * 86_400_000;

export interface BenchModel {
  readonly manifest: Manifest;
  readonly files: readonly ModelFileContent[];
}

/**
 * A model of the size that serves: 200 trees of depth up to 6, trained on a simulated shop of its own, the same one each time.
 * Gates are left out, because its cost is measured and not its merit.
 */
export async function trainBenchModel(): Promise<BenchModel> {
  const shop = simulateShop({ seed: "bench-model", scale: 0.4, end: Date.parse("2026-03-02T00:00:00Z") });
  const events = [...shop.events()].map(({ event }) => asStored(event)).toSorted((a, b) => a.ingestedAt - b.ingestedAt);
  const rows = await buildTrainingRows({
    events,
    catalog: FEATURE_CATALOG,
    service: FRAUD_FEATURES,
    label: fraudChargebacks,
    maturityMs: MATURITY_MS,
  });
  const split = splitByTime(rows);
  const labelled = (slice: typeof split.train) => ({
    columns: slice.columns,
    labels: slice.labels,
    weights: null,
    groups: null,
  });
  const trained = await gbdtTrainer(
    {
      features: rows.featureNames.map((name) => ({ name, kind: "numeric" as const })),
      train: labelled(split.train),
      validation: labelled(split.validation),
    },
    {
      objective: "logistic",
      trees: BENCH_TREES,
      learningRate: 0.03,
      leaves: 64,
      maxDepth: 6,
      minRowsPerLeaf: 5,
      l2: 1,
      calibration: "platt",
    },
    1,
    () => {},
  );
  const bytes = writeModel(trained.graph);
  const engine = await chooseEngine(bytes);
  if (!engine.ok) throw new Error(engine.reason);
  const files = [{ path: "model.onnx", bytes }];
  const scores = scoreRows(trained.rawModel, split.validation.columns, split.validation.labels.length);
  const manifest = manifestOf({
    v: 1,
    name: FRAUD_MODEL,
    kind: "fraud",
    engine: engine.engine,
    engineReason: engine.reason,
    input: { name: "features", width: FRAUD_FEATURES.width },
    output: { name: "score", width: 1 },
    featureService: { name: FRAUD_FEATURES.name, hash: FRAUD_FEATURES.hash },
    fitted: {},
    policy: fitPolicy(scores, split.validation.labels),
    explanation: "exact",
    metrics: [],
    costs: { residentBytes: engine.residentBytes },
    lineage: {
      runId: "bench",
      dataHash: "0".repeat(64),
      codeVersion: "bench",
      parent: null,
      trainedFrom: 0,
      trainedTo: 0,
      rows: rows.rows,
      parameters: { trees: BENCH_TREES },
    },
    files: files.map(describeFile),
    golden: goldenVectors(split.validation, scores),
  });
  return { manifest, files };
}

function asStored(event: InboundEvent): StoredEvent {
  return { ...event, tenant: "default", ingestedAt: Date.parse(event.recordedtime ?? event.time) };
}
