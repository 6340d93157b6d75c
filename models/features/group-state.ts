import { copySummary, isBefore, merge, prepare, update, type Parts, type Summary } from "./summary.ts";

/**
 * What one entity keeps of one group: its newest facts exactly, row by row, and older ones merged into tiles. The exact facts are
 * the newest `keep.facts` ever seen by (time, identity), whatever the order of arrival, so two states that saw the same facts are
 * equal. Tiles lie wholly behind the frontier, the newest fact that was ever coarsened.
 */
export interface GroupState {
  /** Row-major, ascending by (time, identity): time, identity, columns …, and the retraction time where the group has one. */
  rows: Float64Array;
  count: number;
  /** Ascending by start, not overlapping. */
  tiles: Tile[];
  frontierTime: number;
  frontierId: number;
  /** Encoded rows, ROWS_PER_CHUNK a chunk, as far as they are still true; kept by the encoder, forgotten by whatever moves rows. */
  chunks: Uint8Array[];
}

/** Rows encoded together: an added fact costs the encoding of its chunk, not of all facts. */
export const ROWS_PER_CHUNK = 32;

export interface Tile {
  readonly start: number;
  readonly width: number;
  /** Over the facts themselves, value 1: how many, and the times of the first and the last. */
  readonly facts: Summary;
  readonly columns: readonly Summary[];
}

/** How the state of a group is laid out: derived from its definition when a catalog is compiled. */
export interface GroupLayout {
  /** Position among the groups of its entity type. */
  readonly slot: number;
  /** 32-bit hash of name and version: how stored state names the group. */
  readonly id: number;
  readonly name: string;
  readonly columnNames: readonly string[];
  readonly parts: readonly Parts[];
  readonly stride: number;
  /** Offset of the retraction time in a row; -1: facts of this group are never retracted. */
  readonly retractedAt: number;
  readonly keep: {
    readonly horizonMs: number;
    readonly facts: number;
    readonly tileMs: number;
    readonly tiles: number;
  };
  readonly ttlMs: number;
}

/** Columns start after time and identity. */
export const FIRST_COLUMN = 2;

/** Facts are kept this much longer than the horizon, in milliseconds: an as-of time may lie that far behind the newest ingestion. */
export const HORIZON_SLACK_MS = 86_400_000;

/** Parts of the summary over a tile's facts. */
export const FACT_PARTS: Parts = {
  sum: false,
  squares: false,
  extremes: false,
  ends: true,
  distinct: false,
  recent: 0,
  halfLifeMs: 0,
};

export interface Fact {
  readonly time: number;
  readonly identity: number;
  readonly columns: ArrayLike<number>;
  /** When the fact was retracted; +∞: it was not. */
  readonly retractedAt: number;
  /** True: only the retraction is known so far, not the fact. */
  readonly retraction: boolean;
}

/** applied: the state changed. duplicate: the fact was there. dropped: it is older than anything the group keeps. */
export type FactOutcome = "applied" | "duplicate" | "dropped";

/** What the owner of the state does for facts that are no longer exact. */
export interface CoarsenedFacts {
  readonly has: (identity: number) => boolean;
  readonly add: (identity: number) => void;
}

export function emptyGroup(layout: GroupLayout): GroupState {
  return {
    rows: new Float64Array(layout.stride * 4),
    count: 0,
    tiles: [],
    frontierTime: Number.NEGATIVE_INFINITY,
    frontierId: 0,
    chunks: [],
  };
}

export function copyGroup(state: GroupState): GroupState {
  return {
    ...state,
    rows: state.rows.slice(),
    chunks: [],
    tiles: state.tiles.map((tile) => ({
      ...tile,
      facts: copySummary(tile.facts),
      columns: tile.columns.map(copySummary),
    })),
  };
}

