import type { Catalog } from "../models/features/catalog.ts";
import { decodeTail, encodeTail, type TailFact } from "../models/features/entity-tail.ts";
import { type BatchedFact, entityTypeOf, type FactBatch, readFactBatch } from "../models/features/fact-batch.ts";

/** Staged parts of a load that nobody committed are kept this long: longer than a weekend's outage of the job that sends them. */
export const STAGED_TTL_MS = 7 * 86_400_000;
/** What became of a load is known this long. */
export const LOAD_TTL_MS = 35 * 86_400_000;
/** Staged rows folded into states by one call: some tens of milliseconds. */
export const FOLD_ROWS = 2_000;
/** Parameters that one statement may bind. */
const MAX_BOUND = 100;

export const LOADS_SQL = `
  CREATE TABLE staged (
    load TEXT NOT NULL, part INTEGER NOT NULL, entity TEXT NOT NULL, coordinator TEXT NOT NULL, at INTEGER NOT NULL,
    facts BLOB NOT NULL, PRIMARY KEY (load, part, entity)
  ) WITHOUT ROWID;
  CREATE INDEX staged_by_entity ON staged (entity);
  CREATE TABLE loads (name TEXT PRIMARY KEY, committed_at INTEGER, at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE load_parts (
    load TEXT NOT NULL, part INTEGER NOT NULL, objects TEXT NOT NULL, PRIMARY KEY (load, part)
  ) WITHOUT ROWID;
`;

/** One part of a load, and the object that says whether the load is committed. */
export interface StagedPart {
  readonly load: string;
  readonly part: number;
  readonly coordinator: string;
}

/** A load that an object holds rows of. */
export interface StagedLoad {
  readonly load: string;
  readonly coordinator: string;
  /** When its oldest row came. */
  readonly at: number;
}

export interface LoadState {
  /** Numbers of the parts that are staged, ascending. */
  readonly parts: number[];
  /** Null: it is not committed, and nothing of it is visible. */
  readonly committedAt: number | null;
}

interface Deps {
  readonly storage: DurableObjectStorage;
  readonly catalog: Catalog;
  /** Applies facts to states, inside the caller's transaction. */
  readonly apply: (entities: string[], facts: readonly BatchedFact[]) => void;
  readonly transaction: <T>(work: () => T) => T;
}

/**
 * Loads in two phases. Every object stages the facts of its entities under the load's name, where no read sees them; the load's coordinator,
 * one of the objects, keeps which parts are staged. Committing is one write there: from then on every object folds what it staged into
 * its states, at the latest when an entity concerned is read.
 */
