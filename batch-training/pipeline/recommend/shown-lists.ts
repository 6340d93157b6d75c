/** Lists as they were shown, with what became of them: the second stage's own past. */
import type { StoredEvent } from "../../../models/contract/events.ts";
import type { ExposureRecord } from "../../../models/recommend/exposure.ts";
import { RANKING_FEATURES, RANKING_WIDTH } from "../../../models/recommend/ranking-features.ts";
import { joinExposures, type JoinOptions } from "../../sources/exposures.ts";
import type { RankingRows } from "../../train/recommenders/two-stage/fit-ranker.ts";

/** Products of lists, one list after the other. Plain data. */
export interface ShownLists {
  /** Outcomes counted for this long after a list. */
  readonly waitMs: number;
  /** Epoch milliseconds of each list. */
  readonly at: Float64Array;
  /** Products of each list. */
  readonly sizes: Int32Array;
  /** products x ranking features, as they were at serving time, with the position. */
  readonly values: Float32Array;
  /** What became of each product: 0 nothing, 1 click, 2 cart, 3 purchase. */
  readonly gains: Float32Array;
}

/** Outcomes count for a day: most carts are bought or left by then. */
export const DEFAULT_OUTCOME_WAIT_MS = 86_400_000;

export const NOTHING_SHOWN: ShownLists = {
  waitMs: DEFAULT_OUTCOME_WAIT_MS,
  at: new Float64Array(0),
  sizes: new Int32Array(0),
  values: new Float32Array(0),
  gains: new Float32Array(0),
};

/** Fewer lists with an outcome than this are an anecdote. */
export const MIN_SHOWN = 50;

export function shownLists(
  records: Iterable<ExposureRecord>,
  events: Iterable<StoredEvent>,
  options: JoinOptions,
): ShownLists {
  const { rows } = joinExposures(records, events, options);
  const at: number[] = [];
  const sizes: number[] = [];
  let list = "";
  for (const row of rows) {
    if (row.recommendationId !== list) {
      list = row.recommendationId;
      at.push(row.at);
      sizes.push(0);
    }
    sizes[sizes.length - 1] = (sizes.at(-1) ?? 0) + 1;
  }
  const values = new Float32Array(rows.length * RANKING_WIDTH);
  for (const [index, { vector }] of rows.entries()) values.set(vector, index * RANKING_WIDTH);
  return {
    waitMs: options.waitMs,
    at: Float64Array.from(at),
    sizes: Int32Array.from(sizes),
    values,
    gains: Float32Array.from(rows, ({ gain }) => gain),
  };
}

/** Lists whose wait for outcomes was over by a moment: what became of them later cannot show. */
export function shownBefore({ waitMs, at, sizes, values, gains }: ShownLists, until: number): ShownLists {
  const kept = Array.from(at.keys()).filter((list) => (at[list] ?? Infinity) + waitMs <= until);
  const starts = new Int32Array(sizes.length + 1);
  for (const [list, size] of sizes.entries()) starts[list + 1] = (starts[list] ?? 0) + size;
  const rows = kept.flatMap((list) => Array.from({ length: sizes[list] ?? 0 }, (_, row) => (starts[list] ?? 0) + row));
  const vectors = new Float32Array(rows.length * RANKING_WIDTH);
  for (const [place, row] of rows.entries()) {
    vectors.set(values.subarray(row * RANKING_WIDTH, (row + 1) * RANKING_WIDTH), place * RANKING_WIDTH);
  }
  return {
    waitMs,
    at: Float64Array.from(kept, (list) => at[list] ?? 0),
    sizes: Int32Array.from(kept, (list) => sizes[list] ?? 0),
    values: vectors,
    gains: Float32Array.from(rows, (row) => gains[row] ?? 0),
  };
}

/**
 * Lists shown before a moment of which something became, as rows to learn from; null where there are too few. The position varies here and is the
 * constant of serving everywhere else: what a place alone earns goes to it, and not to the product that stood there.
 */
export function shownRows({ at, sizes, values, gains }: ShownLists, before: number): RankingRows | null {
  const [groups, labels, vectors]: [number[], number[], Float32Array[]] = [[], [], []];
  let from = 0;
  for (const [list, size] of sizes.entries()) {
    const own = gains.subarray(from, from + size);
    if ((at[list] ?? Infinity) < before && own.some((gain) => gain > 0)) {
      groups.push(size);
      labels.push(...own);
      vectors.push(values.subarray(from * RANKING_WIDTH, (from + size) * RANKING_WIDTH));
    }
    from += size;
  }
  if (groups.length < MIN_SHOWN) return null;
  const joined = new Float32Array(labels.length * RANKING_WIDTH);
  let place = 0;
  for (const part of vectors) {
    joined.set(part, place);
    place += part.length;
  }
  return {
    names: RANKING_FEATURES.map(({ name }) => name),
    values: joined,
    labels: Float32Array.from(labels),
    groups: Int32Array.from(groups),
  };
}
