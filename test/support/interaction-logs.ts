import type { Interactions } from "../../batch-training/sources/interactions.ts";
import { type TrainingLog, trainingLog } from "../../batch-training/train/recommenders/training-log.ts";
import { seededRandom } from "../../models/stats/random.ts";

/** Rows `[user, item, time, value]`; time and value may be left out. */
export type Row = readonly [user: number, item: number, time?: number, value?: number];

export function interactions(rows: readonly Row[]): Interactions {
  return {
    user: Int32Array.from(rows, (row) => row[0]),
    item: Int32Array.from(rows, (row) => row[1]),
    time: Float64Array.from(rows, (row) => row[2] ?? Number.NaN),
    value: Float32Array.from(rows, (row) => row[3] ?? 1),
  };
}

export const allRows = (log: Interactions): Int32Array => Int32Array.from(log.user.keys());

export function logOf(rows: readonly Row[]): TrainingLog {
  const source = interactions(rows);
  return trainingLog(source, allRows(source));
}

/** Users with a taste for one of a few groups of items, and for popular items; times ascend. Same seed, same log. */
export function tasteRows(options: { users: number; items: number; perUser: number; seed: number }): Row[] {
  const random = seededRandom(options.seed);
  const groups = 4;
  const rows: Row[] = [];
  for (let user = 0; user < options.users; user++) {
    const taste = Math.floor(groups * random());
    for (let event = 0; event < options.perUser; event++) {
      const group = random() < 0.8 ? taste : Math.floor(groups * random());
      const size = Math.floor(options.items / groups);
      const item = group * size + Math.floor(size * random() ** 2);
      rows.push([user, item, 1_000 * event + user, 1 + Math.floor(5 * random())]);
    }
  }
  return rows;
}