export class StagedLoads {
  readonly #deps: Deps;
  readonly #sql: SqlStorage;
  #any: boolean;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#sql = deps.storage.sql;
    this.#any = this.#findAny();
  }

  /** Whether anything is staged here: reads of objects without loads pay nothing. */
  get any(): boolean {
    return this.#any;
  }

  /** Keeps a part's facts aside. Again changes nothing. */
  stage({ load, part, coordinator }: StagedPart, batch: FactBatch, now: number): void {
    const facts = new Map<string, TailFact[]>();
    for (const { entity, group, fact, ingestedAt } of readFactBatch(batch, this.#deps.catalog)) {
      const name = batch.entities[entity] ?? "";
      facts.set(name, [...(facts.get(name) ?? []), { group, fact, ingestedAt }]);
    }
    this.#deps.transaction(() => {
      for (const [entity, own] of facts)
        this.#sql.exec(
          "INSERT OR REPLACE INTO staged (load, part, entity, coordinator, at, facts) VALUES (?, ?, ?, ?, ?, ?)",
          load,
          part,
          entity,
          coordinator,
          now,
          encodeTail(own),
        );
    });
    this.#any = this.#any || facts.size > 0;
  }

  /** Loads with staged rows, of these entities or of all. */
  held(names: readonly string[] | null): StagedLoad[] {
    const select = "SELECT load, coordinator, MIN(at) AS at FROM staged";
    if (names === null) return this.#sql.exec<Row>(`${select} GROUP BY load, coordinator`).toArray();
    const loads = new Map<string, StagedLoad>();
    for (let from = 0; from < names.length; from += MAX_BOUND) {
      const part = names.slice(from, from + MAX_BOUND);
      const list = part.map(() => "?").join(",");
      const rows = this.#sql.exec<Row>(`${select} WHERE entity IN (${list}) GROUP BY load, coordinator`, ...part);
      for (const row of rows) loads.set(row.load, row);
    }
    return [...loads.values()];
  }

  /** Folds rows of a committed load into states, a bounded number; those of one entity together. Returns whether any are left. */
  fold(load: string, committedAt: number, names: readonly string[] | null): boolean {
    const wanted = names?.slice(0, MAX_BOUND - 2);
    const where = wanted === undefined ? "" : `AND entity IN (${wanted.map(() => "?").join(",")})`;
    const left = this.#deps.transaction(() => {
      const rows = this.#sql
        .exec<{ part: number; entity: string; facts: ArrayBuffer }>(
          `SELECT part, entity, facts FROM staged WHERE load = ? ${where} ORDER BY part, entity LIMIT ?`,
          load,
          ...(wanted ?? []),
          FOLD_ROWS,
        )
        .toArray();
      const entities = [...new Set(rows.map(({ entity }) => entity))];
      const indexes = new Map(entities.map((name, index) => [name, index]));
      const facts = rows.flatMap(({ entity, facts: bytes }) =>
        decodeTail(new Uint8Array(bytes), this.#deps.catalog.layouts(entityTypeOf(entity))).map(({ group, fact }) => ({
          entity: indexes.get(entity) ?? 0,
          group,
          fact,
          ingestedAt: committedAt,
          owner: 0,
        })),
      );
      this.#deps.apply(entities, facts);
      for (const { part, entity } of rows)
        this.#sql.exec("DELETE FROM staged WHERE load = ? AND part = ? AND entity = ?", load, part, entity);
      return rows.length >= FOLD_ROWS;
    });
    this.#any = this.#findAny();
    return (
      left ||
      (names !== null && names.length > MAX_BOUND - 2 && this.fold(load, committedAt, names.slice(MAX_BOUND - 2)))
    );
  }

  /** Forgets a load that was never committed. */
  drop(load: string): void {
    this.#sql.exec("DELETE FROM staged WHERE load = ?", load);
    this.#any = this.#findAny();
  }

  /** At the coordinator: a part is staged, on these objects. */
  partStaged(load: string, part: number, objects: readonly string[], now: number): void {
    this.#deps.transaction(() => {
      this.#sql.exec("INSERT OR IGNORE INTO loads (name, committed_at, at) VALUES (?, NULL, ?)", load, now);
      this.#sql.exec(
        "INSERT OR REPLACE INTO load_parts (load, part, objects) VALUES (?, ?, ?)",
        load,
        part,
        JSON.stringify(objects),
      );
    });
  }

  /** At the coordinator: null where the load is not known. */
  state(load: string): LoadState | null {
    const row = this.#sql
      .exec<{ committed_at: number | null }>("SELECT committed_at FROM loads WHERE name = ?", load)
      .toArray()[0];
    if (!row) return null;
    const parts = this.#sql
      .exec<{ part: number }>("SELECT part FROM load_parts WHERE load = ? ORDER BY part", load)
      .toArray();
    return { parts: parts.map(({ part }) => part), committedAt: row.committed_at };
  }

  /**
   * At the coordinator: the one write that makes a load visible, if all parts are staged. A load that is committed stays as it is. Returns
   * the objects that hold rows of it; null where a part is missing.
   */
  commit(load: string, parts: number, now: number): { committedAt: number; objects: string[] } | null {
    const state = this.state(load);
    if (!state || (state.committedAt === null && !isWhole(state.parts, parts))) return null;
    const committedAt = state.committedAt ?? now;
    this.#sql.exec("UPDATE loads SET committed_at = ? WHERE name = ?", committedAt, load);
    const lists = this.#sql.exec<{ objects: string }>("SELECT DISTINCT objects FROM load_parts WHERE load = ?", load);
    const objects = lists.toArray().flatMap((row) => JSON.parse(row.objects) as string[]);
    return { committedAt, objects: [...new Set(objects)] };
  }

  /** At the coordinator: forgets loads of long ago. */
  sweep(now: number): void {
    const old = now - LOAD_TTL_MS;
    this.#sql.exec("DELETE FROM load_parts WHERE load IN (SELECT name FROM loads WHERE at < ?)", old);
    this.#sql.exec("DELETE FROM loads WHERE at < ?", old);
  }

  #findAny(): boolean {
    return this.#sql.exec("SELECT 1 FROM staged LIMIT 1").toArray().length > 0;
  }
}

interface Row extends StagedLoad, Record<string, SqlStorageValue> {
  load: string;
  coordinator: string;
  at: number;
}

function isWhole(staged: readonly number[], parts: number): boolean {
  return staged.length >= parts && staged.slice(0, parts).every((part, index) => part === index);
}