/** Adds a fact once. `now` is the newest ingestion time known: what lies behind the horizon from there is dropped. */
export function addFact(
  state: GroupState,
  layout: GroupLayout,
  fact: Fact,
  now: number,
  coarsened: CoarsenedFacts,
): FactOutcome {
  const oldest = now - layout.keep.horizonMs - HORIZON_SLACK_MS;
  if (fact.time < oldest) return "dropped";
  const known = findIdentity(state, layout, fact.identity);
  if (known >= 0) return addToKnown(state, layout, known, fact);
  if (state.frontierTime > Number.NEGATIVE_INFINITY && coarsened.has(fact.identity)) return "duplicate";
  dropOlderThan(state, layout, oldest);
  if (!isBefore(state.frontierTime, state.frontierId, fact.time, fact.identity)) {
    if (fact.retraction) return "dropped";
    addToTile(state, layout, fact.time, fact.identity, fact.columns, 0);
    coarsened.add(fact.identity);
    return "applied";
  }
  insertRow(state, layout, fact);
  if (state.count > layout.keep.facts) coarsenOldest(state, layout, coarsened);
  return "applied";
}

/** Row of a fact, or -1. */
export function findIdentity(state: GroupState, layout: GroupLayout, identity: number): number {
  const { rows } = state;
  for (let at = (state.count - 1) * layout.stride + 1; at > 0; at -= layout.stride) {
    if (rows[at] === identity) return (at - 1) / layout.stride;
  }
  return -1;
}

