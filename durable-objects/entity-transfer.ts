import type { Catalog } from "../models/features/catalog.ts";
import { decodeEntity, encodeEntity } from "../models/features/entity-state.ts";
import { entityTypeOf } from "../models/features/fact-batch.ts";
import { mergeCopies } from "../models/features/merge-states.ts";
import { CoarsenedIdentities } from "./coarsened-facts.ts";
import { type EntityRow, readEntity, removeEntity } from "./entity-rows.ts";
import { objectOf, virtualShardOf } from "../models/sharding/virtual-shards.ts";

/** Rows per page of a transfer: an answer of large states stays below a megabyte or two. */
export const TRANSFER_ROWS = 200;

export interface TransferredEntity {
  readonly name: string;
  readonly version: number;
  readonly ingestedAt: number;
  readonly state: Uint8Array;
  /** Facts in tiles: group, identity, time of coarsening. */
  readonly coarsened: readonly (readonly number[])[];
}

export interface TransferredEvent {
  readonly identity: string;
  readonly content: string;
  readonly at: number;
  readonly settled: number;
}

/** What one object holds that another will, and where to go on; cursor null: that was all. */
export interface TransferPage {
  readonly entities: readonly TransferredEntity[];
  readonly events: readonly TransferredEvent[];
  readonly cursor: TransferCursor | null;
}

/** Rows behind these have not been looked at yet. */
export interface TransferCursor {
  readonly entity: number;
  readonly event: string;
}

/** The next page of rows; the caller sends each to the object that it hashes to. */
export function exportPage(sql: SqlStorage, catalog: Catalog, cursor: TransferCursor): TransferPage {
  const rows = sql
    .exec<EntityRow>(
      "SELECT id, name, version, ingested_at, state FROM entities WHERE id > ? ORDER BY id LIMIT ?",
      cursor.entity,
      TRANSFER_ROWS,
    )
    .toArray();
  const events = sql
    .exec<{ identity: string; content: string; at: number; settled: number }>(
      "SELECT identity, content, at, settled FROM events WHERE identity > ? ORDER BY identity LIMIT ?",
      cursor.event,
      TRANSFER_ROWS,
    )
    .toArray();
  const isLast = rows.length < TRANSFER_ROWS && events.length < TRANSFER_ROWS;
  return {
    entities: rows.map((row) => ({
      ...wholeEntity(sql, catalog, row),
      coarsened: sql
        .exec<{ feature_group: number; identity: number; at: number }>(
          "SELECT feature_group, identity, at FROM coarsened WHERE entity = ?",
          row.id,
        )
        .toArray()
        .map((known) => [known.feature_group, known.identity, known.at]),
    })),
    events,
    cursor: isLast
      ? null
      : { entity: rows.at(-1)?.id ?? cursor.entity, event: events.at(-1)?.identity ?? cursor.event },
  };
}

/** Row and tail as one state. */
function wholeEntity(sql: SqlStorage, catalog: Catalog, row: EntityRow): Omit<TransferredEntity, "coarsened"> {
  const entity = readEntity(sql, catalog, row);
  const { name, version, ingestedAt, foreignTail } = entity;
  if (foreignTail.length > 0)
    throw new Error(`${name} has facts of feature groups that this build does not know; move it with the newest build`);
  const state = encodeEntity(entity.state, catalog.layouts(entityTypeOf(name)));
  return { name, version, ingestedAt, state };
}

/**
 * Takes rows from another object. Repeatable: facts that both know count once, so a copy may be taken before and again after the
 * objects' number changes. What is merged gets a version of the receiver's own.
 */
export function importPage(
  sql: SqlStorage,
  catalog: Catalog,
  page: Pick<TransferPage, "entities" | "events">,
  nextVersion: () => number,
): void {
  for (const entity of page.entities) importEntity(sql, catalog, entity, nextVersion);
  for (const { identity, content, at, settled } of page.events) {
    sql.exec(
      `INSERT INTO events (identity, content, at, settled) VALUES (?, ?, ?, ?)
       ON CONFLICT (identity) DO UPDATE SET settled = MAX(settled, excluded.settled)`,
      identity,
      content,
      at,
      settled,
    );
  }
}

function importEntity(sql: SqlStorage, catalog: Catalog, entity: TransferredEntity, nextVersion: () => number): void {
  const { name, version, ingestedAt, state } = entity;
  const known = sql
    .exec<EntityRow>("SELECT id, name, version, ingested_at, state FROM entities WHERE name = ?", name)
    .toArray()[0];
  const id =
    known?.id ??
    sql
      .exec<{ id: number }>(
        "INSERT INTO entities (name, virtual_shard, version, ingested_at, state) VALUES (?, ?, ?, ?, ?) RETURNING id",
        name,
        virtualShardOf(name),
        version,
        ingestedAt,
        state,
      )
      .one().id;
  const coarsened = new CoarsenedIdentities(sql);
  for (const [group = 0, identity = 0, at = 0] of entity.coarsened) coarsened.of(id, group, at).add(identity);
  coarsened.flush();
  if (!known) return;
  const layouts = catalog.layouts(entityTypeOf(name));
  const own = readEntity(sql, catalog, known);
  const newest = Math.max(own.ingestedAt, ingestedAt);
  const merged = mergeCopies(own.state, decodeEntity(state, layouts), layouts, {
    now: newest,
    coarsened: (group) => coarsened.of(id, group, newest),
  });
  coarsened.flush();
  const encoded = encodeEntity(merged, layouts);
  sql.exec("DELETE FROM tails WHERE entity = ?", id);
  sql.exec(
    "UPDATE entities SET version = ?, ingested_at = ?, state = ? WHERE id = ?",
    nextVersion(),
    newest,
    encoded,
    id,
  );
}

/** What one page of removals did, and where to go on; cursor null: that was all. */
export interface DropPage {
  readonly dropped: number;
  readonly cursor: TransferCursor | null;
}

/** Rows looked at by one page of removals. */
const DROP_ROWS = 1_000;

/** Removes what another object holds once there are `objects` of them, a page at a time. */
export function dropElsewhere(
  sql: SqlStorage,
  place: { readonly index: number; readonly objects: number },
  cursor: TransferCursor,
): DropPage {
  let dropped = 0;
  const isElsewhere = (key: string): boolean => objectOf(key, place.objects) !== place.index;
  const entities = sql
    .exec<{ id: number; name: string }>(
      "SELECT id, name FROM entities WHERE id > ? ORDER BY id LIMIT ?",
      cursor.entity,
      DROP_ROWS,
    )
    .toArray();
  for (const { id, name } of entities) {
    if (!isElsewhere(name)) continue;
    removeEntity(sql, id);
    dropped++;
  }
  const events = sql
    .exec<{ identity: string }>(
      "SELECT identity FROM events WHERE identity > ? ORDER BY identity LIMIT ?",
      cursor.event,
      DROP_ROWS,
    )
    .toArray();
  for (const { identity } of events) {
    if (!isElsewhere(identity)) continue;
    sql.exec("DELETE FROM events WHERE identity = ?", identity);
    dropped++;
  }
  const isLast = entities.length < DROP_ROWS && events.length < DROP_ROWS;
  const after = { entity: entities.at(-1)?.id ?? cursor.entity, event: events.at(-1)?.identity ?? cursor.event };
  return { dropped, cursor: isLast ? null : after };
}
