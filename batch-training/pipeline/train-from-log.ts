import type { Manifest } from "../../models/contract/manifest.ts";
import { getManifest, getModel, getModelFile } from "../../models/contract/api/models.ts";
import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../models/catalog/feature-catalog.ts";
import { LABEL_DELAY_MS } from "../../models/catalog/fraud-orders/features.ts";
import { FRAUD_MODEL } from "../../models/catalog/fraud-orders/model.ts";
import { fraudChargebacks } from "../../models/catalog/fraud-orders/sources.ts";
import { checkService, qualityText } from "../../models/features/quality.ts";
import type { ApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";
import type { GateReport } from "../evaluate/gates.ts";
import { loadCompact, loadOrt } from "../evaluate/load-session.ts";
import { scoreRows } from "../evaluate/score-rows.ts";
import { buildTrainingRows, type TrainingRows } from "../features/build-training-rows.ts";
import { promoteVersion, publishModel } from "../publish/publish-model.ts";
import type { ManifestSigner } from "../publish/signing.ts";
import { readEventLogSnapshot } from "../sources/event-log.ts";
import { FRAUD_PARAMETERS, trainFraud, type TrainFraudInput } from "./train-fraud.ts";

export interface TrainFromLogOptions {
  readonly client: Pick<ApiClient, "call">;
  readonly seed: number;
  readonly codeVersion: string;
  /** How long after an order its chargeback may still arrive: younger orders have no label yet. */
  readonly maturityMs: number;
  readonly promote: boolean;
  /** Without one, the version is published unsigned, which only a Worker without trusted keys accepts. */
  readonly signer?: ManifestSigner | null;
  readonly onStage: (stage: string, detail: string) => void;
}

export interface TrainFromLogResult {
  readonly events: number;
  readonly rows: number;
  readonly immature: number;
  readonly frauds: number;
  readonly gates: GateReport | null;
  /** Empty when the version was published. */
  readonly refusals: readonly string[];
  readonly manifest: Manifest | null;
  readonly champion: string | null;
  readonly promoted: boolean;
}

/** Labels of an order may take this long: twice the delay that the features allow for. */
export const DEFAULT_MATURITY_MS = 2 * LABEL_DELAY_MS;

/**
 * The whole way from the log to a serving version: read the log, build point-in-time rows with the definitions that serve, train,
 * gate against the champion, publish, promote. A refusal is a result that says why; nothing is published then.
 */
export async function trainFromLog(options: TrainFromLogOptions): Promise<TrainFromLogResult> {
  const { client, onStage } = options;
  onStage("log", "reading the event log");
  const log = await readEventLogSnapshot(client, ({ objects, events }) =>
    onStage("log", `${events} events in ${objects} objects`),
  );
  onStage("rows", "building point-in-time rows");
  const rows = await buildTrainingRows({
    events: log.events(),
    catalog: FEATURE_CATALOG,
    service: FRAUD_FEATURES,
    label: fraudChargebacks,
    maturityMs: options.maturityMs,
    onProgress: (events) => onStage("rows", `${events} of ${log.size} events replayed`),
  });
  const champion = await servingChampion(client);
  const quality = checkService(FRAUD_FEATURES.definition, rows.columns);
  onStage("quality", qualityText(quality));
  if (quality.findings.length > 0) {
    const summary = summarise(rows, log.size, champion?.version ?? null);
    return { ...summary, gates: null, refusals: [qualityText(quality)], manifest: null, promoted: false };
  }
  const trained = await trainFraud({
    model: FRAUD_MODEL,
    service: { name: FRAUD_FEATURES.name, hash: FRAUD_FEATURES.hash },
    rows,
    parameters: FRAUD_PARAMETERS,
    seed: options.seed,
    codeVersion: options.codeVersion,
    champion,
    onStage,
  });
  const summary = summarise(rows, log.size, champion?.version ?? null);
  if (!trained.passed)
    return { ...summary, gates: trained.gates, refusals: trained.refusals, manifest: null, promoted: false };
  onStage("publish", `version ${trained.manifest.version.slice(0, 12)}`);
  await publishModel(client, trained.manifest, trained.files, options.signer);
  if (options.promote) await promoteVersion(client, trained.manifest.name, trained.manifest.version);
  return { ...summary, gates: trained.gates, refusals: [], manifest: trained.manifest, promoted: options.promote };
}

function summarise(rows: TrainingRows, events: number, champion: string | null) {
  const frauds = rows.labels.reduce((sum, label) => sum + label, 0);
  return { events, rows: rows.rows, immature: rows.immature, frauds, champion };
}

/** The version that serves now, ready to score the challenger's test slice; null before the first or for another feature service. */
async function servingChampion(client: Pick<ApiClient, "call">): Promise<TrainFraudInput["champion"]> {
  const version = await servingVersion(client);
  if (version === null) return null;
  const params = { name: FRAUD_MODEL, version };
  const { body: manifest } = await client.call(getManifest, { params });
  if (manifest.featureService.hash !== FRAUD_FEATURES.hash) return null;
  const { body: bytes } = await client.call(getModelFile, { params: { ...params, path: "model.onnx" } });
  return {
    version,
    score: async (batch, rows) =>
      await scoreRows(manifest.engine === "compact" ? loadCompact(bytes) : await loadOrt(bytes), batch, rows),
  };
}

async function servingVersion(client: Pick<ApiClient, "call">): Promise<string | null> {
  try {
    const { body } = await client.call(getModel, { params: { name: FRAUD_MODEL } });
    return body.routing?.serving ?? null;
  } catch (error) {
    if (error instanceof ApiError && error.code === "model-not-found") return null;
    throw error;
  }
}
