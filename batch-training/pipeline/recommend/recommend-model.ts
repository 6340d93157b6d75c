/** The recommender of products, as the pipeline makes it. */
import { RECOMMENDER_MODEL } from "../../../models/catalog/product-recommendations/model.ts";
import { decodeBundle } from "../../../models/recommend/bundle.ts";
import { bundleObjection, recommenderManifest } from "../../../models/recommend/golden.ts";
import { RANKING_FEATURES, RANKING_SERVICE, RANKING_WIDTH } from "../../../models/recommend/ranking-features.ts";
import { exportParity } from "../../evaluate/export-parity.ts";
import { loadCompact, loadOrt } from "../../evaluate/load-session.ts";
import { scoreRows } from "../../evaluate/score-rows.ts";
import { chooseEngine } from "../../publish/choose-engine.ts";
import type { ExportedInput, ManifestParts, ModelDefinition, Pin, Proof } from "../model-definition.ts";
import { StageRefusal } from "../pipeline-error.ts";
import type { LogSource, ModelRegistry } from "../sources.ts";
import { compareGroups, compareWithChampion, evaluateRecommender, filesOf } from "./recommend-checks.ts";
import { factsFrom, type RecommendData, type RecommendSplit, readLogs, splitFacts } from "./recommend-data.ts";
import { RANKER_FILE, type RecommenderModel, trainRecommender } from "./recommend-fit.ts";
import { RECOMMEND_PARAMETERS, RECOMMEND_SPACE } from "./recommend-parameters.ts";
import { tryRecommenderParameters } from "./recommend-trial.ts";
import { goldenRanking, rankingSample } from "./golden-ranking.ts";
import type { ShopLog } from "./shop-log.ts";
import { DEFAULT_OUTCOME_WAIT_MS } from "./shown-lists.ts";

export interface RecommendSources {
  readonly log: LogSource;
  readonly registry: ModelRegistry;
  /** How long a list waits for its outcomes before it is learned from, in milliseconds; a day where it is not given. */
  readonly outcomeWaitMs?: number;
}

type Definition = ModelDefinition<RecommendData, ShopLog, RecommendSplit, RecommenderModel>;
type Exported = ExportedInput<ShopLog, RecommendSplit, RecommenderModel>;

export function recommendModel(sources: RecommendSources): Definition {
  return {
    name: RECOMMENDER_MODEL,
    kind: "retrieval",
    about: ABOUT,
    featureService: { name: RANKING_SERVICE.name, hash: RANKING_SERVICE.hash },
    parameters: RECOMMEND_PARAMETERS,
    space: RECOMMEND_SPACE,
    pin: (signal) => pin(sources, signal),
    extract: ({ pin: { data } }, context) =>
      readLogs(
        sources.log,
        { objects: data["objects"] as string[], exposures: data["exposures"] as string[] },
        context,
      ),
    // Whether the facts suffice shows when they are read, which is the next stage.
    validate: async ({ data: { objects, exposures } }) => [
      `${objects.length} objects of events, ${exposures.length} of lists shown`,
    ],
    features: async ({ data, pin: { data: options } }) =>
      factsFrom(data, (options["outcomeWaitMs"] as number | undefined) ?? DEFAULT_OUTCOME_WAIT_MS),
    split: async ({ rows }) => splitFacts(rows),
    trial: tryRecommenderParameters,
    train: trainRecommender,
    calibrate: async ({ model }) => model,
    evaluate: evaluateRecommender,
    fairness: async () => compareGroups(),
    compare: async (input, context) =>
      compareWithChampion(input, await loadChampion(sources.registry, input.champion), context),
    export: async ({ model }) => model.published,
    parity: prove,
    golden: finish,
  };
}

const ABOUT = {
  purpose: "Products for a visitor, for a product in view, a basket or a page, from what visitors did.",
  intendedUse: "Lists of products in the shop whose log it was trained on, filtered by the live catalogue.",
  limits: [
    "Learnt from what people met without recommendations, or with those of earlier versions: what was never shown was never bought.",
    "Figures are of lists for past visits; what a list changes in what people do, only an experiment tells.",
    "A product that nobody has met is found through its category and as new, and a visitor of whom nothing is known gets what is popular.",
  ],
  owner: "recommendations",
};

