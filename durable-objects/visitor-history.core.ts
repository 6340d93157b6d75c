import {
  type AnsweredList,
  type Attributed,
  LIST_OUTCOMES_SQL,
  type ListOutcome,
  ListOutcomesCore,
} from "./list-outcomes.core.ts";
import type { VisitorFact } from "../models/recommend/visitor-history.ts";

/** What is to be stored for one visitor: a customer, or a session without one. */
export interface VisitorChange {
  /** `c:` and a customer's pseudonym, or `s:` and a session's. */
  readonly visitor: string;
  readonly facts: readonly (VisitorFact & { readonly identity: string })[];
  /** Consent to personalisation as of a time; undefined: nothing said. */
  readonly consent?: { readonly granted: boolean; readonly at: number } | undefined;
}

export interface VisitorState {
  /** Oldest first. */
  readonly facts: VisitorFact[];
  /** Null: never asked. */
  readonly consent: boolean | null;
}

/** Facts kept of one visitor, the newest: what recommenders look at, and a little more. */
const MAX_FACTS = 300;
/** Beside them, what was dismissed: it stays hidden, so what was done since does not push it out. */
const MAX_DISMISSED = 300;
const DAY_MS = 86_400_000;
/** A customer's facts are kept as long as the events they come from; a session's while they can matter. */
const RETENTION_DAYS = { c: 400, s: 2 } as const;

export const VISITOR_HISTORY_MIGRATIONS = [
  {
    id: "first",
    sql: `
      CREATE TABLE fact (
        visitor TEXT NOT NULL, identity TEXT NOT NULL, at INTEGER NOT NULL, action TEXT NOT NULL, product TEXT NOT NULL, quantity INTEGER NOT NULL,
        PRIMARY KEY (visitor, identity)
      ) WITHOUT ROWID;
      CREATE INDEX fact_at ON fact (visitor, at);
      CREATE TABLE consent (visitor TEXT PRIMARY KEY, granted INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE swept (day INTEGER PRIMARY KEY);
    `,
  },
  { id: "lists", sql: `DELETE FROM fact WHERE visitor >= 'r:' AND visitor < 'r;'; ${LIST_OUTCOMES_SQL}` },
] as const;

/** Facts of the visitors that hash to one object, by pseudonym, each once by its identity; none of those who do not consent. */
export class VisitorHistoryCore {
  readonly #storage: DurableObjectStorage;
  readonly #lists: ListOutcomesCore;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#lists = new ListOutcomesCore(storage);
  }

  /** One transaction: lists that were answered, and what became of lists. */
  attribute(lists: readonly AnsweredList[], outcomes: readonly ListOutcome[], now: number): Attributed {
    return this.#storage.transactionSync(() => this.#lists.apply(lists, outcomes, now));
  }

  /** One transaction; repeating it changes nothing. */
  apply(changes: readonly VisitorChange[], now: number): void {
    this.#storage.transactionSync(() => {
      for (const change of changes) this.#applyOne(change);
      this.#sweep(now);
    });
  }

  states(visitors: readonly string[]): VisitorState[] {
    return visitors.map((visitor) => {
      const facts = this.#storage.sql
        .exec<{ at: number; action: VisitorFact["action"]; product: string; quantity: number }>(
          "SELECT at, action, product, quantity FROM fact WHERE visitor = ? ORDER BY at DESC, identity DESC LIMIT ?",
          visitor,
          MAX_FACTS + MAX_DISMISSED,
        )
        .toArray()
        .toReversed()
        .map(({ at, action, product, quantity }) => ({ productId: product, action, at, quantity }));
      return { facts, consent: this.#consent(visitor) };
    });
  }

  #applyOne({ visitor, facts, consent }: VisitorChange): void {
    const { sql } = this.#storage;
    if (consent) {
      sql.exec(
        `INSERT INTO consent (visitor, granted, at) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET granted = excluded.granted, at = excluded.at
         WHERE excluded.at > consent.at OR (excluded.at = consent.at AND excluded.granted = 0)`,
        visitor,
        consent.granted ? 1 : 0,
        consent.at,
      );
    }
    if (this.#consent(visitor) === false) {
      sql.exec("DELETE FROM fact WHERE visitor = ?", visitor);
      this.#lists.forget(visitor);
      return;
    }
    let added = false;
    for (const { identity, at, action, productId, quantity } of facts) {
      const { rowsWritten } = sql.exec(
        "INSERT OR IGNORE INTO fact (visitor, identity, at, action, product, quantity) VALUES (?, ?, ?, ?, ?, ?)",
        visitor,
        identity,
        at,
        action,
        productId,
        quantity,
      );
      if (rowsWritten > 0) added = true;
    }
    if (added) this.#trim(visitor);
  }

  #trim(visitor: string): void {
    this.#trimWhere(visitor, "action <> 'dismiss'", MAX_FACTS);
    this.#trimWhere(visitor, "action = 'dismiss'", MAX_DISMISSED);
  }

  #trimWhere(visitor: string, condition: string, most: number): void {
    this.#storage.sql.exec(
      `DELETE FROM fact WHERE visitor = ? AND identity IN (
         SELECT identity FROM fact WHERE visitor = ? AND ${condition} ORDER BY at DESC, identity DESC LIMIT -1 OFFSET ?)`,
      visitor,
      visitor,
      most,
    );
  }

  #consent(visitor: string): boolean | null {
    const row = this.#storage.sql
      .exec<{ granted: number }>("SELECT granted FROM consent WHERE visitor = ?", visitor)
      .toArray()[0];
    return row ? row.granted === 1 : null;
  }

  /** Removes what is kept no longer, for an object that nobody writes to. Returns whether anything is left for another time. */
  sweep(now: number): boolean {
    return this.#storage.transactionSync(() => {
      this.#sweep(now);
      this.#lists.sweep(now);
      const { sql } = this.#storage;
      const tables = ["fact", "list", "tally", "outcome"];
      return tables.some((table) => sql.exec(`SELECT 1 FROM ${table} LIMIT 1`).toArray().length > 0);
    });
  }

  /** Once a day. */
  #sweep(now: number): void {
    const today = Math.floor(now / DAY_MS);
    const { sql } = this.#storage;
    if (sql.exec("SELECT 1 FROM swept WHERE day = ?", today).toArray().length > 0) return;
    sql.exec("DELETE FROM swept");
    sql.exec("INSERT INTO swept (day) VALUES (?)", today);
    for (const [kind, days] of Object.entries(RETENTION_DAYS)) {
      sql.exec(
        "DELETE FROM fact WHERE visitor >= ? AND visitor < ? AND at < ?",
        `${kind}:`,
        `${kind};`,
        now - days * DAY_MS,
      );
    }
  }
}
