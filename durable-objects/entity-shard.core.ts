import type { Catalog, CompiledGroup } from "../models/features/catalog.ts";
import { addEntityFact, encodeEntity, expireEntity } from "../models/features/entity-state.ts";
import { type BatchedFact, entityTypeOf, type FactBatch, readFactBatch } from "../models/features/fact-batch.ts";
import type { TailFact } from "../models/features/entity-tail.ts";
import type { FactOutcome } from "../models/features/group-state.ts";
import { type DueCopy, PendingCopies } from "./entity-copies.ts";
import { CoarsenedIdentities } from "./coarsened-facts.ts";
import { type ChangedEntity, EntityRows } from "./entity-rows.ts";
import {
  type DropPage,
  dropElsewhere,
  exportPage,
  importPage,
  type TransferCursor,
  type TransferPage,
} from "./entity-transfer.ts";
import { type ClaimOutcome, type EventClaim, EventIdentities, IDENTITY_TTL_MS, isRefused } from "./event-identities.ts";
import { LOADS_SQL, type StagedLoad, StagedLoads } from "./staged-loads.ts";
import type { ShardEntity } from "./shard-entity-cache.ts";
import { applyMigrations, type ObjectMigration } from "./migrations.ts";
import { readNote, writeNote } from "./notes.ts";

/** Rows removed or looked at in one sweep, so that an alarm stays within tens of milliseconds. */
export const SWEEP_ROWS = 1_000;
/** Tails of this many facts are ended by a sweep, whoever writes to the entity: so that one that is read only is read fast. */
const LONG_TAIL = 8;
/** Versions reserved by one write of the counter. Those left when an object restarts are never used. */
const RESERVED_VERSIONS = 1_000;
/**
 * An object that takes over entities starts this far above their versions: while the old layout goes on, the object they come from uses
 * more, and none of these may stand for another state here.
 */