/** A champion that ranks over other features cannot be asked; the new version then stands on the rivals alone. */
async function pin(
  { log, registry, outcomeWaitMs = DEFAULT_OUTCOME_WAIT_MS }: RecommendSources,
  signal: AbortSignal | undefined,
): Promise<Pin> {
  const [objects, serving] = await Promise.all([log.list(signal), registry.serving(RECOMMENDER_MODEL)]);
  const exposures = (await log.exposures?.(signal)) ?? [];
  const manifest = serving === null ? null : await registry.manifest(RECOMMENDER_MODEL, serving);
  const comparable = manifest?.featureService.hash === RANKING_SERVICE.hash;
  const data = { objects: [...objects], exposures: [...exposures], outcomeWaitMs };
  return { data, champion: comparable ? serving : null };
}

async function loadChampion(registry: ModelRegistry, version: string) {
  const manifest = await registry.manifest(RECOMMENDER_MODEL, version);
  const files = await Promise.all(
    manifest.files
      .filter(({ path }) => path.endsWith(".bin") || path === RANKER_FILE)
      .map(async ({ path }) => ({ path, bytes: await registry.file(RECOMMENDER_MODEL, version, path) })),
  );
  return { bundle: filesOf(files), trainedTo: manifest.lineage.trainedTo };
}

/** The files open, and the ranker says on both engines what the trainer's graph says. @throws StageRefusal */
async function prove(input: Exported): Promise<Proof> {
  const bundle = filesOf(input.files);
  const facts = recommenderManifest(bundle, input.model.histories, null);
  const residentBytes = facts.costs.residentBytes;
  const weights = `first stage of ${facts.recommender.sources.join(", ")}`;
  const { judged, published } = input.model.rankingLists;
  const lists = `the second stage learned from ${input.model.rankingQuestions} questions and ${judged} lists shown, as published from ${published}`;
  if (bundle.ranker === null) {
    return { engine: "compact", engineReason: "no second stage", residentBytes, explanation: "none", notes: [weights] };
  }
  const batch = rankingSample(input.rows, input.split, input.model, input.parameters);
  const rows = batch.length / RANKING_WIDTH;
  const session = await loadOrt(bundle.ranker);
  const expected = await scoreRows(session, batch, rows);
  await session.release();
  const tolerance = { absolute: 1e-4, relative: 0 };
  const parity = await exportParity({ bytes: bundle.ranker, batch, rows, expected, tolerance });
  if (parity.failure !== null) throw new StageRefusal([parity.failure]);
  const choice = await chooseEngine(bundle.ranker);
  if (!choice.ok) throw new StageRefusal([choice.reason]);
  if (choice.engine !== "compact") {
    throw new StageRefusal([
      `the second stage runs on every request and must run on the compact engine: ${choice.reason}`,
    ]);
  }
  return {
    engine: "compact",
    engineReason: choice.reason,
    residentBytes: residentBytes + choice.residentBytes,
    explanation: "none",
    notes: [
      weights,
      lists,
      `the second stage has ${RANKING_FEATURES.length} features and scores ${rows} rows alike on both engines`,
    ],
  };
}

async function finish(input: Exported): Promise<ManifestParts> {
  const bundle = decodeBundle(new Map(input.files.map(({ path, bytes }) => [path, bytes.slice()])));
  let golden = null;
  if (bundle.ranker !== null) {
    const batch = rankingSample(input.rows, input.split, input.model, input.parameters);
    golden = goldenRanking(batch, loadCompact(bundle.ranker));
  }
  const facts = recommenderManifest(bundle, input.model.histories, golden);
  const objection = bundleObjection(bundle, facts);
  if (objection !== null) throw new StageRefusal([objection]);
  return {
    input: facts.input,
    output: facts.output,
    fitted: { parts: [...input.model.parts], weights: [...input.model.weights], scale: input.model.scale },
    policy: null,
    golden: facts.golden,
    recommender: facts.recommender,
  };
}
