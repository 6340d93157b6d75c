import type { Catalog } from "../models/features/catalog.ts";
import { decodeEntity, encodeEntity, expireEntity } from "../models/features/entity-state.ts";
import { addEntityFact } from "../models/features/entity-state.ts";
import { type BatchedFact, entityTypeOf, type FactBatch, readFactBatch } from "../models/features/fact-batch.ts";
import type { FactOutcome } from "../models/features/group-state.ts";
import { virtualShardOf } from "../models/sharding/virtual-shards.ts";
import { dropElsewhere, exportPage, importPage, type TransferCursor, type TransferPage } from "./entity-transfer.ts";
import { type ShardEntity, ShardEntityCache } from "./shard-entity-cache.ts";
import { applyMigrations, type ObjectMigration } from "./migrations.ts";

/**
 * Identities of events, and of facts that are merged into tiles, are kept this long: longer than the 14 days a queue may hold a
 * message plus the 14 days in which dead letters may be replayed. An older event that is not known is refused.
 */
export const IDENTITY_TTL_MS = 35 * 86_400_000;
/** Rows removed or looked at in one sweep, so that an alarm stays within tens of milliseconds. */
export const SWEEP_ROWS = 1_000;

export const ENTITY_SHARD_MIGRATIONS: readonly ObjectMigration[] = [
  {
    id: "first",
    sql: `
      CREATE TABLE entities (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, virtual_shard INTEGER NOT NULL,
        version INTEGER NOT NULL, ingested_at INTEGER NOT NULL, state BLOB NOT NULL
      );
      CREATE INDEX entities_by_shard ON entities (virtual_shard);
      CREATE TABLE coarsened (
        entity INTEGER NOT NULL, feature_group INTEGER NOT NULL, identity INTEGER NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (entity, feature_group, identity)
      ) WITHOUT ROWID;
      CREATE TABLE events (
        identity TEXT PRIMARY KEY, content TEXT NOT NULL, at INTEGER NOT NULL, settled INTEGER NOT NULL
      ) WITHOUT ROWID;
      CREATE INDEX events_by_time ON events (at);
      CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
      INSERT INTO counters (name, value) VALUES ('version', 0), ('sweep', 0);
    `,
  },
];

/** An event that asks to be counted once. */
export interface EventClaim {
  /** Identity of (source, id). */
  readonly identity: string;
  /** Hash of the content. */
  readonly content: string;
  /** The event is older than identities are kept: it counts only if it is known. */
  readonly old: boolean;
}
export type ClaimOutcome = "new" | "known" | "conflict" | "too-old";

/** Versions of the batch's entities, in its order. 0: there was no state. */
export interface AppliedFacts {
  /** In the order of the batch's facts. */
  readonly outcomes: FactOutcome[];
  readonly before: number[];
  readonly after: number[];
}

export interface EntityStates {
  readonly versions: number[];
  readonly ingestedAt: number[];
  /** Null: the version is the known one, or there is no state (version 0). */
  readonly states: (Uint8Array | null)[];
}

/** Parameters that one statement may bind. */
const MAX_BOUND = 100;

export function isRefused(outcome: ClaimOutcome | undefined): boolean {
  return outcome === "conflict" || outcome === "too-old";
}

export type AttemptAnswer = EntityStates & AppliedFacts;

/**
 * State of the entities of one object. Each call is synchronous and one transaction: state and the identities that make it exact
 * are written together, and an interrupted call leaves neither. Versions grow across the whole object and are never used again, so
 * an equal version means equal state.
 */
export class EntityShardCore {
  readonly #storage: DurableObjectStorage;
  readonly #catalog: Catalog;
  readonly #cache: ShardEntityCache;
  #version: number;
  #lastId: number;

  constructor(storage: DurableObjectStorage, catalog: Catalog) {
    this.#storage = storage;
    this.#catalog = catalog;
    this.#cache = new ShardEntityCache();
    applyMigrations(storage, ENTITY_SHARD_MIGRATIONS);
    this.#version = this.#counter("version");
    this.#lastId = this.#highestId();
  }

  claim(claims: readonly EventClaim[], now: number): ClaimOutcome[] {
    return this.#transaction(() => claims.map((claim) => this.#claimOne(claim, now)));
  }