const VERSION_GAP = 2 ** 32;

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
  {
    // Facts applied after the row was written, so that an attempt costs small rows and not whole states.
    id: "tails",
    sql: `
      CREATE TABLE tails (
        entity INTEGER NOT NULL, version INTEGER NOT NULL, facts BLOB NOT NULL, PRIMARY KEY (entity, version)
      ) WITHOUT ROWID;
    `,
  },
  { id: "notes", sql: "CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID" },
  {
    id: "copies",
    sql: `
      CREATE TABLE pending_copies (
        entity INTEGER NOT NULL, feature_group INTEGER NOT NULL, PRIMARY KEY (entity, feature_group)
      ) WITHOUT ROWID;
    `,
  },
  { id: "loads", sql: LOADS_SQL },
];

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
  /** Loads with staged facts of these entities, which were not committed when their coordinators were asked. Absent: none. */
  readonly undecided?: readonly StagedLoad[];
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
  readonly #rows: EntityRows;
  readonly #events: EventIdentities;
  readonly #coarsened: CoarsenedIdentities;
  readonly #copies: PendingCopies;
  /** Loads that become visible as a whole. */
  readonly loads: StagedLoads;
  #version: number;
  /** Highest version that may be used before the counter is written again. */
  #reserved: number;

  constructor(storage: DurableObjectStorage, catalog: Catalog) {
    this.#storage = storage;
    this.#catalog = catalog;
    applyMigrations(storage, ENTITY_SHARD_MIGRATIONS);
    this.#rows = new EntityRows(storage.sql, catalog);
    this.#events = new EventIdentities(storage.sql);
    this.#coarsened = new CoarsenedIdentities(storage.sql);
    this.#copies = new PendingCopies(storage.sql, catalog);
    this.loads = new StagedLoads({
      storage,
      catalog,
      apply: (entities, facts) => this.#applyBatch({ entities }, facts, () => true),
      transaction: (work) => this.#transaction(work),
    });
    this.#version = this.#counter("version");
    this.#reserved = this.#version;
  }

  claim(claims: readonly EventClaim[], now: number): ClaimOutcome[] {
    return this.#transaction(() => this.#events.claim(claims, now));
  }

  /** `claim` and `apply` in one, where one object holds both: facts of events that are refused are dropped. */
  ingest(
    claims: readonly EventClaim[],
    batch: FactBatch,
    now: number,
  ): { claims: ClaimOutcome[]; applied: AppliedFacts } {
    const facts = readFactBatch(batch, this.#catalog);
    return this.#transaction(() => {
      const claimed = this.#events.claim(claims, now);
      return { claims: claimed, applied: this.#applyBatch(batch, facts, (owner) => !isRefused(claimed[owner])) };
    });
  }

  settle(identities: readonly string[]): void {
    this.#transaction(() => this.#events.settle(identities));
  }

  settled(identities: readonly string[]): boolean[] {
    return this.#events.settled(identities);
  }

  /** Applies facts, each once by the identity of the fact. */
  apply(batch: FactBatch): AppliedFacts {
    const facts = readFactBatch(batch, this.#catalog);
    try {
      const { answer, changes } = this.#change(batch, facts, () => true);
      // One statement is atomic by itself; a savepoint around it would cost as much again.
      if (this.#isOneStatement(changes)) this.#rows.store(changes);
      else this.#storage.transactionSync(() => this.#store(changes));
      return answer;
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  /** States of entities whose version is not the one the caller knows (-1: none). */
  read(names: readonly string[], known: readonly number[]): EntityStates {
    const states: EntityStates = { versions: [], ingestedAt: [], states: [] };
    for (const [index, entity] of this.#rows.getAll(names).entries()) {
      const { name } = entity;
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
    return exportPage(this.#storage.sql, this.#catalog, cursor);
  }

  importPage(page: Pick<TransferPage, "entities" | "events">): void {
    this.#transaction(() => {
      const highest = page.entities.reduce((version, entity) => Math.max(version, entity.version), 0);
      if (this.#version < highest + VERSION_GAP / 2) this.#setVersion(highest + VERSION_GAP);
      importPage(this.#storage.sql, this.#catalog, page, () => this.#nextVersion());
    });
    this.#rows.forget();
  }

  dropElsewhere(place: { readonly index: number; readonly objects: number }, cursor: TransferCursor): DropPage {
    const page = this.#transaction(() => dropElsewhere(this.#storage.sql, place, cursor));
    this.#rows.forget();
    return page;
  }

  /** Whether copies wait to be written. */
  get hasPendingCopies(): boolean {
    return this.#copies.any;
  }

  dueCopies(tenant: string): DueCopy[] {
    return this.#transaction(() => this.#copies.due(this.#rows, tenant));
  }

  /** Copies that were written; those that have changed since stay due. */
  copiesWritten(copies: readonly DueCopy[]): void {
    const name = "SELECT name FROM entities WHERE id = ?";
    const versionOf = (id: number): number | null => {
      const row = this.#storage.sql.exec<{ name: string }>(name, id).toArray()[0];
      return row ? this.#rows.get(row.name).version : null;
    };
    this.#transaction(() => this.#copies.written(copies, versionOf));
  }

  note(name: string): string | null {
    return readNote(this.#storage.sql, name);
  }

  setNote(name: string, value: string): void {
    writeNote(this.#storage.sql, name, value);
  }

  /** Removes a bounded number of expired identities and entities. Returns whether there may be more to do at once. */
  sweep(now: number): boolean {
    return this.#transaction(() => {
      const events = this.#events.sweep(now, SWEEP_ROWS);
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
      const entity = this.#rows.get(name);
      const { changed, empty } = expireEntity(entity.state, this.#catalog.layouts(entityTypeOf(name)), now);
      this.#storage.sql.exec("DELETE FROM coarsened WHERE entity = ? AND at < ?", id, now - IDENTITY_TTL_MS);
      if (empty && entity.foreignTail.length === 0) this.#rows.remove(entity);
      // What was dropped is behind every window, so the version stays and copies of it remain valid.
      else if (changed || entity.tail >= LONG_TAIL) this.#rows.write(entity);
    }
    const reachedEnd = rows.length < SWEEP_ROWS;
    this.#setCounter("sweep", reachedEnd ? 0 : (rows.at(-1)?.id ?? 0));
    return !reachedEnd;
  }

  /** Changes states and stores them. Call inside a transaction. */
  #applyBatch(
    batch: Pick<FactBatch, "entities">,
    facts: readonly BatchedFact[],
    isWanted: (owner: number) => boolean,
  ): AppliedFacts {
    const { answer, changes } = this.#change(batch, facts, isWanted);
    this.#store(changes);
    return answer;
  }

  /** Changes states in memory, which is then ahead of storage until the changes are stored. */
  #change(
    batch: Pick<FactBatch, "entities">,
    facts: readonly BatchedFact[],
    isWanted: (owner: number) => boolean,
  ): { answer: AppliedFacts; changes: ChangedEntity[] } {
    const entities = this.#rows.getAll(batch.entities);
    const before = entities.map((entity) => entity.version);
    const applied = new Map<ShardEntity, TailFact<CompiledGroup>[]>();
    const outcomes = facts.map(({ entity: index, group, fact, ingestedAt, owner }): FactOutcome => {
      if (!isWanted(owner)) return "dropped";
      const entity = entities[index] as ShardEntity;
      const now = Math.max(entity.ingestedAt, ingestedAt);
      const coarsened = this.#coarsened.of(entity.id, group.id, ingestedAt);
      const outcome = addEntityFact(entity.state, group, fact, now, coarsened);
      if (outcome !== "applied") return outcome;
      entity.ingestedAt = now;
      const known = applied.get(entity);
      if (known) known.push({ group, fact, ingestedAt });
      else applied.set(entity, [{ group, fact, ingestedAt }]);
      return outcome;
    });
    if (applied.size > 0) this.#version++;
    for (const entity of applied.keys()) entity.version = this.#version;
    const changes = [...applied].map(([entity, tail]) => ({ entity, facts: tail }));
    return { answer: { outcomes, before, after: entities.map((entity) => entity.version) }, changes };
  }

  #store(changes: readonly ChangedEntity[]): void {
    if (this.#version > this.#reserved) this.#setVersion(this.#version);
    this.#rows.store(changes);
    this.#coarsened.flush();
    for (const { entity, facts } of changes)
      for (const { group } of facts) this.#copies.mark(entity.id, group as CompiledGroup);
  }

  #isOneStatement(changes: readonly ChangedEntity[]): boolean {
    return (
      this.#version <= this.#reserved &&
      !this.#coarsened.hasAdded &&
      this.#rows.isOneStatement(changes) &&
      changes.every(({ facts }) => facts.every(({ group }) => (group as CompiledGroup).definition.copies === null))
    );
  }

  #nextVersion(): number {
    if (++this.#version > this.#reserved) this.#setVersion(this.#version);
    return this.#version;
  }

  /** `version` is in use; in this life of the object and in every later one, versions are above it. */
  #setVersion(version: number): void {
    this.#version = version;
    this.#reserved = version + RESERVED_VERSIONS;
    this.#setCounter("version", this.#reserved);
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
      this.#forget();
      throw error;
    }
  }

  #forget(): void {
    this.#rows.forget();
    this.#coarsened.forget();
    this.#copies.forget();
    this.#version = Math.max(this.#version, this.#counter("version"));
    this.#reserved = this.#version;
  }
}
