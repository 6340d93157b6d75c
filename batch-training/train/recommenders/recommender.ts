import type { Scorer } from "../../../models/recommend/scorer.ts";
import type { ServedPart } from "../../../models/recommend/served-recommender.ts";
import type { TrainingLog } from "./training-log.ts";

/** Settings of a model by name; every model documents its own and their ranges. */
export type Parameters = Readonly<Record<string, number>>;

export interface FitContext {
  readonly seed: number;
  /** Worker threads to use, at least 1. Never changes the result. */
  readonly threads: number;
  /** Keeps the costly part of a fit for the next one on the same log, when only how it is used differs. */
  readonly reuse?: Map<string, unknown>;
}

/** The part of a fit that depends on `key` alone: made once for each log and key. The latest one is kept. */
export async function reused<T>(context: FitContext, key: string, make: () => T | Promise<T>): Promise<T> {
  const { reuse } = context;
  if (reuse === undefined) return make();
  const known = reuse.get(key);
  if (known !== undefined) return known as T;
  const value = await make();
  reuse.clear();
  reuse.set(key, value);
  return value;
}

/** A trained model. It knows users only by their history, so a user never seen is the normal case. */
export interface FittedRecommender extends Scorer {
  /** What the edge gets: neighbour lists, embeddings or a list, with at most `neighbours` entries for each item. */
  serve(neighbours: number): ServedPart;
}

export interface Recommender {
  readonly name: string;
  /** One line for the tables. */
  readonly description: string;
  /** For each setting the values a search tries; the first is the default. */
  readonly search: Readonly<Record<string, readonly number[]>>;
  fit(log: TrainingLog, parameters: Parameters, context: FitContext): Promise<FittedRecommender>;
}

/** A named setting. @throws Error if it is missing: a grid entry and its model have drifted apart. */
export function setting(parameters: Parameters, name: string): number {
  const value = parameters[name];
  if (value === undefined) throw new Error(`the parameter ${name} is missing`);
  return value;
}

export function defaults(recommender: Recommender): Parameters {
  return Object.fromEntries(Object.entries(recommender.search).map(([name, values]) => [name, values[0] ?? 0]));
}
