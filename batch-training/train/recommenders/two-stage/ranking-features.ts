import type { History } from "../../../../models/recommend/history.ts";
import { type ItemStatistics, POPULARITY_WINDOWS_DAYS } from "./item-statistics.ts";
import { topK } from "./top-k.ts";

/** Candidates each retrieval part gives: its best ones. */
export const PART_CANDIDATES = 80;
/** Candidates from each popularity window; more for a user of whom little is known. */
const POPULAR_CANDIDATES = 40;
const POPULAR_CANDIDATES_FOR_STRANGERS = 100;
/** Events below which a user counts as a stranger here. */
const STRANGER_EVENTS = 5;
const DAY = 86_400;

/** One request to rank for. */
export interface RankingQuestion {
  readonly history: History;
  /** Seconds; NaN where there are no times. */
  readonly at: number;
  /** For each part a score for every item of the catalogue. */
  readonly scores: readonly Float32Array[];
}

/** Items to rank, ascending, and where each part has them. */
export interface RankingCandidates {
  readonly items: Int32Array;
  /** parts x candidates: place in the part's own list from 0, `PART_CANDIDATES` for items below its end. */
  readonly places: readonly Float32Array[];
}

/**
 * The second stage's view of a request: what every part says of a candidate, how the candidate sold lately, and what is known of the user.
 * Training and serving call this same code, so that a feature cannot mean two things.
 */
export class RankingFeatures {
  readonly names: readonly string[];
  readonly #statistics: ItemStatistics;

  /** @param parts names of the retrieval parts, in the order of `RankingQuestion.scores`. */
  constructor(parts: readonly string[], statistics: ItemStatistics) {
    this.#statistics = statistics;
    this.names = [
      ...parts.map((part) => `${part}:score`),
      ...parts.map((part) => `${part}:place`),
      ...POPULARITY_WINDOWS_DAYS.map((days) => (days === Infinity ? "popularity" : `popularity_${days}d`)),
      ...ITEM_FEATURES,
      ...OWN_FEATURES,
      ...USER_FEATURES,
    ];
  }

  /** The best of every part and of the popularity windows; what `skip` names is never among them. */
  candidates(question: RankingQuestion, skip: (item: number) => boolean): RankingCandidates {
    const { popularity } = this.#statistics;
    const lists = question.scores.map((scores) => topK(scores, PART_CANDIDATES, skip));
    const stranger = question.history.items.length < STRANGER_EVENTS;
    const popular = stranger ? POPULAR_CANDIDATES_FOR_STRANGERS : POPULAR_CANDIDATES;
    const chosen = new Set<number>();
    for (const list of lists) for (const item of list) chosen.add(item);
    for (const window of popularity) for (const item of topK(window, popular, skip)) chosen.add(item);
    const items = Int32Array.from(chosen).sort();
    return { items, places: placesOf(lists, items) };
  }

  /** For candidates that are given: their places are among themselves. */
  given(question: RankingQuestion, items: Int32Array): RankingCandidates {
    const among = new Set(items);
    const lists = question.scores.map((scores) => topK(scores, PART_CANDIDATES, (item) => !among.has(item)));
    return { items, places: placesOf(lists, items) };
  }

  /** @param out candidates x features, row-major, overwritten. NaN is missing. Items outside the catalogue (-1) are missing throughout. */
  encode(question: RankingQuestion, { items, places }: RankingCandidates, out: Float32Array): void {
    const width = this.names.length;
    const parts = question.scores.length;
    const units = question.scores.map((scores) => largestOf(scores, items));
    const user = userFeatures(question);
    const own = ownEvents(question, items);
    for (const [row, item] of items.entries()) {
      let at = row * width;
      for (let part = 0; part < parts; part++) {
        const unit = units[part] ?? 0;
        out[at++] = item < 0 || unit === 0 ? Number.NaN : (question.scores[part]?.[item] ?? 0) / unit;
      }
      for (let part = 0; part < parts; part++) out[at++] = places[part]?.[row] ?? PART_CANDIDATES;
      at = this.#itemFeatures(item, out, at);
      at = ownFeatures(own.get(item), question.at, out, at);
      for (const value of user) out[at++] = value;
    }
  }

  #itemFeatures(item: number, out: Float32Array, from: number): number {
    const { popularity, firstTime, lastTime, until, repeatShare } = this.#statistics;
    let at = from;
    for (const window of popularity) out[at++] = window[item] ?? Number.NaN;
    const [week, , month, quarter] = popularity;
    out[at++] = ((week?.[item] ?? Number.NaN) + TREND_PRIOR) / ((month?.[item] ?? Number.NaN) + TREND_PRIOR);
    out[at++] = ((month?.[item] ?? Number.NaN) + TREND_PRIOR) / ((quarter?.[item] ?? Number.NaN) + TREND_PRIOR);
    out[at++] = (until - (firstTime[item] ?? Number.NaN)) / DAY;
    out[at++] = (until - (lastTime[item] ?? Number.NaN)) / DAY;
    out[at++] = repeatShare[item] ?? Number.NaN;
    return at;
  }
}

/** Added to both sides of a trend: an item that sold once has none. In units of the average item. */
const TREND_PRIOR = 0.3;
const ITEM_FEATURES = ["trend_7d_30d", "trend_30d_90d", "item_age_days", "item_idle_days", "item_repeat_share"];
const OWN_FEATURES = ["own_events", "own_idle_days", "own_due"];
const USER_FEATURES = ["user_items", "user_events", "user_idle_days", "user_span_days"];

function placesOf(lists: readonly Int32Array[], items: Int32Array): Float32Array[] {
  return lists.map((list) => {
    const place = new Map<number, number>();
    for (const [index, item] of list.entries()) place.set(item, index);
    return Float32Array.from(items, (item) => place.get(item) ?? PART_CANDIDATES);
  });
}

function largestOf(scores: Float32Array, items: Int32Array): number {
  let largest = 0;
  for (const item of items) largest = Math.max(largest, scores[item] ?? 0);
  return largest;
}

interface OwnEvents {
  count: number;
  first: number;
  last: number;
}

/** What the user did with the candidates before. */
function ownEvents({ history }: RankingQuestion, items: Int32Array): Map<number, OwnEvents> {
  const own = new Map<number, OwnEvents>();
  const wanted = new Set(items);
  for (const [event, item] of history.items.entries()) {
    if (item < 0 || !wanted.has(item)) continue;
    const time = history.times[event] ?? Number.NaN;
    const known = own.get(item);
    if (known === undefined) own.set(item, { count: 1, first: time, last: time });
    else {
      known.count++;
      known.last = time;
    }
  }
  return own;
}

/** Due: days since the last time over the user's mean gap with this item; missing below two events. */
function ownFeatures(own: OwnEvents | undefined, at: number, out: Float32Array, from: number): number {
  const idle = own === undefined ? Number.NaN : Math.max(0, at - own.last) / DAY;
  const gap = own === undefined || own.count < 2 ? Number.NaN : (own.last - own.first) / DAY / (own.count - 1);
  out[from] = own?.count ?? 0;
  out[from + 1] = idle;
  out[from + 2] = gap > 0 ? idle / gap : Number.NaN;
  return from + OWN_FEATURES.length;
}

function userFeatures({ history, at }: RankingQuestion): number[] {
  const events = history.items.length;
  const last = history.times[events - 1] ?? Number.NaN;
  const first = history.times[0] ?? Number.NaN;
  return [new Set(history.items).size, events, Math.max(0, at - last) / DAY, (last - first) / DAY];
}
