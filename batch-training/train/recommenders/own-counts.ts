import { openScorer } from "../../../models/recommend/scorer.ts";
import { type FittedRecommender, type Recommender, setting } from "./recommender.ts";

const DAY = 86_400;

function repeats(halfLifeSeconds: number, items: number): FittedRecommender {
  const served = { kind: "repeat", items, halfLifeSeconds } as const;
  return { ...openScorer(served), serve: () => served };
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
