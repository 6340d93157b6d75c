import { windowCounts } from "../popularity.ts";
import type { TrainingLog } from "../training-log.ts";

/** What a ranker knows of every item of a catalogue as of the end of training. Items are catalogue indices. */
export interface ItemStatistics {
  readonly items: number;
  /** Seconds: the end of training, what ages are measured from; NaN where the log has no times. */
  readonly until: number;
  /** For each window of `POPULARITY_WINDOWS_DAYS` the item's share of its user-item pairs, times the items: 1 is the average item. */
  readonly popularity: readonly Float32Array[];
  /** Seconds of the first and the last event; NaN if unknown. */
  readonly firstTime: Float64Array;
  readonly lastTime: Float64Array;
  /** Share of the item's users who met it more than once. */
  readonly repeatShare: Float32Array;
}

/** Windows before the end of training over which popularity is counted; the last is all time. */
export const POPULARITY_WINDOWS_DAYS = [7, 14, 30, 90, Infinity] as const;

/** Statistics of every item over a training log. */
export function itemStatistics(log: TrainingLog): ItemStatistics {
  const firstTime = new Float64Array(log.items).fill(Number.NaN);
  const lastTime = new Float64Array(log.items).fill(Number.NaN);
  for (const [event, item] of log.item.entries()) {
    const time = log.time[event] ?? Number.NaN;
    const first = firstTime[item] ?? Number.NaN;
    const last = lastTime[item] ?? Number.NaN;
    if (!(first <= time)) firstTime[item] = time;
    if (!(last >= time)) lastTime[item] = time;
  }
  return {
    items: log.items,
    until: log.lastTime,
    popularity: POPULARITY_WINDOWS_DAYS.map((days) => relativeShare(windowCounts(log, days))),
    firstTime,
    lastTime,
    repeatShare: repeatShare(log),
  };
}

function relativeShare(counts: Float32Array): Float32Array {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => (total === 0 ? 0 : (count / total) * counts.length));
}

function repeatShare(log: TrainingLog): Float32Array {
  const repeated = new Float32Array(log.items);
  for (let user = 0; user < log.users; user++) {
    const met = new Map<number, number>();
    for (const item of log.item.subarray(log.start[user] ?? 0, log.start[user + 1] ?? 0)) {
      const times = (met.get(item) ?? 0) + 1;
      met.set(item, times);
      if (times === 2) repeated[item] = (repeated[item] ?? 0) + 1;
    }
  }
  return repeated.map((users, item) => users / Math.max(1, log.knownBy[item] ?? 1));
}
