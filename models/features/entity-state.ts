import { ByteReader, ByteWriter, CorruptBytesError } from "./bytes.ts";
import {
  addFact,
  dropOlderThan,
  emptyGroup,
  emptyTile,
  FACT_PARTS,
  FIRST_COLUMN,
  groupBytes,
  HORIZON_SLACK_MS,
  ROWS_PER_CHUNK,
  type CoarsenedFacts,
  type Fact,
  type FactOutcome,
  type GroupLayout,
  type GroupState,
  type Tile,
} from "./group-state.ts";
import type { Parts, Summary } from "./summary.ts";

/** All groups of one entity. Version and watermark live beside it, in the row or cache entry that holds it. */
export interface EntityState {
  /** By slot; null where the entity has no fact of that group. */
  readonly groups: (GroupState | null)[];
  /** Sections of groups that this build does not know, kept as they are: another build, older or newer, still needs them. */
  readonly foreign: { readonly id: number; readonly bytes: Uint8Array }[];
}

/** First byte of the encoding. */
const FORMAT = 1;

export function emptyEntity(layouts: readonly GroupLayout[]): EntityState {
  return { groups: layouts.map(() => null), foreign: [] };
}

export function addEntityFact(
  state: EntityState,
  layout: GroupLayout,
  fact: Fact,
  now: number,
  coarsened: CoarsenedFacts,
): FactOutcome {
  const group = state.groups[layout.slot] ?? emptyGroup(layout);
  const outcome = addFact(group, layout, fact, now, coarsened);
  if (outcome === "applied") state.groups[layout.slot] = group;
  return outcome;
}

/** Drops what lies behind each group's horizon. `empty`: nothing is left, so the entity itself can go. */
export function expireEntity(
  state: EntityState,
  layouts: readonly GroupLayout[],
  now: number,
): { changed: boolean; empty: boolean } {
  let changed = false;
  let empty = state.foreign.length === 0;
  for (const layout of layouts) {
    const group = state.groups[layout.slot];
    if (!group) continue;
    if (dropOlderThan(group, layout, now - layout.keep.horizonMs - HORIZON_SLACK_MS)) changed = true;
    if (group.count === 0 && group.tiles.length === 0) state.groups[layout.slot] = null;
    else empty = false;
  }
  return { changed, empty };
}

/** Bytes of the decoded state, roughly. */
export function entityBytes(state: EntityState): number {
  let bytes = 120;
  for (const group of state.groups) if (group !== null) bytes += groupBytes(group);
  for (const section of state.foreign) bytes += 32 + section.bytes.length;
  return bytes;
}

const scratch = new ByteWriter(16 * 1024);
const section = new ByteWriter(16 * 1024);
const rowsOut = new ByteWriter(4 * 1024);

export function encodeEntity(state: EntityState, layouts: readonly GroupLayout[]): Uint8Array {
  scratch.byte(FORMAT);
  for (const layout of layouts) {
    const group = state.groups[layout.slot];
    if (!group) continue;
    writeGroup(section, group, layout);
    const bytes = section.take();
    scratch.uint32(layout.id);
    scratch.varint(bytes.length);
    scratch.raw(bytes);
  }
  for (const { id, bytes } of state.foreign) {
    scratch.uint32(id);
    scratch.varint(bytes.length);
    scratch.raw(bytes);
  }
  return scratch.take();
}

/** Throws CorruptBytesError where the bytes are not an encoded entity. */
export function decodeEntity(bytes: Uint8Array, layouts: readonly GroupLayout[]): EntityState {
  const reader = new ByteReader(bytes);
  const format = reader.byte();
  if (format !== FORMAT) throw new CorruptBytesError(`entity state has format ${format}, this build reads ${FORMAT}`);
  const state = emptyEntity(layouts);
  while (!reader.done) {
    const id = reader.uint32();
    const part = reader.raw(reader.varint());
    const layout = layouts.find((candidate) => candidate.id === id);
    if (layout) state.groups[layout.slot] = readGroup(new ByteReader(part), layout);
    else state.foreign.push({ id, bytes: part.slice() });
  }
  return state;
}