/** Number of rows with time ≤ `time`: the index of the first later one. */
export function rowsUpTo(state: GroupState, layout: GroupLayout, time: number): number {
  let low = 0;
  let high = state.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((state.rows[middle * layout.stride] as number) <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A retraction of a known fact, or the fact of a known retraction, changes its row; anything else is a duplicate. */
function addToKnown(state: GroupState, layout: GroupLayout, row: number, fact: Fact): FactOutcome {
  if (layout.retractedAt < 0) return "duplicate";
  const at = row * layout.stride + layout.retractedAt;
  const before = state.rows[at] as number;
  if (fact.retraction) {
    // A negative time marks a retraction that waits for its fact.
    const after = before < 0 ? -Math.min(-before, fact.retractedAt) : Math.min(before, fact.retractedAt);
    state.rows[at] = after;
    forgetChunks(state, row);
    return after === before ? "duplicate" : "applied";
  }
  if (before >= 0) return "duplicate";
  removeRow(state, layout, row);
  insertRow(state, layout, { ...fact, retractedAt: -before });
  return "applied";
}

function insertRow(state: GroupState, layout: GroupLayout, fact: Fact): void {
  const { stride } = layout;
  if ((state.count + 1) * stride > state.rows.length) {
    const grown = new Float64Array(Math.max(4, state.count * 2) * stride);
    grown.set(state.rows);
    state.rows = grown;
  }
  const { rows } = state;
  let row = state.count;
  while (
    row > 0 &&
    isBefore(fact.time, fact.identity, rows[(row - 1) * stride] as number, rows[(row - 1) * stride + 1] as number)
  )
    row--;
  rows.copyWithin((row + 1) * stride, row * stride, state.count * stride);
  forgetChunks(state, row);
  const at = row * stride;
  rows[at] = fact.time;
  rows[at + 1] = fact.identity;
  const { length } = layout.columnNames;
  for (let column = 0; column < length; column++) rows[at + FIRST_COLUMN + column] = fact.columns[column] ?? Number.NaN;
  if (layout.retractedAt >= 0) rows[at + layout.retractedAt] = fact.retraction ? -fact.retractedAt : fact.retractedAt;
  state.count++;
}

/** Encoded chunks hold whole chunks of rows only, so the one that `row` lies in and those behind it are no longer true. */
function forgetChunks(state: GroupState, row: number): void {
  const kept = Math.floor(row / ROWS_PER_CHUNK);
  if (state.chunks.length > kept) state.chunks.length = kept;
}

function removeRow(state: GroupState, layout: GroupLayout, row: number): void {
  forgetChunks(state, row);
  state.rows.copyWithin(row * layout.stride, (row + 1) * layout.stride, state.count * layout.stride);
  state.count--;
}

/** Merges the oldest exact fact into its tile. A retracted fact, or a retraction without its fact, leaves nothing behind. */
function coarsenOldest(state: GroupState, layout: GroupLayout, coarsened: CoarsenedFacts): void {
  const time = state.rows[0] as number;
  const identity = state.rows[1] as number;
  const isRetracted = layout.retractedAt >= 0 && state.rows[layout.retractedAt] !== Number.POSITIVE_INFINITY;
  if (!isRetracted) addToTile(state, layout, time, identity, state.rows, FIRST_COLUMN);
  state.frontierTime = time;
  state.frontierId = identity;
  removeRow(state, layout, 0);
  coarsened.add(identity);
}

function addToTile(
  state: GroupState,
  layout: GroupLayout,
  time: number,
  identity: number,
  values: ArrayLike<number>,
  offset: number,
): void {
  const tile = tileAt(state, layout, time);
  update(tile.facts, FACT_PARTS, time, identity, 1);
  for (let column = 0; column < tile.columns.length; column++) {
    update(
      tile.columns[column] as Summary,
      layout.parts[column] as Parts,
      time,
      identity,
      values[offset + column] as number,
    );
  }
}

function tileAt(state: GroupState, layout: GroupLayout, time: number): Tile {
  const { tiles } = state;
  let at = tiles.length;
  while (at > 0 && (tiles[at - 1] as Tile).start > time) at--;
  const before = tiles[at - 1];
  if (before && time < before.start + before.width) return before;
  const { tileMs } = layout.keep;
  const tile = emptyTile(layout, Math.floor(time / tileMs) * tileMs, tileMs);
  tiles.splice(at, 0, tile);
  if (tiles.length > layout.keep.tiles) mergeOldestTiles(state, layout);
  return tiles.includes(tile) ? tile : (tiles[0] as Tile);
}

export function emptyTile(layout: GroupLayout, start: number, width: number): Tile {
  return { start, width, facts: prepare(), columns: layout.parts.map(prepare) };
}

function mergeOldestTiles(state: GroupState, layout: GroupLayout): void {
  const [a, b] = state.tiles as [Tile, Tile];
  const wide = emptyTile(layout, a.start, b.start + b.width - a.start);
  mergeTile(wide, layout, a);
  mergeTile(wide, layout, b);
  state.tiles.splice(0, 2, wide);
}

export function mergeTile(into: Tile, layout: GroupLayout, other: Tile): void {
  merge(into.facts, FACT_PARTS, other.facts);
  for (let column = 0; column < into.columns.length; column++) {
    merge(into.columns[column] as Summary, layout.parts[column] as Parts, other.columns[column] as Summary);
  }
}

/** Drops facts and tiles older than the time. Returns whether there were any. */
export function dropOlderThan(state: GroupState, layout: GroupLayout, oldest: number): boolean {
  const rows = rowsUpTo(state, layout, oldest - 1);
  if (rows > 0) {
    state.rows.copyWithin(0, rows * layout.stride, state.count * layout.stride);
    state.count -= rows;
    forgetChunks(state, 0);
  }
  let tiles = 0;
  while (tiles < state.tiles.length && (state.tiles[tiles] as Tile).facts.lastTime < oldest) tiles++;
  if (tiles > 0) state.tiles.splice(0, tiles);
  return rows + tiles > 0;
}

/** Bytes of the decoded state, for caches bounded in bytes. */
export function groupBytes(state: GroupState): number {
  let bytes = 160 + state.rows.byteLength;
  for (const tile of state.tiles) {
    bytes += 96;
    for (const column of tile.columns) bytes += 160 + 8 * (column.distinct.length + column.recent.length);
  }
  return bytes;
}
