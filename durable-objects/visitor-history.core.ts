import {
  type AnsweredList,
  type Attributed,
  LIST_OUTCOMES_SQL,
  type ListOutcome,
  ListOutcomesCore,
} from "./list-outcomes.core.ts";
import { type Consent, type ConsentChange, consentOf, type ReturnedOrder } from "../models/recommend/contradictions.ts";
import type { IdentifiedFact, VisitorFact } from "../models/recommend/visitor-history.ts";
import { hashText } from "../models/sharding/virtual-shards.ts";

/** What is to be stored for one visitor: a customer, or a session without one. */
export interface VisitorChange {
  /** `c:` and a customer's pseudonym, or `s:` and a session's. */
  readonly visitor: string;
  readonly facts: readonly (VisitorFact & Pick<IdentifiedFact, "identity" | "rank">)[];
  /** What was said of consent to personalisation. */
  readonly consents?: readonly ConsentChange[] | undefined;
  readonly returned?: readonly Pick<ReturnedOrder, "orderId" | "at">[] | undefined;
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
/** Withdrawals and grants of one customer that are remembered, the newest. */
const MAX_CONSENT_CHANGES = 50;
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
  {
    id: "contradictions",
    sql: `
      ALTER TABLE fact ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE fact ADD COLUMN returned INTEGER;
      CREATE TABLE consent_change (visitor TEXT NOT NULL, at INTEGER NOT NULL, granted INTEGER NOT NULL, PRIMARY KEY (visitor, at)) WITHOUT ROWID;
      INSERT INTO consent_change (visitor, at, granted) SELECT visitor, at, granted FROM consent;
      DROP TABLE consent;
      CREATE TABLE returned (visitor TEXT NOT NULL, order_id TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (visitor, order_id)) WITHOUT ROWID;
    `,
  },
] as const;

type FactRow = {
  at: number;
  action: VisitorFact["action"];
  product: string;
  quantity: number;
  returned: number | null;
  told: string | null;
};

const NEVER_ASKED = consentOf([]);

/** The order of a purchase's identity. */
const orderOf = (identity: string): string => identity.split("\n")[1] ?? "";

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
        .exec<FactRow>(
          `SELECT at, action, product, quantity, returned, CASE action WHEN 'purchase' THEN identity END AS told
           FROM fact WHERE visitor = ? ORDER BY at DESC, identity DESC LIMIT ?`,
          visitor,
          MAX_FACTS + MAX_DISMISSED,
        )
        .toArray()
        .toReversed()
        .map(({ at, action, product, quantity, returned, told }): VisitorFact => ({
          productId: product,
          action,
          at,
          quantity,
          ...(returned !== null && { returnedAt: returned }),
          ...(told !== null && { told: hashText(told) }),
        }));
      return { facts, consent: this.#consent(visitor).granted };
    });
  }

  #applyOne({ visitor, facts, consents = [], returned = [] }: VisitorChange): void {
    const { sql } = this.#storage;
    for (const { at, granted } of consents) {
      sql.exec(
        `INSERT INTO consent_change (visitor, at, granted) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET granted = MIN(granted, excluded.granted)`,
        visitor,
        at,
        granted ? 1 : 0,
      );
    }
    const consent = this.#consent(visitor);
    if (consents.length > 0) this.#forgetBefore(visitor, consent);
    if (consent.granted === false) return;
    for (const { orderId, at } of returned) this.#return(visitor, orderId, at);
    let added = false;
    for (const fact of facts) if (fact.at >= consent.since && this.#add(visitor, fact)) added = true;
    if (added) this.#trim(visitor);
  }

  /** Whether the fact was new, or replaced another telling of it. */
  #add(visitor: string, { identity, rank, at, action, productId, quantity }: VisitorChange["facts"][number]): boolean {
    const { rowsWritten } = this.#storage.sql.exec(
      `INSERT INTO fact (visitor, identity, at, action, product, quantity, rank, returned) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET at = excluded.at, quantity = excluded.quantity, rank = excluded.rank
       WHERE (excluded.rank, excluded.at, excluded.quantity) > (fact.rank, fact.at, fact.quantity)`,
      visitor,
      identity,
      at,
      action,
      productId,
      quantity,
      rank,
      action === "purchase" ? this.#returnOf(visitor, orderOf(identity)) : null,
    );
    return rowsWritten > 0;
  }

  /** An order that came back: what is known of it, and what will be told of it. */
  #return(visitor: string, orderId: string, at: number): void {
    const { sql } = this.#storage;
    sql.exec(
      `INSERT INTO returned (visitor, order_id, at) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET at = MIN(at, excluded.at)`,
      visitor,
      orderId,
      at,
    );
    sql.exec(
      `UPDATE fact SET returned = (SELECT at FROM returned WHERE visitor = ?1 AND order_id = ?2)
       WHERE visitor = ?1 AND identity >= 'order' || char(10) || ?2 || char(10) AND identity < 'order' || char(10) || ?2 || char(11)`,
      visitor,
      orderId,
    );
  }

  #returnOf(visitor: string, orderId: string): number | null {
    const rows = this.#storage.sql.exec<{ at: number }>(
      "SELECT at FROM returned WHERE visitor = ? AND order_id = ?",
      visitor,
      orderId,
    );
    return rows.toArray()[0]?.at ?? null;
  }

  /** After something was said of consent: nothing is kept of who refuses, nor of before the last withdrawal. */
  #forgetBefore(visitor: string, { granted, since }: Consent): void {
    const { sql } = this.#storage;
    sql.exec(
      `DELETE FROM consent_change WHERE visitor = ? AND at IN (
         SELECT at FROM consent_change WHERE visitor = ? ORDER BY at DESC LIMIT -1 OFFSET ${MAX_CONSENT_CHANGES})`,
      visitor,
      visitor,
    );
    if (granted === false) {
      sql.exec("DELETE FROM fact WHERE visitor = ?", visitor);
      sql.exec("DELETE FROM returned WHERE visitor = ?", visitor);
      this.#lists.forget(visitor);
    } else if (since > 0) sql.exec("DELETE FROM fact WHERE visitor = ? AND at < ?", visitor, since);
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

  #consent(visitor: string): Consent {
    const changes = this.#storage.sql
      .exec<{ at: number; granted: number }>("SELECT at, granted FROM consent_change WHERE visitor = ?", visitor)
      .toArray();
    // Nearly everybody: this is asked for every visitor of every batch of events.
    if (changes.length === 0) return NEVER_ASKED;
    return consentOf(changes.map(({ at, granted }) => ({ at, granted: granted === 1 })));
  }

  /** Removes what is kept no longer, for an object that nobody writes to. Returns whether anything is left for another time. */
  sweep(now: number): boolean {
    return this.#storage.transactionSync(() => {
      this.#sweep(now);
      this.#lists.sweep(now);
      const { sql } = this.#storage;
      const tables = ["fact", "returned", "list", "tally", "outcome"];
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
    sql.exec("DELETE FROM returned WHERE at < ?", now - RETENTION_DAYS.c * DAY_MS);
  }
}