function writeGroup(out: ByteWriter, state: GroupState, layout: GroupLayout): void {
  out.varint(layout.stride);
  out.varint(state.count);
  const whole = Math.floor(state.count / ROWS_PER_CHUNK);
  for (let chunk = state.chunks.length; chunk < whole; chunk++) {
    writeRows(rowsOut, state, layout, chunk * ROWS_PER_CHUNK, (chunk + 1) * ROWS_PER_CHUNK);
    state.chunks.push(rowsOut.take());
  }
  for (const chunk of state.chunks) out.raw(chunk);
  writeRows(out, state, layout, whole * ROWS_PER_CHUNK, state.count);
  out.number(state.frontierTime);
  out.uint48(state.frontierId);
  out.varint(state.tiles.length);
  for (const tile of state.tiles) {
    out.number(tile.start);
    out.varint(tile.width);
    writeSummary(out, tile.facts, FACT_PARTS);
    for (let column = 0; column < tile.columns.length; column++)
      writeSummary(out, tile.columns[column] as Summary, layout.parts[column] as Parts);
  }
}

/** Times are differences from the row before, the first of a chunk from the epoch, so that a chunk stands alone. */
function writeRows(out: ByteWriter, { rows }: GroupState, { stride }: GroupLayout, from: number, to: number): void {
  let time = 0;
  for (let at = from * stride; at < to * stride; at += stride) {
    const rowTime = rows[at] as number;
    out.number(rowTime - time);
    time = rowTime;
    out.uint48(rows[at + 1] as number);
    for (let i = FIRST_COLUMN; i < stride; i++) out.number(rows[at + i] as number);
  }
}

function readGroup(reader: ByteReader, layout: GroupLayout): GroupState {
  const stride = reader.varint();
  if (stride !== layout.stride)
    throw new CorruptBytesError(`group ${layout.name} is stored with ${stride} numbers a fact, not ${layout.stride}`);
  const state = emptyGroup(layout);
  state.count = reader.length(stride + 5);
  state.rows = new Float64Array(Math.max(4, state.count + 1) * stride);
  let time = 0;
  for (let at = 0; at < state.count * stride; at += stride) {
    if (at % (ROWS_PER_CHUNK * stride) === 0) time = 0;
    time += reader.number();
    state.rows[at] = time;
    state.rows[at + 1] = reader.uint48();
    for (let i = FIRST_COLUMN; i < stride; i++) state.rows[at + i] = reader.number();
  }
  state.frontierTime = reader.number();
  state.frontierId = reader.uint48();
  const tiles = reader.length(4);
  for (let i = 0; i < tiles; i++) state.tiles.push(readTile(reader, layout));
  return state;
}

function readTile(reader: ByteReader, layout: GroupLayout): Tile {
  const tile = emptyTile(layout, reader.number(), reader.varint());
  readSummary(reader, tile.facts, FACT_PARTS);
  for (let column = 0; column < tile.columns.length; column++)
    readSummary(reader, tile.columns[column] as Summary, layout.parts[column] as Parts);
  return tile;
}

function writeSummary(out: ByteWriter, summary: Summary, parts: Parts): void {
  out.varint(summary.count);
  if (summary.count === 0) return;
  if (parts.sum) out.number(summary.sum);
  if (parts.squares) out.number(summary.m2);
  if (parts.extremes) {
    out.number(summary.min);
    out.number(summary.max);
  }
  if (parts.ends) {
    out.number(summary.firstTime);
    out.uint48(summary.firstId);
    out.number(summary.first);
    out.number(summary.lastTime);
    out.uint48(summary.lastId);
    out.number(summary.last);
  }
  if (parts.distinct) writeNumbers(out, summary.distinct);
  if (parts.recent > 0) writeNumbers(out, summary.recent);
  if (parts.halfLifeMs > 0) {
    out.number(summary.decayed);
    out.number(summary.decayedAt);
  }
}

function readSummary(reader: ByteReader, summary: Summary, parts: Parts): void {
  summary.count = reader.varint();
  if (summary.count === 0) return;
  if (parts.sum) summary.sum = reader.number();
  if (parts.squares) summary.m2 = reader.number();
  if (parts.extremes) {
    summary.min = reader.number();
    summary.max = reader.number();
  }
  if (parts.ends) {
    summary.firstTime = reader.number();
    summary.firstId = reader.uint48();
    summary.first = reader.number();
    summary.lastTime = reader.number();
    summary.lastId = reader.uint48();
    summary.last = reader.number();
  }
  if (parts.distinct) summary.distinct = readNumbers(reader);
  if (parts.recent > 0) summary.recent = readNumbers(reader);
  if (parts.halfLifeMs > 0) {
    summary.decayed = reader.number();
    summary.decayedAt = reader.number();
  }
}

function writeNumbers(out: ByteWriter, values: readonly number[]): void {
  out.varint(values.length);
  for (const value of values) out.number(value);
}

function readNumbers(reader: ByteReader): number[] {
  return Array.from({ length: reader.length(1) }, () => reader.number());
}
