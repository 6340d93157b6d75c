import { rescale } from "./blend-scale.ts";
import { solveFoldIn } from "./fold-in.ts";
import type { History } from "./history.ts";
import { profileOf } from "./profile.ts";
import type {
  ServedBlend,
  ServedEmbeddings,
  ServedNeighbours,
  ServedRecommender,
  ServedRepeat,
} from "./served-recommender.ts";
import { SessionScorer } from "./session-scorer.ts";
import { NOT_NOTED, type WrittenItems } from "./written-items.ts";

/**
 * Scores a catalogue for a history. Training, evaluation and the edge run this same code; a user or an item never seen is the normal
 * case and earns zeros.
 */
export interface Scorer {
  /**
   * @param history oldest first; items of index -1 (outside the catalogue) are ignored.
   * @param at seconds, what ages are measured from; NaN where there are no times.
   * @param out one place per item, overwritten: higher is better, 0 and below without evidence for the item.
   */
  score(history: History, at: number, out: Float32Array): void;
  /** There where only few items get a score: the same into an `out` of zeros, with a note of each place that is written. */
  scoreFew?(history: History, at: number, out: Float32Array, written: WrittenItems): void;
}

/** The scorer of a served form. Opening indexes sessions; every other kind is ready at once. */
export function openScorer(served: ServedRecommender): Scorer {
  if (served.kind === "blend") return openBlend(served);
  switch (served.kind) {
    case "scores":
      return { score: (_history, _at, out) => out.set(served.scores) };
    case "embeddings":
      return { score: (history, at, out) => scoreEmbeddings(served, history, at, out) };
    case "neighbours":
      return scorerOfFew((...asked) => scoreNeighbours(served, ...asked));
    case "repeat":
      return scorerOfFew((...asked) => scoreRepeats(served, ...asked));
    case "sessions": {
      const sessions = new SessionScorer(served);
      return scorerOfFew((...asked) => sessions.score(...asked));
    }
  }
}

type ScoreFew = Required<Scorer>["scoreFew"];

function scorerOfFew(scoreFew: ScoreFew): Scorer {
  const score: Scorer["score"] = (history, at, out) => {
    out.fill(0);
    scoreFew(history, at, out, NOT_NOTED);
  };
  return { score, scoreFew };
}

function scoreNeighbours(served: ServedNeighbours, ...[history, at, out, written]: Parameters<ScoreFew>): void {
  const { start, neighbour, weight } = served;
  const profile = profileOf(history.items, history.times, at, served.profile);
  for (const [place, item] of profile.items.entries()) {
    const w = profile.weights[place] ?? 0;
    const to = start[item + 1] ?? 0;
    for (let entry = start[item] ?? 0; entry < to; entry++) {
      const target = neighbour[entry] ?? 0;
      written.note(target);
      out[target] = (out[target] ?? 0) + w * (weight[entry] ?? 0);
    }
  }
}

function scoreEmbeddings(served: ServedEmbeddings, history: History, at: number, out: Float32Array): void {
  out.fill(0);
  const profile = profileOf(history.items, history.times, at, served.profile);
  if (profile.items.length === 0) return;
  scoreVectors(served, solveFoldIn(served, profile), out);
}

/** Dot products of the first `out.length` items with a user's vector. */
export function scoreVectors(served: ServedEmbeddings, user: Float64Array, out: Float32Array): void {
  const { dimensions, vectors, scales } = served;
  for (let item = 0; item < out.length; item++) {
    let sum = 0;
    const from = item * dimensions;
    for (let f = 0; f < dimensions; f++) sum += (user[f] ?? 0) * (vectors[from + f] ?? 0);
    out[item] = scales === undefined ? sum : sum * (scales[item] ?? 0);
  }
}

/** The newest of two items met equally often comes first: a nudge far below one count. */
const RECENCY_NUDGE = 1e-3;

/** How often the user met each item, every event halved in weight per half-life. */
function scoreRepeats(served: ServedRepeat, ...[history, at, out, written]: Parameters<ScoreFew>): void {
  const events = history.items.length;
  for (let event = 0; event < events; event++) {
    const item = history.items[event] ?? -1;
    if (item < 0) continue;
    const age = Math.max(0, at - (history.times[event] ?? at));
    const fades = served.halfLifeSeconds !== Infinity && !Number.isNaN(age);
    const weight = fades ? 2 ** (-age / served.halfLifeSeconds) : 1;
    written.note(item);
    out[item] = (out[item] ?? 0) + weight * (1 + (RECENCY_NUDGE * event) / events);
  }
}

function openBlend(served: ServedBlend): Scorer {
  const parts = served.parts.map(({ weight, part }) => ({ weight, scorer: openScorer(part) }));
  const own = new Float32Array(served.items);
  return {
    score: (history, at, out) => {
      out.fill(0);
      for (const { weight, scorer } of parts) {
        scorer.score(history, at, own);
        rescale(own, served.scale);
        for (let item = 0; item < own.length; item++) out[item] = (out[item] ?? 0) + weight * (own[item] ?? 0);
      }
    },
  };
}
