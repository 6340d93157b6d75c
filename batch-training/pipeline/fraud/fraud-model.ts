/** The model that decides about orders, as the pipeline makes it. */
import { FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import { LABEL_DELAY_MS } from "../../../models/catalog/fraud-orders/features.ts";
import { FRAUD_MODEL } from "../../../models/catalog/fraud-orders/model.ts";
import { writeModel } from "../../../models/onnx/write-model.ts";
import { describeParity, exportParity } from "../../evaluate/export-parity.ts";
import { loadCompact, loadOrt } from "../../evaluate/load-session.ts";
import { scoreRows as scoreWith } from "../../evaluate/score-rows.ts";
import { chooseEngine } from "../../publish/choose-engine.ts";
import { exportGbdt } from "../../train/gbdt/export-onnx.ts";
import { type GbdtModel, scoreRows } from "../../train/gbdt/tree.ts";
import { goldenVectors } from "../golden-vectors.ts";
import { readLogObjects } from "../log-objects.ts";
import type { ExportedInput, ManifestParts, ModelDefinition, Pin, Proof } from "../model-definition.ts";
import { StageRefusal } from "../pipeline-error.ts";
import type { LogSource, ModelRegistry } from "../sources.ts";
import { rowMajor } from "../training-rows.ts";
import { compareFraudGroups, compareWithChampion, evaluateFraudTrees } from "./fraud-checks.ts";
import {
  buildRows,
  type FraudData,
  type FraudRows,
  type FraudSplit,
  slicesOf,
  splitRows,
  validateLog,
} from "./fraud-data.ts";
import {
  calibrateFraudTrees,
  FRAUD_PARAMETERS,
  FRAUD_SPACE,
  trainFraudTrees,
  tryFraudParameters,
} from "./fraud-fit.ts";
import { fitPolicy } from "./fit-policy.ts";

/** Labels of an order may take this long: twice the delay that the features allow for. */
export const DEFAULT_MATURITY_MS = 2 * LABEL_DELAY_MS;
export const MODEL_FILE = "model.onnx";
/** Trainer (float64 sums) against engines (float32 sums), per score. */
const PARITY_TOLERANCE = { absolute: 1e-5, relative: 0 };

export interface FraudSources {
  readonly log: LogSource;
  readonly registry: ModelRegistry;
  /** How long after an order its chargeback may still arrive: younger orders have no label yet. */
  readonly maturityMs: number;
}

type FraudDefinition = ModelDefinition<FraudData, FraudRows, FraudSplit, GbdtModel>;

export function fraudModel(sources: FraudSources): FraudDefinition {
  return {
    name: FRAUD_MODEL,
    kind: "fraud",
    about: ABOUT,
    featureService: { name: FRAUD_FEATURES.name, hash: FRAUD_FEATURES.hash },
    parameters: FRAUD_PARAMETERS,
    space: FRAUD_SPACE,
    pin: (signal) => pin(sources, signal),
    extract: async ({ pin: { data } }, context) => ({
      objects: await readLogObjects(sources.log, data["objects"] as string[], context),
    }),
    validate: async ({ data }) => validateLog(data),
    features: ({ data, pin: { data: pinned } }, context) => buildRows(data, pinned["maturityMs"] as number, context),
    split: async ({ rows }) => splitRows(rows),
    trial: tryFraudParameters,
    train: trainFraudTrees,
    calibrate: calibrateFraudTrees,
    evaluate: evaluateFraudTrees,
    fairness: async (input, context) => compareFraudGroups(input, context),
    compare: async (input, context) => {
      const { test } = slicesOf(input.rows, input.split);
      const session = await loadChampion(sources.registry, input.champion);
      const scores = await scoreWith(session, rowMajor(test), test.labels.length);
      return compareWithChampion(input, scores, context);
    },
    export: async ({ model }) => [{ path: MODEL_FILE, bytes: writeModel(exportGbdt(model)) }],
    parity: prove,
    golden: finish,
  };
}

const ABOUT = {
  purpose: "Probability that an order will be charged back as fraud, from what is known when it is placed.",
  intendedUse:
    "Decides between approval, review by a person, and decline of orders in the shop whose log it was trained on.",
  limits: [
    "Learnt from orders whose chargeback arrived, or did not, within the maturity: fraud that nobody reported counts as honest.",
    "Orders that were declined never got a label, so what an earlier model declined is not seen here.",
    "Probabilities are calibrated on the slice before the latest; where fraud changes, calibration is the first thing to go.",
  ],
  owner: FRAUD_FEATURES.definition.owner,
};

/** A champion that takes other features cannot score these rows; the new version then stands on the baselines alone. */
async function pin({ log, registry, maturityMs }: FraudSources, signal: AbortSignal | undefined): Promise<Pin> {
  const [objects, serving] = await Promise.all([log.list(signal), registry.serving(FRAUD_MODEL)]);
  const manifest = serving === null ? null : await registry.manifest(FRAUD_MODEL, serving);
  const comparable = manifest?.featureService.hash === FRAUD_FEATURES.hash;
  const data = { objects: [...objects], maturityMs };
  if (serving === null || comparable) return { data, champion: serving };
  return { data: { ...data, incomparable: serving }, champion: null };
}

async function loadChampion(registry: ModelRegistry, version: string) {
  const { engine } = await registry.manifest(FRAUD_MODEL, version);
  const bytes = await registry.file(FRAUD_MODEL, version, MODEL_FILE);
  return engine === "compact" ? loadCompact(bytes) : await loadOrt(bytes);
}

type Exported = ExportedInput<FraudRows, FraudSplit, GbdtModel>;

async function prove({ rows, split, model, files }: Exported): Promise<Proof> {
  const { test } = slicesOf(rows, split);
  const bytes = bytesOf(files);
  const parity = await exportParity({
    bytes,
    batch: rowMajor(test),
    rows: test.labels.length,
    expected: scoreRows(model, test.columns, test.labels.length),
    tolerance: PARITY_TOLERANCE,
  });
  if (parity.failure !== null) throw new StageRefusal([parity.failure]);
  const choice = await chooseEngine(bytes);
  if (!choice.ok) throw new StageRefusal([choice.reason]);
  return {
    engine: choice.engine,
    engineReason: choice.reason,
    residentBytes: choice.residentBytes,
    explanation: choice.engine === "compact" && parity.additivity !== null ? "exact" : "none",
    notes: describeParity(parity),
  };
}

/** Thresholds come from the slice that calibrated, golden vectors from the latest one. */
async function finish({ rows, split, model }: Exported): Promise<ManifestParts> {
  const { validation, test } = slicesOf(rows, split);
  const known = scoreRows(model, validation.columns, validation.labels.length);
  return {
    input: { name: "features", width: rows.featureNames.length },
    output: { name: "score", width: 1 },
    fitted: {},
    policy: fitPolicy(known, validation.labels),
    golden: goldenVectors(test, scoreRows(model, test.columns, test.labels.length)),
  };
}

function bytesOf(files: Exported["files"]): Uint8Array {
  const file = files.find(({ path }) => path === MODEL_FILE);
  if (!file) throw new Error(`the export has no ${MODEL_FILE}`);
  return file.bytes;
}
