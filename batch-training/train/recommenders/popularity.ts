import { type FittedRecommender, type Recommender, setting } from "./recommender.ts";
import type { TrainingLog } from "./training-log.ts";

const DAY = 86_400;

/** Distinct users of each item over the events of the last `days`; all events where there are no times. */
export function windowCounts(log: TrainingLog, days: number): Float32Array {
  const counts = new Float32Array(log.items);
  const lastUser = new Int32Array(log.items).fill(-1);
  const from = days === Infinity || Number.isNaN(log.lastTime) ? -Infinity : log.lastTime - days * DAY;
  for (let user = 0; user < log.users; user++) {
    for (let event = log.start[user] ?? 0; event < (log.start[user + 1] ?? 0); event++) {
      const item = log.item[event] ?? 0;
      if ((log.time[event] ?? 0) < from || lastUser[item] === user) continue;
      lastUser[item] = user;
      counts[item] = (counts[item] ?? 0) + 1;
    }
  }
  return counts;
}

/**
 * The same list for everyone: items by how many users met them in the last `days` of training. `days` 0 stands for all time.
 * Items outside the window keep a score below 1, by all-time popularity, so that the list never ends.
 */
export const popularity: Recommender = {
  name: "popularity",
  description: "users of the item in a window of the last days",
  search: { days: [0, 90, 30, 14, 7, 3, 1] },
  fit: (log, parameters) => {
    const days = setting(parameters, "days");
    const scores = windowCounts(log, days === 0 ? Infinity : days);
    for (let item = 0; item < log.items; item++) {
      scores[item] = (scores[item] ?? 0) + (0.5 * (log.knownBy[item] ?? 0)) / Math.max(1, log.users);
    }
    const fitted: FittedRecommender = {
      score: (_history, _at, out) => out.set(scores),
      serve: () => ({ kind: "scores", items: log.items, scores }),
    };
    return Promise.resolve(fitted);
  },
};
