/** What may be chosen about a recommender: its defaults, what `--set` may replace, and what a search draws. */
import type { BlendScale } from "../../../models/recommend/served-recommender.ts";
import { DEFAULT_POLICY, RecommendPolicy } from "../../../models/recommend/policy.ts";
import { gbdtParametersSchema, type GbdtParametersInput } from "../../train/gbdt/parameters.ts";
import { RANKER_PARAMETERS } from "../../train/recommenders/two-stage/fit-ranker.ts";
import type { Parameters } from "../model-definition.ts";
import { StageRefusal } from "../pipeline-error.ts";
import type { SearchRange, SearchSpace } from "../search.ts";
import { type PartPlan, PARTS } from "./parts.ts";

export interface RecommenderSettings {
  readonly policy: RecommendPolicy;
  /** Entries of each served neighbour list. */
  readonly neighbours: number;
  /** Interactions that hold back the similarity of products seen together a few times only. */
  readonly similarShrinkage: number;
  /** Questions that the blend and the second stage learn from at most. */
  readonly blendQuestions: number;
  readonly rankingQuestions: number;
  /** Scales the blend may be made on; the better one on the questions is taken. */
  readonly scales: readonly BlendScale[];
  /** The parts in use, with their parameters. */
  readonly parts: Readonly<Record<string, PartPlan>>;
  readonly ranker: GbdtParametersInput;
}

const SCALES: readonly BlendScale[] = ["deviation", "maximum"];
const ANY_SCALE = "better";

/** Fewer and bolder steps than on outside data: a recommender is trained with every start of the loop. */
const { objective: _objective, ...ranker } = { ...RANKER_PARAMETERS, trees: 120, learningRate: 0.08 };

/** `PART.used` and `PART.PARAMETER` of the parts, `ranker.PARAMETER` of the second stage, and the whole's own. */
export const RECOMMEND_PARAMETERS: Parameters = {
  neighbours: 100,
  similarShrinkage: 10,
  blendQuestions: 400,
  blendScale: ANY_SCALE,
  rankingQuestions: 1_000,
  // Half a page of one shelf is a choice; a whole one is a rut.
  policy: { ...DEFAULT_POLICY, candidates: 100, categoryShare: 0.5 },
  ...prefixed("ranker", ranker),
  ...Object.fromEntries(
    Object.entries(PARTS).flatMap(([name, { used, parameters }]) =>
      Object.entries(prefixed(name, { used, ...parameters })),
    ),
  ),
};

