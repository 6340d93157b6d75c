import type { Catalog } from "../models/features/catalog.ts";
import { decodeEntity, emptyEntity, encodeEntity } from "../models/features/entity-state.ts";
import { encodeTail, replayTail, type TailFact } from "../models/features/entity-tail.ts";
import { entityTypeOf } from "../models/features/fact-batch.ts";
import { virtualShardOf } from "../models/sharding/virtual-shards.ts";
import { type ShardEntity, ShardEntityCache } from "./shard-entity-cache.ts";

/**
 * Facts that an entity's tail may hold before its state is written as a whole again. Writing a state of a hundred facts costs as much
 * as appending ten; reading one back costs a microsecond for each fact of the tail.
 */
export const MAX_TAIL_FACTS = 32;

/** Parameters that one statement may bind. */
const MAX_BOUND = 100;
const PER_TAIL = 3;
const TAILS_PER_STATEMENT = Math.floor(MAX_BOUND / PER_TAIL);

export interface EntityRow extends Record<string, SqlStorageValue> {
  id: number;
  name: string;
  version: number;
  ingested_at: number;
  state: ArrayBuffer;
}

/** An entity whose state changed in one call, with the facts that changed it. */
export interface ChangedEntity {
  readonly entity: ShardEntity;
  readonly facts: readonly TailFact[];
}

/**
 * How entities are stored: a row with the encoded state, and a tail of what was applied since. Decoded states stay in memory as long as
 * there is room; nothing is in memory only.
 */
export class EntityRows {
  readonly #sql: SqlStorage;
  readonly #catalog: Catalog;
  readonly #cache = new ShardEntityCache();
  #lastId: number;

  constructor(sql: SqlStorage, catalog: Catalog) {
    this.#sql = sql;
    this.#catalog = catalog;
    this.#lastId = this.#highestId();
  }

  /** From memory or storage; a new one, not stored yet, where there is neither. */
  get(name: string): ShardEntity {
    const [entity] = this.getAll([name]);
    return entity ?? this.#newEntity(name);
  }

