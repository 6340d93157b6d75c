import type { CompiledAggregate, CompiledWindow } from "./compile-service.ts";
import type { Fact, GroupState, Tile } from "./group-state.ts";
import { insertDistinct, merge, update, type Summary } from "./summary.ts";

/** A window as it lies in one state: its ends, the rows inside, and the row of the request's own fact, which never counts. */
export interface OpenedWindow {
  /** The request has the entity, and its state could be read. */
  isKnown: boolean;
  state: GroupState | null;
  from: number;
  to: number;
  firstRow: number;
  endRow: number;
  skip: number;
  /** Time of the newest fact that counts, −∞ without one. */
  newest: number;
}

function isRetracted(rows: Float64Array, at: number, { group }: CompiledWindow, asOf: number): boolean {
  return group.retractedAt >= 0 && (rows[at + group.retractedAt] as number) <= asOf;
}

/** Time of the newest fact that counts, −∞ without one. */
export function newestFact(opened: OpenedWindow, window: CompiledWindow): number {
  const { state } = opened;
  if (state === null) return Number.NEGATIVE_INFINITY;
  for (let row = opened.endRow - 1; row >= opened.firstRow; row--) {
    const at = row * window.group.stride;
    if (row !== opened.skip && !isRetracted(state.rows, at, window, opened.to + window.delayMs))
      return state.rows[at] as number;
  }
  for (let at = state.tiles.length - 1; at >= 0; at--) {
    const tile = state.tiles[at] as Tile;
    if (isInside(tile, opened)) return tile.facts.lastTime;
    if (tile.facts.lastTime <= opened.from) break;
  }
  return Number.NEGATIVE_INFINITY;
}

/** Index of the first tile that may lie inside: their newest facts ascend. */
function firstTile(tiles: readonly Tile[], { from }: OpenedWindow): number {
  let at = tiles.length;
  while (at > 0 && (tiles[at - 1] as Tile).facts.lastTime > from) at--;
  return at;
}

/** A tile counts as if all of its facts had happened with its newest: never before a window's end, at most a tile beyond its start. */
function isInside({ facts }: Tile, { from, to }: OpenedWindow): boolean {
  return facts.lastTime > from && facts.lastTime <= to;
}

export function countFacts(opened: OpenedWindow, window: CompiledWindow, asOf: number): number {
  const { state, firstRow, endRow, skip } = opened;
  if (state === null) return 0;
  let count = endRow - firstRow;
  if (skip >= firstRow && skip < endRow) count--;
  if (window.group.retractedAt >= 0) {
    for (let row = firstRow; row < endRow; row++) {
      if (row !== skip && isRetracted(state.rows, row * window.group.stride, window, asOf)) count--;
    }
  }
  const { tiles } = state;
  for (let at = firstTile(tiles, opened); at < tiles.length; at++) {
    const tile = tiles[at] as Tile;
    if (isInside(tile, opened)) count += tile.facts.count;
  }
  return count;
}

export function addRows(
  summary: Summary,
  feature: CompiledAggregate,
  opened: OpenedWindow,
  window: CompiledWindow,
  asOf: number,
): void {
  const { state, firstRow, endRow, skip } = opened;
  if (state === null) return;
  const { stride } = window.group;
  const { rows } = state;
  if (feature.isSum && window.group.retractedAt < 0) {
    sumRows(summary, rows, feature.offset, stride, opened);
    return;
  }
  if (feature.aggregation.op === "distinct" && window.group.retractedAt < 0) {
    distinctRows(summary, rows, feature.offset, stride, opened);
    return;
  }
  for (let row = firstRow; row < endRow; row++) {
    const at = row * stride;
    if (row === skip || isRetracted(rows, at, window, asOf)) continue;
    const value = feature.column < 0 ? 1 : (rows[at + feature.offset] as number);
    update(summary, feature.needs, rows[at] as number, rows[at + 1] as number, value);
  }
}

/** `addRows` for what needs nothing but the sum and the count of a column. */
function sumRows(summary: Summary, rows: Float64Array, offset: number, stride: number, opened: OpenedWindow): void {
  let sum = 0;
  let count = 0;
  for (let row = opened.firstRow; row < opened.endRow; row++) {
    const value = rows[row * stride + offset] as number;
    // A missing value is the only one that differs from itself.
    if (row === opened.skip || value !== value) continue;
    sum += value;
    count++;
  }
  summary.sum = sum;
  summary.count = count;
}

/** `addRows` for what needs nothing but the distinct values of a column. */
function distinctRows(
  summary: Summary,
  rows: Float64Array,
  offset: number,
  stride: number,
  opened: OpenedWindow,
): void {
  for (let row = opened.firstRow; row < opened.endRow; row++) {
    const value = rows[row * stride + offset] as number;
    if (row !== opened.skip && value === value) insertDistinct(summary.distinct, value);
  }
}

export function addTiles(summary: Summary, feature: CompiledAggregate, opened: OpenedWindow): void {
  if (opened.state === null) return;
  const { tiles } = opened.state;
  for (let at = firstTile(tiles, opened); at < tiles.length; at++) {
    const tile = tiles[at] as Tile;
    if (!isInside(tile, opened)) continue;
    const part = feature.column < 0 ? tile.facts : tile.columns[feature.column];
    if (part) merge(summary, feature.needs, part);
  }
}

export function hasSeen(
  feature: CompiledAggregate,
  opened: OpenedWindow,
  window: CompiledWindow,
  request: Fact,
  asOf: number,
): number {
  const wanted = request.columns[feature.column] ?? Number.NaN;
  if (Number.isNaN(wanted)) return Number.NaN;
  const { state, firstRow, endRow, skip } = opened;
  if (state === null) return 0;
  for (let row = firstRow; row < endRow; row++) {
    const at = row * window.group.stride;
    if (row !== skip && state.rows[at + feature.offset] === wanted && !isRetracted(state.rows, at, window, asOf))
      return 1;
  }
  for (const tile of state.tiles) {
    if (!isInside(tile, opened)) continue;
    if (tile.columns[feature.column]?.distinct.includes(wanted) === true) return 1;
  }
  return 0;
}
