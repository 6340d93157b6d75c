import type { VisitorFact } from "../models/recommend/visitor-history.ts";

/** What is to be stored for one visitor: a customer, or a session without one. */
export interface VisitorChange {
  /** `c:` and a customer's pseudonym, `s:` and a session's, `r:` and a recommendation's id. */
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
const DAY_MS = 86_400_000;
/** A customer's facts are kept as long as the events they come from; a session's, and a recommendation's, while they can matter. */
const RETENTION_DAYS = { c: 400, s: 2, r: 30 } as const;

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
] as const;

/** Facts of the visitors that hash to one object, by pseudonym, each once by its identity; none of those who do not consent. */
export class VisitorHistoryCore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** One transaction. Returns the identities that were new, by visitor in the order given. */
  apply(changes: readonly VisitorChange[], now: number): string[][] {
    return this.#storage.transactionSync(() => {
      const fresh = changes.map((change) => this.#applyOne(change));
      this.#sweep(now);
      return fresh;
    });
  }

  states(visitors: readonly string[]): VisitorState[] {
    return visitors.map((visitor) => {
      const facts = this.#storage.sql
        .exec<{ at: number; action: VisitorFact["action"]; product: string; quantity: number }>(
          "SELECT at, action, product, quantity FROM fact WHERE visitor = ? ORDER BY at DESC, identity DESC LIMIT ?",
          visitor,
          MAX_FACTS,
        )
        .toArray()
        .toReversed()
        .map(({ at, action, product, quantity }) => ({ productId: product, action, at, quantity }));
      return { facts, consent: this.#consent(visitor) };
    });
  }

  #applyOne({ visitor, facts, consent }: VisitorChange): string[] {
    const { sql } = this.#storage;
    if (consent) {
      sql.exec(
        `INSERT INTO consent (visitor, granted, at) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET granted = excluded.granted, at = excluded.at WHERE excluded.at >= consent.at`,
        visitor,
        consent.granted ? 1 : 0,
        consent.at,
      );
    }
    if (this.#consent(visitor) === false) {
      sql.exec("DELETE FROM fact WHERE visitor = ?", visitor);
      return [];
    }
    const fresh: string[] = [];
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
      if (rowsWritten > 0) fresh.push(identity);
    }
    if (fresh.length > 0) this.#trim(visitor);
    return fresh;
  }

  #trim(visitor: string): void {
    const { sql } = this.#storage;
    const oldest = sql
      .exec<{ at: number }>(
        "SELECT at FROM fact WHERE visitor = ? ORDER BY at DESC LIMIT 1 OFFSET ?",
        visitor,
        MAX_FACTS,
      )
      .toArray()[0];
    if (oldest) sql.exec("DELETE FROM fact WHERE visitor = ? AND at <= ?", visitor, oldest.at);
  }

  #consent(visitor: string): boolean | null {
    const row = this.#storage.sql
      .exec<{ granted: number }>("SELECT granted FROM consent WHERE visitor = ?", visitor)
      .toArray()[0];
    return row ? row.granted === 1 : null;
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
