import { type FittedRecommender, type Recommender, setting } from "./recommender.ts";
import type { History } from "./training-log.ts";

const DAY = 86_400;
/** The newest of two items bought equally often comes first: a nudge far below one count. */
const RECENCY_NUDGE = 1e-3;

/** How often the user met each item, every event halved in weight per half-life. */
export function scoreRepeats(history: History, at: number, halfLifeSeconds: number, out: Float32Array): void {
  out.fill(0);
  const events = history.items.length;
  for (let event = 0; event < events; event++) {
    const item = history.items[event] ?? -1;
    if (item < 0) continue;
    const age = Math.max(0, at - (history.times[event] ?? at));
    const weight = halfLifeSeconds === Infinity || Number.isNaN(age) ? 1 : 2 ** (-age / halfLifeSeconds);
    out[item] = (out[item] ?? 0) + weight + (weight * RECENCY_NUDGE * event) / events;
  }
}

function repeats(halfLifeSeconds: number, items: number): FittedRecommender {
  return {
    score: (history, at, out) => scoreRepeats(history, at, halfLifeSeconds, out),
    serve: () => ({ kind: "repeat", items, halfLifeSeconds }),
  };
}

/** The plain baseline of repeat purchase: what you bought most often, you buy again. */
export const ownCounts: Recommender = {
  name: "own-counts",
  description: "the user's own counts, newest first among equals",
  search: {},
  fit: (log) => Promise.resolve(repeats(Infinity, log.items)),
};

/** Own counts that fade with time. */
export const ownRecency: Recommender = {
  name: "own-recency",
  description: "the user's own counts, halved every so many days",
  search: { days: [60, 240, 120, 30, 14] },
  fit: (log, parameters) => Promise.resolve(repeats(setting(parameters, "days") * DAY, log.items)),
};
