import type { EntityState } from "./entity-state.ts";
import {
  addFact,
  type CoarsenedFacts,
  copyGroup,
  emptyGroup,
  type Fact,
  FIRST_COLUMN,
  type GroupLayout,
  type GroupState,
  mergeTile,
  type Tile,
} from "./group-state.ts";
import { copySummary, isBefore } from "./summary.ts";

/**
 * Merges the parts of a hot entity. Facts are told apart by identity, so a fact that both have counts once; tiles are added, so they must
 * not have coarsened the same facts: facts are routed to parts by identity.
 */
export function mergeParts(a: EntityState, b: EntityState, layouts: readonly GroupLayout[]): EntityState {
  return {
    groups: layouts.map((layout) => {
      const left = a.groups[layout.slot] ?? null;
      const right = b.groups[layout.slot] ?? null;
      if (left === null || right === null) return left ?? right;
      return mergeGroups(left, right, layout);
    }),
    foreign: foreignOf(a, b),
  };
}

function foreignOf(a: EntityState, b: EntityState): EntityState["foreign"] {
  return [...a.foreign, ...b.foreign.filter((section) => a.foreign.every((known) => known.id !== section.id))];
}

/**
 * Merges two copies of one entity that went on apart for a while, as in a reshard. The copy with more facts in tiles is taken, and the
 * exact facts of the other are added to it like any facts: those that it has, exactly or in a tile, count once. `coarsened` knows what
 * is in the tiles of either. A late fact that only the other copy had, and had in a tile already, is lost: it takes more facts than the
 * group keeps exactly, and one older than all of these, between the two copies of a reshard.
 */
export function mergeCopies(
  a: EntityState,
  b: EntityState,
  layouts: readonly GroupLayout[],
  options: { readonly now: number; readonly coarsened: (group: number) => CoarsenedFacts },
): EntityState {
  const groups = layouts.map((layout) => {
    const left = a.groups[layout.slot] ?? null;
    const right = b.groups[layout.slot] ?? null;
    if (left === null || right === null) return left ?? right;
    const isFuller = tiledFacts(right) > tiledFacts(left);
    const merged = copyGroup(isFuller ? right : left);
    const coarsened = options.coarsened(layout.id);
    for (const fact of exactFacts(isFuller ? left : right, layout))
      addFact(merged, layout, fact, options.now, coarsened);
    return merged;
  });
  return { groups, foreign: foreignOf(a, b) };
}

function tiledFacts({ tiles }: GroupState): number {
  return tiles.reduce((sum, tile) => sum + tile.facts.count, 0);
}

/** The exact facts of a state, each followed by its retraction where there is one. */
function* exactFacts(state: GroupState, { stride, columnNames, retractedAt }: GroupLayout): Generator<Fact> {
  for (let row = 0; row < state.count; row++) {
    const at = row * stride;
    const time = state.rows[at] as number;
    const identity = state.rows[at + 1] as number;
    const retracted = retractedAt < 0 ? Number.POSITIVE_INFINITY : (state.rows[at + retractedAt] as number);
    const columns = state.rows.slice(at + FIRST_COLUMN, at + FIRST_COLUMN + columnNames.length);
    // A negative time marks a retraction that waits for its fact.
    if (retracted >= 0) yield { time, identity, columns, retractedAt: Number.POSITIVE_INFINITY, retraction: false };
    if (retracted < Number.POSITIVE_INFINITY)
      yield { time, identity, columns: [], retractedAt: Math.abs(retracted), retraction: true };
  }
}

/** May hold more exact facts than the layout keeps: whoever stores it coarsens as facts are added. */
function mergeGroups(a: GroupState, b: GroupState, layout: GroupLayout): GroupState {
  const merged = emptyGroup(layout);
  merged.rows = new Float64Array((a.count + b.count + 1) * layout.stride);
  mergeRows(merged, a, b, layout);
  merged.tiles = addTiles(a.tiles, b.tiles, layout);
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