  /** `claim` and `apply` in one, where one object holds both: facts of events that are refused are dropped. */
  ingest(
    claims: readonly EventClaim[],
    batch: FactBatch,
    now: number,
  ): { claims: ClaimOutcome[]; applied: AppliedFacts } {
    const facts = readFactBatch(batch, this.#catalog);
    return this.#transaction(() => {
      const claimed = claims.map((claim) => this.#claimOne(claim, now));
      return { claims: claimed, applied: this.#applyBatch(batch, facts, (owner) => !isRefused(claimed[owner])) };
    });
  }

  settle(identities: readonly string[]): void {
    this.#transaction(() => {
      for (let from = 0; from < identities.length; from += MAX_BOUND) {
        const part = identities.slice(from, from + MAX_BOUND);
        const list = part.map(() => "?").join(",");
        this.#storage.sql.exec(`UPDATE events SET settled = 1 WHERE settled = 0 AND identity IN (${list})`, ...part);
      }
    });
  }

  settled(identities: readonly string[]): boolean[] {
    return identities.map(
      (identity) =>
        this.#storage.sql.exec("SELECT 1 FROM events WHERE identity = ? AND settled = 1", identity).toArray().length >
        0,
    );
  }

  /** Applies facts, each once by the identity of the fact. */
  apply(batch: FactBatch): AppliedFacts {
    const facts = readFactBatch(batch, this.#catalog);
    return this.#transaction(() => this.#applyBatch(batch, facts, () => true));
  }

  /** States of entities whose version is not the one the caller knows (-1: none). */
  read(names: readonly string[], known: readonly number[]): EntityStates {
    const states: EntityStates = { versions: [], ingestedAt: [], states: [] };
    for (const [index, name] of names.entries()) {
      const entity = this.#entity(name);
      states.versions.push(entity.version);
      states.ingestedAt.push(entity.ingestedAt);
      const isKnown = entity.version === 0 || entity.version === known[index];
      states.states.push(isKnown ? null : encodeEntity(entity.state, this.#catalog.layouts(entityTypeOf(name))));
    }
    return states;
  }

  /** The states before the batch, as `read` answers them, and the batch applied. */
  attempt(batch: FactBatch, known: readonly number[]): AttemptAnswer {
    return { ...this.read(batch.entities, known), ...this.apply(batch) };
  }

  exportPage(cursor: TransferCursor): TransferPage {
    return exportPage(this.#storage.sql, cursor);
  }

  importPage(page: Pick<TransferPage, "entities" | "events">): void {
    this.#transaction(() => {
      const highest = importPage(this.#storage.sql, this.#catalog, page, () => ++this.#version);
      this.#version = Math.max(this.#version, highest);
      this.#setCounter("version", this.#version);
    });
    this.#forget();
  }

  dropElsewhere(place: { readonly index: number; readonly objects: number }): number {
    const dropped = this.#transaction(() => dropElsewhere(this.#storage.sql, place));
    this.#forget();
    return dropped;
  }

  /** After rows were changed behind the memory's back. */
  #forget(): void {
    this.#cache.clear();
    this.#lastId = this.#highestId();
  }

  #highestId(): number {
    return this.#storage.sql.exec<{ id: number | null }>("SELECT MAX(id) AS id FROM entities").one().id ?? 0;
  }

  /** Removes a bounded number of expired identities and entities. Returns whether there may be more to do at once. */
  sweep(now: number): boolean {
    return this.#transaction(() => {
      const events = this.#storage.sql.exec(
        "DELETE FROM events WHERE identity IN (SELECT identity FROM events WHERE at < ? LIMIT ?)",
        now - IDENTITY_TTL_MS,
        SWEEP_ROWS,
      ).rowsWritten;
      return this.#sweepEntities(now) || events >= SWEEP_ROWS;
    });
  }

  /** Looks at the next entities by id; starts over when it reaches the end. Returns whether the end was not reached. */
  #sweepEntities(now: number): boolean {
    const rows = this.#storage.sql
      .exec<{ id: number; name: string }>(
        "SELECT id, name FROM entities WHERE id > ? ORDER BY id LIMIT ?",
        this.#counter("sweep"),
        SWEEP_ROWS,
      )
      .toArray();
    for (const { id, name } of rows) {
      const entity = this.#entity(name);
      const { changed, empty } = expireEntity(entity.state, this.#catalog.layouts(entityTypeOf(name)), now);
      this.#storage.sql.exec("DELETE FROM coarsened WHERE entity = ? AND at < ?", id, now - IDENTITY_TTL_MS);
      if (empty) {
        this.#storage.sql.exec("DELETE FROM entities WHERE id = ?", id);
        this.#storage.sql.exec("DELETE FROM coarsened WHERE entity = ?", id);
        this.#cache.delete(name);
      } else if (changed) {
        // What was dropped is behind every window, so the version stays and copies of it remain valid.
        this.#write(name, entity);
      }
    }
    const reachedEnd = rows.length < SWEEP_ROWS;
    this.#setCounter("sweep", reachedEnd ? 0 : (rows.at(-1)?.id ?? 0));
    return !reachedEnd;
  }

  #claimOne({ identity, content, old }: EventClaim, now: number): ClaimOutcome {
    const { sql } = this.#storage;
    if (!old) {
      const inserted = sql.exec(
        "INSERT INTO events (identity, content, at, settled) VALUES (?, ?, ?, 0) ON CONFLICT (identity) DO NOTHING",
        identity,
        content,
        now,
      );
      if (inserted.rowsWritten > 0) return "new";
    }
    const known = sql.exec<{ content: string }>("SELECT content FROM events WHERE identity = ?", identity).toArray()[0];
    if (!known) return "too-old";
    return known.content === content ? "known" : "conflict";
  }

  #applyBatch(batch: FactBatch, facts: readonly BatchedFact[], isWanted: (owner: number) => boolean): AppliedFacts {
    const entities = batch.entities.map((name) => this.#entity(name));
    const before = entities.map((entity) => entity.version);
    const outcomes = this.#applyFacts(entities, facts, isWanted);
    return { outcomes, before, after: entities.map((entity) => entity.version) };
  }

  #applyFacts(
    entities: readonly ShardEntity[],
    facts: readonly BatchedFact[],
    isWanted: (owner: number) => boolean,
  ): FactOutcome[] {
    const version = this.#version + 1;
    const changed = new Set<number>();
    const outcomes = facts.map(({ entity: index, group, fact, ingestedAt, owner }): FactOutcome => {
      if (!isWanted(owner)) return "dropped";
      const entity = entities[index] as ShardEntity;
      const now = Math.max(entity.ingestedAt, ingestedAt);
      const outcome = addEntityFact(entity.state, group, fact, now, {
        has: (identity) => this.#isCoarsened(entity.id, group.id, identity),
        add: (identity) => this.#keepCoarsened(entity.id, group.id, identity, ingestedAt),
      });
      if (outcome === "applied") {
        changed.add(index);
        entity.ingestedAt = now;
      }
      return outcome;
    });
    if (changed.size === 0) return outcomes;
    this.#version = version;
    this.#setCounter("version", version);
    return this.#writeAll(entities, changed, version, outcomes);
  }

  #writeAll(
    entities: readonly ShardEntity[],
    changed: ReadonlySet<number>,
    version: number,
    outcomes: FactOutcome[],
  ): FactOutcome[] {
    for (const index of changed) {
      const entity = entities[index] as ShardEntity;
      entity.version = version;
      this.#write(entity.name, entity);
    }
    return outcomes;
  }

  #write(name: string, entity: ShardEntity): void {
    const state = encodeEntity(entity.state, this.#catalog.layouts(entityTypeOf(name)));
    if (entity.stored) {
      this.#storage.sql.exec(
        "UPDATE entities SET version = ?, ingested_at = ?, state = ? WHERE id = ?",
        entity.version,
        entity.ingestedAt,
        state,
        entity.id,
      );
    } else {
      this.#storage.sql.exec(
        "INSERT INTO entities (id, name, virtual_shard, version, ingested_at, state) VALUES (?, ?, ?, ?, ?, ?)",
        entity.id,
        name,
        virtualShardOf(name),
        entity.version,
        entity.ingestedAt,
        state,
      );
      entity.stored = true;
    }
    this.#cache.set(name, entity);
  }

  /** From memory or storage; a new one, not stored yet, where there is neither. */
  #entity(name: string): ShardEntity {
    const cached = this.#cache.get(name);
    if (cached) return cached;
    const layouts = this.#catalog.layouts(entityTypeOf(name));
    const row = this.#storage.sql
      .exec<{ id: number; version: number; ingested_at: number; state: ArrayBuffer }>(
        "SELECT id, version, ingested_at, state FROM entities WHERE name = ?",
        name,
      )
      .toArray()[0];
    if (!row) {
      return {
        name,
        id: ++this.#lastId,
        version: 0,
        ingestedAt: 0,
        stored: false,
        state: { groups: layouts.map(() => null), foreign: [] },
      };
    }
    const entity: ShardEntity = {
      name,
      id: row.id,
      version: row.version,
      ingestedAt: row.ingested_at,
      stored: true,
      state: decodeEntity(new Uint8Array(row.state), layouts),
    };
    this.#cache.set(name, entity);
    return entity;
  }

  #isCoarsened(entity: number, group: number, identity: number): boolean {
    const sql = "SELECT 1 FROM coarsened WHERE entity = ? AND feature_group = ? AND identity = ?";
    return this.#storage.sql.exec(sql, entity, group, identity).toArray().length > 0;
  }

  #keepCoarsened(entity: number, group: number, identity: number, at: number): void {
    this.#storage.sql.exec(
      "INSERT OR IGNORE INTO coarsened (entity, feature_group, identity, at) VALUES (?, ?, ?, ?)",
      entity,
      group,
      identity,
      at,
    );
  }

  #counter(name: "version" | "sweep"): number {
    return this.#storage.sql.exec<{ value: number }>("SELECT value FROM counters WHERE name = ?", name).one().value;
  }

  #setCounter(name: "version" | "sweep", value: number): void {
    this.#storage.sql.exec("UPDATE counters SET value = ? WHERE name = ?", value, name);
  }

  /** One transaction; memory is forgotten where it fails, since it may be ahead of storage. */
  #transaction<T>(work: () => T): T {
    try {
      return this.#storage.transactionSync(work);
    } catch (error) {
      this.#cache.clear();
      this.#version = this.#counter("version");
      throw error;
    }
  }
}
