import type { CoarsenedFacts } from "../models/features/group-state.ts";

/** Parameters that one statement may bind. */
const MAX_BOUND = 100;
const PER_ROW = 4;
const ROWS_PER_STATEMENT = MAX_BOUND / PER_ROW;

/**
 * Identities of facts that are in tiles, so that a fact that comes again is recognised. What one call adds is written by `flush`, in
 * the call's own transaction.
 */
export class CoarsenedIdentities {
  readonly #sql: SqlStorage;
  readonly #added = new Map<string, number[]>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Those of one group of one entity; `at` is when the fact was ingested, epoch milliseconds. */
  of(entity: number, group: number, at: number): CoarsenedFacts {
    const key = (identity: number): string => `${entity}/${group}/${identity}`;
    return {
      has: (identity) => {
        if (this.#added.has(key(identity))) return true;
        const sql = "SELECT 1 FROM coarsened WHERE entity = ? AND feature_group = ? AND identity = ?";
        return this.#sql.exec(sql, entity, group, identity).toArray().length > 0;
      },
      add: (identity) => {
        this.#added.set(key(identity), [entity, group, identity, at]);
      },
    };
  }

  get hasAdded(): boolean {
    return this.#added.size > 0;
  }

  /** Forgets what was added and not written, after a call that failed. */
  forget(): void {
    this.#added.clear();
  }

  flush(): void {
    const rows = [...this.#added.values()];
    this.#added.clear();
    for (let from = 0; from < rows.length; from += ROWS_PER_STATEMENT) {
      const part = rows.slice(from, from + ROWS_PER_STATEMENT);
      const list = part.map(() => "(?,?,?,?)").join(",");
      this.#sql.exec(
        `INSERT OR IGNORE INTO coarsened (entity, feature_group, identity, at) VALUES ${list}`,
        ...part.flat(),
      );
    }
  }
}
