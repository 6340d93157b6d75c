/** A whole recommender from a log up to a moment: parts, blend, second stage. */
import type { RecommenderBundle } from "../../../models/recommend/bundle.ts";
import type { BlendScale, ServedPart } from "../../../models/recommend/served-recommender.ts";
import { serveBlend } from "../../train/recommenders/blend.ts";
import { fitRanker, joinRows, type RankingRows } from "../../train/recommenders/two-stage/fit-ranker.ts";
import { buildBundle } from "./build-bundle.ts";
import { learnBlend } from "./fit-retrieval.ts";
import { shownRows } from "./shown-lists.ts";
import { fitPart } from "./parts.ts";
import { type Question, questionsOf } from "./questions.ts";
import { rankingRows } from "./ranking-rows.ts";
import type { RecommenderSettings } from "./recommend-parameters.ts";
import { factsBefore, type ShopLog } from "./shop-log.ts";
import { type ShopTraining, trainingBefore } from "./training-logs.ts";

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
  /** Lists shown that the second stage learned from. */
  readonly lists: number;
  /** What it learned from beside them. */
  readonly rows: RankingRows;
}

/** Fewer groups than this teach a ranker nothing: the first stage serves alone. */
const MIN_GROUPS = 100;

/** Nothing of the log from `slice.until` on is looked at: visits and waits for outcomes that reach beyond it end there. */
export async function learn(
  whole: ShopLog,
  slice: { readonly from: number; readonly until: number },
  settings: RecommenderSettings,
  context: LearnContext,
): Promise<Learned> {
  const log = factsBefore(whole, slice.until);
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
  const bare = buildBundle(log, training, { ...settings, retrieval: blended, ranker: null });
  const learned = learnBlend(parts, bare, every(questions, settings.blendQuestions), settings.scales);
  context.progress(1, 2, `blend by ${learned.scale}: ${describeWeights(settings, learned.weights)}`);
  const bundle = { ...bare, retrieval: serveBlend(parts, learned) };
  const rows = rankingRows(bundle, every(questions, settings.rankingQuestions), { log, since: slice.from });
  const shown = shownRows(log.shown, slice.until);
  const enough = rows.groups.length >= MIN_GROUPS;
  const all = shown === null ? rows : joinRows([rows, shown]);
  const ranker = enough ? (await fitRanker(all, { ...context, parameters: settings.ranker })).onnx : null;
  const lists = shown === null ? "no lists shown" : `${shown.groups.length} lists shown`;
  context.progress(2, 2, `${rows.groups.length} questions, ${rows.labels.length} candidates, ${lists}`);
  return {
    weights: learned.weights,
    scale: learned.scale,
    ranker,
    questions: rows.groups.length,
    lists: shown?.groups.length ?? 0,
    rows,
  };
}

/**
 * The same with a second stage that has learned from every list whose wait is over, later ones included: as it is published. What was judged is the one
 * without them, because the latest time judges.
 */
export async function withLaterLists(
  learned: Learned,
  { shown }: Pick<ShopLog, "shown">,
  settings: RecommenderSettings,
  context: LearnContext,
): Promise<Learned> {
  const all = shownRows(shown, Infinity);
  if (learned.ranker === null || all === null || all.groups.length === learned.lists) return learned;
  const { onnx } = await fitRanker(joinRows([learned.rows, all]), { ...context, parameters: settings.ranker });
  context.progress(2, 2, `${all.groups.length} lists shown`);
  return { ...learned, ranker: onnx, lists: all.groups.length };
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
  return buildBundle(log, training, { ...settings, retrieval: serveBlend(parts, learned), ranker: learned.ranker });
}

async function fitParts(
  training: ShopTraining,
  settings: RecommenderSettings,
  context: LearnContext,
): Promise<ServedPart[]> {
  const parts: ServedPart[] = [];
  const { neighbours } = settings;
  for (const plan of Object.values(settings.parts)) {
    parts.push(await fitPart(plan, training, { ...context, neighbours }));
  }
  return parts;
}

export function describeWeights({ parts }: RecommenderSettings, weights: readonly number[]): string {
  return Object.keys(parts)
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
