/** A whole recommender from a log up to a moment: parts, blend, second stage. */
import type { RecommenderBundle } from "../../../models/recommend/bundle.ts";
import type { RecommendPolicy } from "../../../models/recommend/policy.ts";
import type { BlendScale, ServedPart } from "../../../models/recommend/served-recommender.ts";
import { serveBlend } from "../../train/recommenders/blend.ts";
import { fitRanker, joinRows, RANKER_PARAMETERS } from "../../train/recommenders/two-stage/fit-ranker.ts";
import { buildBundle } from "./build-bundle.ts";
import { learnBlend } from "./fit-retrieval.ts";
import type { GbdtParametersInput } from "../../train/gbdt/parameters.ts";
import { shownRows } from "./shown-lists.ts";
import { fitPart, PARTS } from "./parts.ts";
import { type Question, questionsOf } from "./questions.ts";
import { rankingRows } from "./ranking-rows.ts";
import type { ShopLog } from "./shop-log.ts";
import { type ShopTraining, trainingBefore } from "./training-logs.ts";

export interface RecommenderSettings {
  readonly policy: RecommendPolicy;
  /** Entries of each served neighbour list. */
  readonly neighbours: number;
  /** Questions that the blend and the second stage learn from at most. */
  readonly blendQuestions: number;
  readonly rankingQuestions: number;
  /** Parameters of parts that differ from the plan, as `ials.factors`. */
  readonly parts: Readonly<Record<string, unknown>>;
}

export interface LearnContext {
  readonly seed: number;
  readonly threads: number;
  readonly progress: (done: number, total: number, note: string) => void;
}

/** What is learned from the time between `from` and `until`, by parts that know nothing of it. */
export interface Learned {
  readonly weights: readonly number[];
  readonly scale: BlendScale;
  readonly ranker: Uint8Array | null;
  readonly questions: number;
}

/** Fewer and bolder steps than on outside data: a recommender is trained with every start of the loop. */
const RANKING_PARAMETERS: GbdtParametersInput = { ...RANKER_PARAMETERS, trees: 120, learningRate: 0.08 };
/** Fewer groups than this teach a ranker nothing: the first stage serves alone. */
const MIN_GROUPS = 100;

export async function learn(
  log: ShopLog,
  slice: { readonly from: number; readonly until: number },
  settings: RecommenderSettings,
  context: LearnContext,
): Promise<Learned> {
  const training = trainingBefore(log, slice.from, settings.policy.sessionGapSeconds);
  const parts = await fitParts(training, settings, context);
  const questions = questionsOf(log, {
    ...slice,
    gapSeconds: settings.policy.sessionGapSeconds,
    maxEvents: settings.policy.maxEvents,
    limit: Math.max(settings.rankingQuestions, settings.blendQuestions),
    seed: context.seed,
  });
  const blended = serveBlend(parts, { weights: parts.map(() => 1), scale: "deviation" });
  const bare = buildBundle(log, training, { retrieval: blended, policy: settings.policy, ranker: null });
  const learned = learnBlend(parts, bare, every(questions, settings.blendQuestions));
  context.progress(1, 2, `blend by ${learned.scale}: ${describeWeights(learned.weights)}`);
  const bundle = { ...bare, retrieval: serveBlend(parts, learned) };
  const rows = rankingRows(bundle, every(questions, settings.rankingQuestions), {
    changes: log.changes,
    since: slice.from,
  });
  const shown = shownRows(log.shown, slice.until);
  const enough = rows.groups.length >= MIN_GROUPS;
  const all = shown === null ? rows : joinRows([rows, shown]);
  const ranker = enough ? (await fitRanker(all, { ...context, parameters: RANKING_PARAMETERS })).onnx : null;
  const lists = shown === null ? "no lists shown" : `${shown.groups.length} lists shown`;
  context.progress(2, 2, `${rows.groups.length} questions, ${rows.labels.length} candidates, ${lists}`);
  return { weights: learned.weights, scale: learned.scale, ranker, questions: rows.groups.length };
}

/** The bundle of everything before `until`, with what was learned on an earlier time. */
export async function assemble(
  log: ShopLog,
  until: number,
  { settings, learned }: { readonly settings: RecommenderSettings; readonly learned: Learned },
  context: LearnContext,
): Promise<RecommenderBundle> {
  const training = trainingBefore(log, until, settings.policy.sessionGapSeconds);
  const parts = await fitParts(training, settings, context);
  const { policy } = settings;
  return buildBundle(log, training, { retrieval: serveBlend(parts, learned), policy, ranker: learned.ranker });
}

async function fitParts(
  training: ShopTraining,
  settings: RecommenderSettings,
  context: LearnContext,
): Promise<ServedPart[]> {
  const parts: ServedPart[] = [];
  for (const [name, plan] of Object.entries(PARTS)) {
    const { neighbours, parts: overrides } = settings;
    parts.push(await fitPart(name, plan, training, { ...context, neighbours, overrides }));
  }
  return parts;
}

export function describeWeights(weights: readonly number[]): string {
  return Object.keys(PARTS)
    .flatMap((name, part) => ((weights[part] ?? 0) > 0 ? [`${name} ${(weights[part] ?? 0).toFixed(2)}`] : []))
    .join(", ");
}

/** Every so manieth, so that the whole time is covered. */
function every(questions: readonly Question[], limit: number): readonly Question[] {
  if (questions.length <= limit) return questions;
  return Array.from({ length: limit }, (_, at) => questions[Math.floor((at * questions.length) / limit)]).flatMap(
    (question) => question ?? [],
  );
}