function prefixed(owner: string, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${owner}.${name}`, value]));
}

const real = (low: number, high: number): SearchRange => ({ kind: "real", low, high, scale: "log" });
const share = (low: number, high: number): SearchRange => ({ kind: "real", low, high, scale: "linear" });
const whole = (low: number, high: number): SearchRange => ({ kind: "whole", low, high, scale: "log" });
/** The blend gives a part without merit no weight by itself, so leaving one out is worth a try now and then only. */
const MOSTLY: SearchRange = { kind: "choice", values: [true, true, true, false] };
const SELDOM: SearchRange = { kind: "choice", values: [false, false, false, true] };

/**
 * Ends are where the model turns into another (a half-life that forgets the day before, a ridge that leaves nothing) or into one that
 * takes too long at serving: trees and leaves of the second stage cost time with every request, factors and neighbours memory.
 */
export const RECOMMEND_SPACE: SearchSpace = {
  neighbours: { kind: "choice", values: [50, 100, 150] },
  similarShrinkage: real(1, 100),
  blendScale: { kind: "choice", values: [ANY_SCALE, ...SCALES] },
  "popularity.days": { kind: "choice", values: [7, 14, 30, 90] },
  "own-recency.used": MOSTLY,
  "own-recency.days": real(10, 365),
  "item-knn.used": SELDOM,
  "item-knn.shrinkage": real(1, 100),
  "item-knn.decay": share(0.8, 1),
  "ease-recency.used": MOSTLY,
  "ease-recency.share": real(3, 200),
  "ease-recency.matrixDays": real(20, 365),
  "ease-recency.halfLifeDays": real(5, 180),
  "sequential-rules.used": MOSTLY,
  "sequential-rules.decay": share(0.5, 1),
  "session-knn.used": MOSTLY,
  "session-knn.neighbours": whole(100, 500),
  "session-knn.decay": share(0.5, 1),
  "session-knn.halfLifeDays": real(5, 180),
  "ials.used": MOSTLY,
  "ials.factors": { kind: "choice", values: [16, 32, 64] },
  "ials.regularisation": real(0.001, 0.1),
  "ials.unobserved": real(0.02, 0.5),
  "ials.decay": share(0.9, 1),
  "ranker.trees": whole(60, 240),
  "ranker.learningRate": real(0.03, 0.2),
  "ranker.leaves": whole(4, 15),
  "ranker.minRowsPerLeaf": whole(30, 300),
  "ranker.l2": real(1, 100),
};

/** @throws StageRefusal for a setting that there is not, or that is not what it must be */
export function settingsOf(parameters: Parameters): RecommenderSettings {
  const unknown = Object.keys(parameters).filter((name) => !Object.hasOwn(RECOMMEND_PARAMETERS, name));
  if (unknown.length > 0) {
    const known = Object.keys(RECOMMEND_PARAMETERS).join(", ");
    throw new StageRefusal(unknown.map((name) => `there is no parameter "${name}"; there are ${known}`));
  }
  const all = { ...RECOMMEND_PARAMETERS, ...parameters };
  const parts = Object.fromEntries(
    Object.entries(PARTS).flatMap(([name, plan]) => (usedPart(name, all) ? [[name, planOf(name, plan, all)]] : [])),
  );
  if (Object.keys(parts).length === 0)
    throw new StageRefusal(["every part is switched off: nothing would be retrieved"]);
  const { blendScale } = all;
  const scales = blendScale === ANY_SCALE ? SCALES : SCALES.filter((scale) => scale === blendScale);
  if (scales.length === 0) {
    throw new StageRefusal([`blendScale is one of ${[ANY_SCALE, ...SCALES].join(", ")}, not ${shown(blendScale)}`]);
  }
  return {
    policy: policyOf(all),
    neighbours: wholeNumber("neighbours", all, 1_000),
    similarShrinkage: atLeastZero("similarShrinkage", all),
    blendQuestions: wholeNumber("blendQuestions", all, 100_000),
    rankingQuestions: wholeNumber("rankingQuestions", all, 100_000),
    scales,
    parts,
    ranker: rankerOf(all),
  };
}

export function policyOf(parameters: Parameters): RecommendPolicy {
  const parsed = RecommendPolicy.safeParse(parameters["policy"]);
  if (parsed.success) return parsed.data;
  throw new StageRefusal(parsed.error.issues.map(({ path, message }) => `policy.${path.join(".")}: ${message}`));
}

const shown = (value: unknown): string => JSON.stringify(value) ?? String(value);

function wholeNumber(name: string, { [name]: value }: Parameters, most: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new StageRefusal([`${name} is a whole number from 1 to ${most}, not ${shown(value)}`]);
}

function atLeastZero(name: string, { [name]: value }: Parameters): number {
  if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
  throw new StageRefusal([`${name} is a number of at least 0, not ${shown(value)}`]);
}

function usedPart(name: string, all: Parameters): boolean {
  const value = all[`${name}.used`];
  if (typeof value === "boolean") return value;
  throw new StageRefusal([`${name}.used is true or false, not ${shown(value)}`]);
}

function planOf(name: string, plan: PartPlan, all: Parameters): PartPlan {
  const names = Object.keys(plan.parameters);
  const parameters = Object.fromEntries(names.map((own) => [own, atLeastZero(`${name}.${own}`, all)]));
  return { ...plan, parameters };
}

function rankerOf(all: Parameters): GbdtParametersInput {
  const own = Object.fromEntries(Object.keys(ranker).map((name) => [name, all[`ranker.${name}`]]));
  const parsed = gbdtParametersSchema.safeParse({ ...own, objective: "lambdarank" });
  if (!parsed.success) {
    throw new StageRefusal(parsed.error.issues.map(({ path, message }) => `ranker.${path.join(".")}: ${message}`));
  }
  return { ...own, objective: "lambdarank" };
}
