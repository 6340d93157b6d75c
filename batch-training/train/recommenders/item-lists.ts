import { openScorer } from "../../../models/recommend/scorer.ts";
import type { ProfileRule, ServedNeighbours } from "../../../models/recommend/served-recommender.ts";
import type { FittedRecommender } from "./recommender.ts";

/** Item-to-item weights in rows: row i holds what item i says about the others. */
export interface ItemLists {
  readonly items: number;
  readonly start: Int32Array;
  readonly neighbour: Int32Array;
  readonly weight: Float32Array;
}

/** The served form cuts each row to its strongest entries, by absolute weight, ties to the lower index. */
export function cutLists(lists: ItemLists, neighbours: number, profile: ProfileRule): ServedNeighbours {
  const start = new Int32Array(lists.items + 1);
  const neighbour: number[] = [];
  const weight: number[] = [];
  for (let item = 0; item < lists.items; item++) {
    const from = lists.start[item] ?? 0;
    const order = Array.from({ length: (lists.start[item + 1] ?? 0) - from }, (_, i) => from + i)
      .sort((a, b) => Math.abs(lists.weight[b] ?? 0) - Math.abs(lists.weight[a] ?? 0) || a - b)
      .slice(0, neighbours);
    for (const at of order) {
      neighbour.push(lists.neighbour[at] ?? 0);
      weight.push(lists.weight[at] ?? 0);
    }
    start[item + 1] = neighbour.length;
  }
  return {
    kind: "neighbours",
    items: lists.items,
    profile,
    start,
    neighbour: Int32Array.from(neighbour),
    weight: Float32Array.from(weight),
  };
}

/** Scores by all entries; served with the strongest. */
export function listRecommender(lists: ItemLists, profile: ProfileRule): FittedRecommender {
  return {
    ...openScorer({ kind: "neighbours", profile, ...lists }),
    serve: (neighbours) => cutLists(lists, neighbours, profile),
  };
}

/** Rows of a dense items x items matrix, the diagonal left out, as lists cut to the strongest entries. */
export function denseToLists(rowOf: (item: number) => Float32Array, items: number, neighbours: number): ItemLists {
  const start = new Int32Array(items + 1);
  const neighbour: number[] = [];
  const weight: number[] = [];
  for (let item = 0; item < items; item++) {
    const row = rowOf(item);
    for (const target of strongest(row, neighbours, item)) {
      neighbour.push(target);
      weight.push(row[target] ?? 0);
    }
    start[item + 1] = neighbour.length;
  }
  return { items, start, neighbour: Int32Array.from(neighbour), weight: Float32Array.from(weight) };
}

/**
 * Indices of the `count` largest absolute values other than 0 and `except`, strongest first, ties to the lower index. One
 * pass with a short sorted list: sorting whole rows took most of the time of fitting 14,000 items.
 */
export function strongest(row: Float32Array, count: number, except: number): number[] {
  const items: number[] = [];
  const sizes: number[] = [];
  for (let item = 0; item < row.length; item++) {
    const size = Math.abs(row[item] ?? 0);
    if (size === 0 || item === except) continue;
    const full = items.length === count;
    if (full && size <= (sizes[count - 1] ?? 0)) continue;
    let place = full ? count - 1 : items.length;
    while (place > 0 && (sizes[place - 1] ?? 0) < size) {
      sizes[place] = sizes[place - 1] ?? 0;
      items[place] = items[place - 1] ?? 0;
      place--;
    }
    sizes[place] = size;
    items[place] = item;
  }
  return items;
}
