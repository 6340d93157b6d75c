import { type Recommender, reused, setting } from "./recommender.ts";
import { type ItemLists, listRecommender } from "./item-lists.ts";
import type { TrainingLog } from "./training-log.ts";

/** Rules kept for each item: the strongest. */
const MAX_RULES = 300;

/**
 * Rule i -> j: how often j followed i within `steps` events of one user, each counted 1 / distance; events more than
 * `gapDays` apart are not one visit.
 */
export function ruleLists(
  log: TrainingLog,
  options: {
    readonly steps: number;
    readonly neighbours: number;
    readonly normalise: number;
    readonly gapSeconds: number;
  },
): ItemLists {
  const rows: Map<number, number>[] = Array.from({ length: log.items }, () => new Map<number, number>());
  for (let user = 0; user < log.users; user++) {
    const from = log.start[user] ?? 0;
    for (let event = from + 1; event < (log.start[user + 1] ?? 0); event++) {
      const target = log.item[event] ?? 0;
      for (let back = 1; back <= options.steps && event - back >= from; back++) {
        const source = log.item[event - back] ?? 0;
        if ((log.time[event] ?? 0) - (log.time[event - back] ?? 0) > options.gapSeconds) break;
        if (source === target) continue;
        const row = rows[source];
        row?.set(target, (row.get(target) ?? 0) + 1 / back);
      }
    }
  }
  const start = new Int32Array(log.items + 1);
  const neighbour: number[] = [];
  const weight: number[] = [];
  for (const [item, row] of rows.entries()) {
    const ruled = Array.from(row, ([target, count]) => {
      return { target, weight: Math.fround(count / (log.knownBy[target] ?? 1) ** options.normalise) };
    });
    ruled.sort((x, y) => y.weight - x.weight || x.target - y.target);
    for (const rule of ruled.slice(0, options.neighbours)) {
      neighbour.push(rule.target);
      weight.push(rule.weight);
    }
    start[item + 1] = neighbour.length;
  }
  return { items: log.items, start, neighbour: Int32Array.from(neighbour), weight: Float32Array.from(weight) };
}

/**
 * Sequential rules (Kamehkhosh, Jannach, Ludewig 2017): what follows the items last seen. `decay` is how much the item before the last
 * counts against it; 0.001 leaves practically the last one only. Without times, order in the source stands for order in time.
 */
export const sequentialRules: Recommender = {
  name: "sequential-rules",
  description: "what followed the last items, 1 / distance",
  search: {
    decay: [0.001, 0.5, 0.8, 0.95],
    normalise: [0, 0.3],
    steps: [10, 3],
    gapDays: [30, 1],
  },
  fit: async (log, parameters, context) => {
    const settings = {
      steps: setting(parameters, "steps"),
      neighbours: MAX_RULES,
      normalise: setting(parameters, "normalise"),
      gapSeconds: setting(parameters, "gapDays") * 86_400,
    };
    const lists = await reused(context, JSON.stringify(settings), () => ruleLists(log, settings));
    return listRecommender(lists, { stepDecay: setting(parameters, "decay"), halfLifeSeconds: Infinity });
  },
};
