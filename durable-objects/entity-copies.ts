import { copyKey, encodeCopy } from "../models/features/entity-copy.ts";
import type { Catalog, CompiledGroup } from "../models/features/catalog.ts";
import { entityTypeOf } from "../models/features/fact-batch.ts";
import type { EntityRows } from "./entity-rows.ts";

/** Copies written by one alarm: at most one alarm a second, and an invocation may make a thousand calls. */
export const MAX_COPIES_PER_ALARM = 250;
/** Keys of one bulk read. */
const KEYS_PER_READ = 100;

/** One copy that is to be written. */
export interface DueCopy {
  readonly entity: number;
  readonly group: number;
  readonly version: number;
  readonly key: string;
  readonly text: string;
  readonly ttlSeconds: number;
}

/** What of the KV binding is used. */
export interface CopyStore {
  getWithMetadata(keys: string[]): Promise<Map<string, { readonly metadata: { readonly version?: number } | null }>>;
  put(key: string, text: string, options: { expirationTtl: number; metadata: { version: number } }): Promise<void>;
}

/**
 * Which copies are out of date: changes mark them in the transaction of the change, an alarm writes them. Marks are per entity and group,
 * so a hundred changes between two alarms are one write. Groups that declare no copies cost nothing.
 */
export class PendingCopies {
  readonly #sql: SqlStorage;
  readonly #catalog: Catalog;
  /** Marked in storage already, as far as memory knows. */
  readonly #marked = new Set<string>();
  #any: boolean;

  constructor(sql: SqlStorage, catalog: Catalog) {
    this.#sql = sql;
    this.#catalog = catalog;
    this.#any = sql.exec("SELECT 1 FROM pending_copies LIMIT 1").toArray().length > 0;
  }

  get any(): boolean {
    return this.#any;
  }

  mark(entity: number, group: CompiledGroup): void {
    if (group.definition.copies === null) return;
    const key = `${entity}/${group.id}`;
    if (this.#marked.has(key)) return;
    this.#sql.exec("INSERT OR IGNORE INTO pending_copies (entity, feature_group) VALUES (?, ?)", entity, group.id);
    this.#marked.add(key);
    this.#any = true;
  }

  /** The next copies to write, encoded as the state is now. */
  due(rows: EntityRows, tenant: string): DueCopy[] {
    const marks = this.#sql
      .exec<{ entity: number; feature_group: number; name: string | null }>(
        `SELECT p.entity, p.feature_group, e.name FROM pending_copies p LEFT JOIN entities e ON e.id = p.entity LIMIT ?`,
        MAX_COPIES_PER_ALARM,
      )
      .toArray();
    return marks.flatMap(({ entity: id, feature_group, name }): DueCopy[] => {
      const group = this.#catalog.groupById(feature_group);
      if (name === null || !group || group.definition.copies === null) {
        this.#unmark(id, feature_group);
        return [];
      }
      const entity = rows.get(name);
      const key = copyKey({ tenant, group: group.name, id: name.slice(entityTypeOf(name).length + 1) });
      const { ttlSeconds } = group.definition.copies;
      const text = encodeCopy(entity, group);
      return [{ entity: id, group: group.id, version: entity.version, key, text, ttlSeconds }];
    });
  }

  /** Takes marks away, those excepted whose entity has changed since. */
  written(copies: readonly DueCopy[], versionOf: (entity: number) => number | null): void {
    for (const { entity, group, version } of copies)
      if ((versionOf(entity) ?? version) === version) this.#unmark(entity, group);
    this.#any = this.#sql.exec("SELECT 1 FROM pending_copies LIMIT 1").toArray().length > 0;
  }

  /** After a transaction that failed, or rows that were changed from outside. */
  forget(): void {
    this.#marked.clear();
  }

  #unmark(entity: number, group: number): void {
    this.#sql.exec("DELETE FROM pending_copies WHERE entity = ? AND feature_group = ?", entity, group);
    this.#marked.delete(`${entity}/${group}`);
  }
}

/**
 * Writes copies, those excepted that a newer one has replaced: while entities move to another object, both write for a while. Returns
 * those that are dealt with; the others are tried again by the next alarm.
 */
export async function writeCopies(store: CopyStore, copies: readonly DueCopy[]): Promise<DueCopy[]> {
  const done: DueCopy[] = [];
  for (let from = 0; from < copies.length; from += KEYS_PER_READ) {
    const part = copies.slice(from, from + KEYS_PER_READ);
    const stored = await store.getWithMetadata(part.map(({ key }) => key));
    const outcomes = await Promise.allSettled(
      part.map(async ({ key, text, version, ttlSeconds }) => {
        if ((stored.get(key)?.metadata?.version ?? 0) > version) return;
        await store.put(key, text, { expirationTtl: ttlSeconds, metadata: { version } });
      }),
    );
    done.push(...part.filter((_, index) => outcomes[index]?.status === "fulfilled"));
  }
  return done;
}
