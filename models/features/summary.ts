/**
 * The mergeable value behind every aggregation: `prepare` makes an empty one, `update` adds one fact, `merge` adds another summary,
 * and the aggregations of aggregation.ts finish it. merge(run(a), run(b)) = run(a ++ b) in any order: exactly for counts, integer
 * sums, extremes, ends, recent values and distinct sketches, up to rounding for float sums, squares and decay. Ties in time are
 * ordered by fact identity, so the order of arrival never shows.
 */
export interface Summary {
  count: number;
  sum: number;
  /** Sum of squared differences from the mean (Welford 1962; merged after Chan, Golub and LeVeque 1979). */
  m2: number;
  min: number;
  max: number;
  firstTime: number;
  firstId: number;
  first: number;
  lastTime: number;
  lastId: number;
  last: number;
  /** The smallest distinct values, ascending, at most DISTINCT_LIMIT: exact below it, a KMV sketch above. */
  distinct: number[];
  /** Newest first: time, identity, value, three numbers a fact. */
  recent: number[];
  /** Σ value · 2^(−(decayedAt − time) / half-life). */
  decayed: number;
  decayedAt: number;
}

/** Which parts of a summary a column keeps; a part that is not kept stays as `prepare` made it. Count is always kept. */
export interface Parts {
  readonly sum: boolean;
  /** Needs the sum. */
  readonly squares: boolean;
  readonly extremes: boolean;
  readonly ends: boolean;
  readonly distinct: boolean;
  /** Newest values kept, 0–16. */
  readonly recent: number;
  /** Half-life in milliseconds; 0: none. */
  readonly halfLifeMs: number;
}

/**
 * Distinct values counted exactly; above it the count is estimated from the 256 smallest hashes with a relative standard error of
 * 1/√254 = 6.3 % (Bar-Yossef et al. 2002, "Counting distinct elements in a data stream", k minimum values).
 */
export const DISTINCT_LIMIT = 256;

export function prepare(): Summary {
  return {
    count: 0,
    sum: 0,
    m2: 0,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    firstTime: Number.POSITIVE_INFINITY,
    firstId: 0,
    first: Number.NaN,
    lastTime: Number.NEGATIVE_INFINITY,
    lastId: 0,
    last: Number.NaN,
    distinct: [],
    recent: [],
    decayed: 0,
    decayedAt: Number.NEGATIVE_INFINITY,
  };
}

/** Empties a summary for another use: finishing reuses one for every feature in turn. */
export function resetSummary(summary: Summary): Summary {
  summary.count = 0;
  summary.sum = 0;
  summary.m2 = 0;
  summary.min = Number.POSITIVE_INFINITY;
  summary.max = Number.NEGATIVE_INFINITY;
  summary.firstTime = Number.POSITIVE_INFINITY;
  summary.first = Number.NaN;
  summary.lastTime = Number.NEGATIVE_INFINITY;
  summary.last = Number.NaN;
  summary.distinct.length = 0;
  summary.recent.length = 0;
  summary.decayed = 0;
  summary.decayedAt = Number.NEGATIVE_INFINITY;
  return summary;
}

/** Adds one fact. A missing value (NaN) changes nothing. */
export function update(into: Summary, parts: Parts, time: number, id: number, value: number): void {
  if (Number.isNaN(value)) return;
  const before = into.count;
  into.count = before + 1;
  if (parts.sum) {
    const delta = before === 0 ? 0 : value - into.sum / before;
    into.sum += value;
    if (parts.squares && before > 0) into.m2 += delta * (value - into.sum / into.count);
  }
  if (parts.extremes) {
    if (value < into.min) into.min = value;
    if (value > into.max) into.max = value;
  }
  if (parts.ends) {
    if (isBefore(time, id, into.firstTime, into.firstId)) setFirst(into, time, id, value);
    if (isBefore(into.lastTime, into.lastId, time, id)) setLast(into, time, id, value);
  }
  if (parts.distinct) insertDistinct(into.distinct, value);
  if (parts.recent > 0) insertRecent(into.recent, parts.recent, time, id, value);
  if (parts.halfLifeMs > 0) addDecayed(into, parts.halfLifeMs, value, time);
}