  /** Entities in the order of their names, each given once: those that memory does not have with two statements for a hundred. */
  getAll(names: readonly string[]): ShardEntity[] {
    const known = new Map<string, ShardEntity>();
    const missing: string[] = [];
    for (const name of names) {
      const cached = this.#cache.get(name);
      if (cached) known.set(name, cached);
      else missing.push(name);
    }
    for (let from = 0; from < missing.length; from += MAX_BOUND)
      for (const entity of this.#read(missing.slice(from, from + MAX_BOUND))) known.set(entity.name, entity);
    return names.map((name) => known.get(name) ?? this.#newEntity(name));
  }

  #read(names: readonly string[]): ShardEntity[] {
    const entities = new Map<number, ShardEntity>();
    const rows = this.#sql.exec<EntityRow>(
      `SELECT id, name, version, ingested_at, state FROM entities WHERE name IN (${listOf(names.length)})`,
      ...names,
    );
    for (const row of rows) entities.set(row.id, withoutTail(this.#catalog, row));
    if (entities.size === 0) return [];
    const tails = this.#sql.exec<TailRow>(
      `SELECT entity, version, facts FROM tails WHERE entity IN (${listOf(entities.size)}) ORDER BY entity, version`,
      ...entities.keys(),
    );
    for (const tail of tails) {
      const entity = entities.get(tail.entity);
      if (entity) replay(this.#catalog, entity, tail);
    }
    for (const entity of entities.values()) this.#cache.set(entity.name, entity);
    return [...entities.values()];
  }

  #newEntity(name: string): ShardEntity {
    const state = emptyEntity(this.#catalog.layouts(entityTypeOf(name)));
    return { name, id: ++this.#lastId, version: 0, ingestedAt: 0, stored: false, state, tail: 0, foreignTail: [] };
  }

  /** Whether `store` of these changes is one statement. */
  isOneStatement(changes: readonly ChangedEntity[]): boolean {
    return (
      changes.length <= TAILS_PER_STATEMENT &&
      changes.every(({ entity, facts }) => entity.stored && entity.tail + facts.length <= MAX_TAIL_FACTS)
    );
  }

  /** Stores what a call changed: by their tails where these are short, as a whole otherwise. */
  store(changes: readonly ChangedEntity[]): void {
    const appended: (number | Uint8Array)[] = [];
    // In the order of the table, so that neighbours find their page in memory.
    const ordered = changes.toSorted((a, b) => a.entity.id - b.entity.id);
    for (const { entity, facts } of ordered) {
      if (!entity.stored || entity.tail + facts.length > MAX_TAIL_FACTS) {
        this.write(entity);
        continue;
      }
      appended.push(entity.id, entity.version, encodeTail(facts));
      entity.tail += facts.length;
      this.#cache.set(entity.name, entity);
    }
    const size = TAILS_PER_STATEMENT * PER_TAIL;
    for (let from = 0; from < appended.length; from += size) {
      const part = appended.slice(from, from + size);
      const list = Array.from({ length: part.length / PER_TAIL }, () => "(?,?,?)").join(",");
      this.#sql.exec(`INSERT INTO tails (entity, version, facts) VALUES ${list}`, ...part);
    }
  }

  /** Writes the whole state, which ends the tail. */
  write(entity: ShardEntity): void {
    const state = encodeEntity(entity.state, this.#catalog.layouts(entityTypeOf(entity.name)));
    if (entity.stored) {
      this.#sql.exec(
        "UPDATE entities SET version = ?, ingested_at = ?, state = ? WHERE id = ?",
        entity.version,
        entity.ingestedAt,
        state,
        entity.id,
      );
      if (entity.tail > 0) this.#endTail(entity);
    } else {
      this.#sql.exec(
        "INSERT INTO entities (id, name, virtual_shard, version, ingested_at, state) VALUES (?, ?, ?, ?, ?, ?)",
        entity.id,
        entity.name,
        virtualShardOf(entity.name),
        entity.version,
        entity.ingestedAt,
        state,
      );
      entity.stored = true;
    }
    this.#cache.set(entity.name, entity);
  }

  remove({ id, name }: Pick<ShardEntity, "id" | "name">): void {
    removeEntity(this.#sql, id);
    this.#cache.delete(name);
  }

  /** Forgets memory: after rows were changed behind its back, or when it may be ahead of them. */
  forget(): void {
    this.#cache.clear();
    this.#lastId = this.#highestId();
  }

  #endTail(entity: ShardEntity): void {
    this.#sql.exec("DELETE FROM tails WHERE entity = ?", entity.id);
    // Facts of groups that another build knows wait for it.
    if (entity.foreignTail.length > 0)
      this.#sql.exec(
        "INSERT INTO tails (entity, version, facts) VALUES (?, ?, ?)",
        entity.id,
        entity.version,
        joined(entity.foreignTail),
      );
    entity.tail = 0;
  }

  #highestId(): number {
    return this.#sql.exec<{ id: number | null }>("SELECT MAX(id) AS id FROM entities").one().id ?? 0;
  }
}

/** An entity as stored, row and tail together. */
export function readEntity(sql: SqlStorage, catalog: Catalog, row: EntityRow): ShardEntity {
  const entity = withoutTail(catalog, row);
  const tails = sql.exec<TailRow>("SELECT entity, version, facts FROM tails WHERE entity = ? ORDER BY version", row.id);
  for (const tail of tails) replay(catalog, entity, tail);
  return entity;
}

interface TailRow extends Record<string, SqlStorageValue> {
  entity: number;
  version: number;
  facts: ArrayBuffer;
}

function withoutTail(catalog: Catalog, row: EntityRow): ShardEntity {
  return {
    name: row.name,
    id: row.id,
    version: row.version,
    ingestedAt: row.ingested_at,
    stored: true,
    state: decodeEntity(new Uint8Array(row.state), catalog.layouts(entityTypeOf(row.name))),
    tail: 0,
    foreignTail: [],
  };
}

/** Applies the next row of an entity's tail. */
function replay(catalog: Catalog, entity: ShardEntity, { version, facts }: TailRow): void {
  const layouts = catalog.layouts(entityTypeOf(entity.name));
  const replayed = replayTail(entity.state, layouts, new Uint8Array(facts), entity.ingestedAt);
  entity.version = Math.max(entity.version, version);
  entity.ingestedAt = replayed.ingestedAt;
  entity.tail += replayed.facts;
  entity.foreignTail.push(...replayed.foreign);
}

function listOf(count: number): string {
  return Array.from({ length: count }, () => "?").join(",");
}

/** Removes an entity with everything that belongs to it. */
export function removeEntity(sql: SqlStorage, id: number): void {
  sql.exec("DELETE FROM tails WHERE entity = ?", id);
  sql.exec("DELETE FROM coarsened WHERE entity = ?", id);
  sql.exec("DELETE FROM entities WHERE id = ?", id);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
