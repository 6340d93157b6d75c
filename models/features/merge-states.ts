import type { EntityState } from "./entity-state.ts";
import { emptyGroup, type GroupLayout, type GroupState, mergeTile, type Tile } from "./group-state.ts";
import { copySummary, isBefore } from "./summary.ts";

/**
 * Merges states of one entity that were kept in several places. Facts are told apart by identity, so a fact that both have counts
 * once; tiles are added, so they must not have coarsened the same facts: `disjoint` states come from facts that were routed by
 * identity (a hot entity), others from a copy (a reshard), where the tiles of the one with more facts in them are taken.
 */
export function mergeEntities(
  a: EntityState,
  b: EntityState,
  layouts: readonly GroupLayout[],
  kind: "disjoint" | "copies",
): EntityState {
  return {
    groups: layouts.map((layout) => {
      const left = a.groups[layout.slot] ?? null;
      const right = b.groups[layout.slot] ?? null;
      if (left === null || right === null) return left ?? right;
      return mergeGroups(left, right, layout, kind);
    }),
    foreign: [...a.foreign, ...b.foreign.filter((section) => a.foreign.every((known) => known.id !== section.id))],
  };
}

/** May hold more exact facts than the layout keeps: whoever stores it coarsens as facts are added. */
function mergeGroups(a: GroupState, b: GroupState, layout: GroupLayout, kind: "disjoint" | "copies"): GroupState {
  const merged = emptyGroup(layout);
  merged.rows = new Float64Array((a.count + b.count + 1) * layout.stride);
  mergeRows(merged, a, b, layout);
  merged.tiles = kind === "disjoint" ? addTiles(a.tiles, b.tiles, layout) : fullerTiles(a.tiles, b.tiles).map(copyTile);
  const isBehind = isBefore(a.frontierTime, a.frontierId, b.frontierTime, b.frontierId);
  merged.frontierTime = isBehind ? b.frontierTime : a.frontierTime;
  merged.frontierId = isBehind ? b.frontierId : a.frontierId;
  return merged;
}

function mergeRows(into: GroupState, a: GroupState, b: GroupState, { stride, retractedAt }: GroupLayout): void {
  let left = 0;
  let right = 0;
  const take = (from: GroupState, row: number): void => {
    into.rows.set(from.rows.subarray(row * stride, (row + 1) * stride), into.count * stride);
    into.count++;
  };
  while (left < a.count || right < b.count) {
    const order = left >= a.count ? 1 : right >= b.count ? -1 : compareRows(a, left, b, right, stride);
    if (order <= 0) take(a, left);
    else take(b, right);
    if (order === 0 && retractedAt >= 0) {
      // Both have the fact; a retraction that either knows holds.
      const at = (into.count - 1) * stride + retractedAt;
      into.rows[at] = Math.min(into.rows[at] ?? Infinity, b.rows[right * stride + retractedAt] ?? Infinity);
    }
    if (order <= 0) left++;
    if (order >= 0) right++;
  }
}

function compareRows(a: GroupState, left: number, b: GroupState, right: number, stride: number): number {
  const [timeA = 0, idA = 0] = a.rows.subarray(left * stride);
  const [timeB = 0, idB = 0] = b.rows.subarray(right * stride);
  return timeA - timeB || idA - idB;
}

function addTiles(a: readonly Tile[], b: readonly Tile[], layout: GroupLayout): Tile[] {
  const tiles = a.map(copyTile);
  for (const tile of b) {
    const same = tiles.find((other) => other.start < tile.start + tile.width && tile.start < other.start + other.width);
    if (same) mergeTile(same, layout, tile);
    else tiles.push(copyTile(tile));
  }
  return tiles.toSorted((left, right) => left.start - right.start);
}

function copyTile(tile: Tile): Tile {
  return { ...tile, facts: copySummary(tile.facts), columns: tile.columns.map(copySummary) };
}

function fullerTiles(a: readonly Tile[], b: readonly Tile[]): readonly Tile[] {
  const facts = (tiles: readonly Tile[]): number => tiles.reduce((sum, tile) => sum + tile.facts.count, 0);
  return facts(b) > facts(a) ? b : a;
}
