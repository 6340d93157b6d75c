/**
 * Search for training parameters with a budget in trials. Draws are made by the seed alone; every trial is a piece of its own in the
 * store, so a search that is taken up again repeats none. The default is always the first trial: a search never does worse than none by
 * its own measure. After a third of the budget, new trials are drawn around the best ones (half the range each), the rest anywhere.
 */
import { seededRandom } from "../../models/stats/random.ts";
import type { Parameters } from "./model-definition.ts";

/** Values a parameter may take. */
export type SearchRange =
  | { readonly kind: "choice"; readonly values: readonly (string | number | boolean)[] }
  | { readonly kind: "real"; readonly low: number; readonly high: number; readonly scale: "linear" | "log" }
  | { readonly kind: "whole"; readonly low: number; readonly high: number; readonly scale: "linear" | "log" };

export type SearchSpace = Readonly<Record<string, SearchRange>>;

export interface TrialResult {
  /** The lower the better; null where the trial could not be judged. */
  readonly loss: number | null;
  /** Laid over the drawn parameters, such as the number of rounds found by early stopping. */
  readonly found: Parameters;
  readonly note: string;
}

export interface Trial {
  readonly parameters: Parameters;
  readonly loss: number | null;
  readonly note: string;
}

export interface SearchResult {
  readonly parameters: Parameters;
  readonly trials: readonly Trial[];
}

export interface SearchOptions {
  readonly space: SearchSpace;
  readonly base: Parameters;
  readonly trials: number;
  readonly seed: number;
  readonly run: (parameters: Parameters, index: number) => Promise<TrialResult>;
}

/** A search of more trials than this should be a conversation about the model instead. */
export const MAX_TRIALS = 1_000;
/** Share of the budget that is drawn anywhere before the best ones attract. */
const EXPLORING = 1 / 3;
/** How many of the best attract, and how often a later draw is made near one of them. */
const ELITE = 3;
const NEARBY = 0.75;

export async function searchParameters(options: SearchOptions): Promise<SearchResult> {
  const { space, base, trials, seed, run } = options;
  const random = seededRandom(seed);
  const done: (Trial & { readonly drawn: Parameters; readonly trained: Parameters })[] = [];
  for (let index = 0; index < trials; index++) {
    const elite = done
      .filter(({ loss }) => loss !== null)
      .toSorted((a, b) => (a.loss ?? 0) - (b.loss ?? 0))
      .slice(0, ELITE);
    const explores = index < Math.max(1, Math.round(trials * EXPLORING)) || elite.length === 0;
    // The same number of draws whatever is chosen, so that trial n is the same one in a longer search that has seen the same losses.
    const near = random() < NEARBY && !explores ? elite[Math.floor(random() * elite.length)] : (random(), undefined);
    const drawn = index === 0 ? {} : draw(space, random, near ? { ...base, ...near.drawn } : null);
    const parameters = { ...base, ...drawn };
    const { loss, found, note } = await run(parameters, index);
    done.push({ drawn, parameters: drawn, trained: { ...parameters, ...found }, loss, note });
  }
  const best = done.reduce<(typeof done)[number] | null>(
    (a, b) => (b.loss !== null && (a === null || b.loss < (a.loss ?? Number.POSITIVE_INFINITY)) ? b : a),
    null,
  );
  return {
    parameters: best?.trained ?? base,
    trials: done.map(({ parameters, loss, note }) => ({ parameters, loss, note })),
  };
}

function draw(space: SearchSpace, random: () => number, center: Parameters | null): Parameters {
  return Object.fromEntries(
    Object.entries(space).map(([name, range]) => [name, drawFrom(range, random, center?.[name] ?? null)]),
  );
}

function drawFrom(range: SearchRange, random: () => number, center: unknown): string | number | boolean {
  const u = random();
  if (range.kind === "choice") {
    const stays = random() < 0.5;
    if (stays && range.values.some((value) => value === center)) return center as string;
    return range.values[Math.floor(u * range.values.length)] ?? "";
  }
  const { low, high, scale } = range;
  const to = scale === "log" ? Math.log : (x: number): number => x;
  const from = scale === "log" ? Math.exp : (x: number): number => x;
  const [least, most] = [to(low), to(high)];
  const middle = typeof center === "number" ? to(Math.max(center, low)) : null;
  const width = (most - least) / 4;
  const [a, b] = middle === null ? [least, most] : [Math.max(least, middle - width), Math.min(most, middle + width)];
  const value = Math.min(high, Math.max(low, from(a + u * (b - a))));
  // Three digits: enough to tell, few enough to read.
  return range.kind === "whole" ? Math.round(value) : Number(value.toPrecision(3));
}
