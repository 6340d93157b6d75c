import type { History } from "../../../models/recommend/history.ts";
import type { Interactions } from "../../sources/interactions.ts";

/**
 * What a recommender is trained on: events grouped by user and, within a user, by time (ties and missing times in source
 * order). Items are renumbered by falling number of users, then by first row, so that among equal scores the lower index, the
 * more popular item, wins. Only the rows trained on decide: rows held back cannot move a tie.
 */
export interface TrainingLog {
  readonly users: number;
  readonly items: number;
  /** `users + 1` offsets into the three event columns. */
  readonly start: Int32Array;
  readonly item: Int32Array;
  /** Seconds, NaN where unknown. */
  readonly time: Float64Array;
  readonly value: Float32Array;
  /** Item index -> source item. */
  readonly sourceItem: Int32Array;
  /** User index -> source user. */
  readonly sourceUser: Int32Array;
  /** Distinct users of each item. */
  readonly knownBy: Int32Array;
  /** Latest known time, NaN if none. */
  readonly lastTime: number;
}

/** Order of `rows` by user, then time, then source order. Rows without a time stay in source order. */
export function eventOrder(source: Interactions, rows: Int32Array): Int32Array {
  return rows.toSorted((a, b) => {
    const byUser = (source.user[a] ?? 0) - (source.user[b] ?? 0);
    if (byUser !== 0) return byUser;
    const byTime = (source.time[a] ?? 0) - (source.time[b] ?? 0);
    return Number.isNaN(byTime) || byTime === 0 ? a - b : byTime;
  });
}

/** Distinct users of each source item over rows ordered by user. */
function countUsers(source: Interactions, order: Int32Array): Map<number, number> {
  const counts = new Map<number, number>();
  const lastUser = new Map<number, number>();
  for (const row of order) {
    const item = source.item[row] ?? -1;
    const user = source.user[row] ?? -1;
    if (lastUser.get(item) === user) continue;
    lastUser.set(item, user);
    counts.set(item, (counts.get(item) ?? 0) + 1);
  }
  return counts;
}

/** First of `rows` that each source item is met in. */
function firstRows(source: Interactions, rows: Int32Array): Map<number, number> {
  const first = new Map<number, number>();
  for (const row of rows) {
    const item = source.item[row] ?? -1;
    const before = first.get(item);
    if (before === undefined || row < before) first.set(item, row);
  }
  return first;
}

/** @param rows row numbers of `source` to train on. */
export function trainingLog(source: Interactions, rows: Int32Array): TrainingLog {
  const order = eventOrder(source, rows);
  const counts = countUsers(source, order);
  const first = firstRows(source, rows);
  const sourceItem = Int32Array.from(
    [...counts.keys()].sort(
      (a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0) || (first.get(a) ?? 0) - (first.get(b) ?? 0),
    ),
  );
  const itemIndex = new Map<number, number>();
  for (const [index, item] of sourceItem.entries()) itemIndex.set(item, index);
  const sourceUser: number[] = [];
  const start: number[] = [];
  const item = new Int32Array(order.length);
  const time = new Float64Array(order.length);
  const value = new Float32Array(order.length);
  let lastTime = Number.NaN;
  for (const [event, row] of order.entries()) {
    const user = source.user[row] ?? -1;
    if (sourceUser.at(-1) !== user) {
      sourceUser.push(user);
      start.push(event);
    }
    item[event] = itemIndex.get(source.item[row] ?? -1) ?? -1;
    const at = source.time[row] ?? Number.NaN;
    time[event] = at;
    value[event] = source.value[row] ?? 1;
    if (!(at <= lastTime) && !Number.isNaN(at)) lastTime = at;
  }
  start.push(order.length);
  return {
    users: sourceUser.length,
    items: sourceItem.length,
    start: Int32Array.from(start),
    item,
    time,
    value,
    sourceItem,
    sourceUser: Int32Array.from(sourceUser),
    knownBy: sourceItem.map((source) => counts.get(source) ?? 0),
    lastTime,
  };
}

/** A user's events as views into the log, not copies. */
export function historyOf(log: TrainingLog, user: number): History {
  const from = log.start[user] ?? 0;
  const to = log.start[user + 1] ?? from;
  return {
    items: log.item.subarray(from, to),
    times: log.time.subarray(from, to),
    values: log.value.subarray(from, to),
  };
}
