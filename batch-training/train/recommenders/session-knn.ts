import { openScorer } from "../../../models/recommend/scorer.ts";
import type { ServedSessions } from "../../../models/recommend/served-recommender.ts";
import { type Recommender, setting } from "./recommender.ts";

const DAY = 86_400;

/** Session nearest neighbours; a user counts as one long session. `halfLifeDays` 0 stands for none. */
export const sessionKnn: Recommender = {
  name: "session-knn",
  description: "sessions (or users) that share recent items vote",
  search: {
    neighbours: [100, 300],
    sampled: [1000],
    decay: [0.8, 0.5, 1],
    distanceDecay: [1, 0.8, 0.6],
    halfLifeDays: [0, 2, 30],
    rarity: [0, 0.4],
  },
  fit: (log, parameters) => {
    const days = setting(parameters, "halfLifeDays");
    const served: ServedSessions = {
      kind: "sessions",
      items: log.items,
      rule: {
        neighbours: setting(parameters, "neighbours"),
        sampled: setting(parameters, "sampled"),
        decay: setting(parameters, "decay"),
        distanceDecay: setting(parameters, "distanceDecay"),
        rarity: setting(parameters, "rarity"),
        halfLifeSeconds: days === 0 ? Infinity : days * DAY,
      },
      start: log.start,
      item: log.item,
      lastTime: Float64Array.from({ length: log.users }, (_, user) => log.time[(log.start[user + 1] ?? 1) - 1] ?? 0),
    };
    const scorer = openScorer(served);
    return Promise.resolve({
      score: (history, at, out) => scorer.score(history, at, out),
      serve: () => served,
    });
  },
};