/** Adds another summary of the same parts over other facts. */
export function merge(into: Summary, parts: Parts, other: Summary): void {
  if (other.count === 0) return;
  const total = into.count + other.count;
  if (parts.squares) {
    const delta = into.count === 0 ? 0 : other.sum / other.count - into.sum / into.count;
    into.m2 += other.m2 + (delta * delta * into.count * other.count) / total;
  }
  into.count = total;
  into.sum += other.sum;
  into.min = Math.min(into.min, other.min);
  into.max = Math.max(into.max, other.max);
  if (parts.ends) {
    if (isBefore(other.firstTime, other.firstId, into.firstTime, into.firstId))
      setFirst(into, other.firstTime, other.firstId, other.first);
    if (isBefore(into.lastTime, into.lastId, other.lastTime, other.lastId))
      setLast(into, other.lastTime, other.lastId, other.last);
  }
  if (parts.distinct) for (const value of other.distinct) insertDistinct(into.distinct, value);
  for (let i = 0; parts.recent > 0 && i < other.recent.length; i += 3) {
    insertRecent(
      into.recent,
      parts.recent,
      other.recent[i] as number,
      other.recent[i + 1] as number,
      other.recent[i + 2] as number,
    );
  }
  if (parts.halfLifeMs > 0) addDecayed(into, parts.halfLifeMs, other.decayed, other.decayedAt);
}

export function copySummary(summary: Summary): Summary {
  return { ...summary, distinct: summary.distinct.slice(), recent: summary.recent.slice() };
}

/** Order of facts: by time, then by identity. */
export function isBefore(timeA: number, idA: number, timeB: number, idB: number): boolean {
  return timeA < timeB || (timeA === timeB && idA < idB);
}

function setFirst(into: Summary, time: number, id: number, value: number): void {
  into.firstTime = time;
  into.firstId = id;
  into.first = value;
}

function setLast(into: Summary, time: number, id: number, value: number): void {
  into.lastTime = time;
  into.lastId = id;
  into.last = value;
}

export function insertDistinct(values: number[], value: number): void {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  if (values[low] === value || low >= DISTINCT_LIMIT) return;
  values.splice(low, 0, value);
  if (values.length > DISTINCT_LIMIT) values.pop();
}

/** Number of distinct values behind a sketch; `range` is the exclusive upper bound of the hashes. */
export function countDistinct(values: readonly number[], range: number): number {
  if (values.length < DISTINCT_LIMIT) return values.length;
  const kth = values[DISTINCT_LIMIT - 1] ?? range;
  return Math.max(DISTINCT_LIMIT, ((DISTINCT_LIMIT - 1) * range) / (kth + 1));
}

function insertRecent(recent: number[], limit: number, time: number, id: number, value: number): void {
  let at = recent.length;
  while (at > 0 && isBefore(recent[at - 3] as number, recent[at - 2] as number, time, id)) at -= 3;
  if (at >= limit * 3) return;
  recent.splice(at, 0, time, id, value);
  if (recent.length > limit * 3) recent.length = limit * 3;
}

function addDecayed(into: Summary, halfLifeMs: number, value: number, time: number): void {
  if (time >= into.decayedAt) {
    into.decayed = into.decayed * decay(time - into.decayedAt, halfLifeMs) + value;
    into.decayedAt = time;
  } else {
    into.decayed += value * decay(into.decayedAt - time, halfLifeMs);
  }
}

export function decay(elapsedMs: number, halfLifeMs: number): number {
  return elapsedMs === Number.POSITIVE_INFINITY ? 0 : 2 ** (-elapsedMs / halfLifeMs);
}
