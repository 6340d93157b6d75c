import { DecisionRecord } from "../models/contract/decision-record.ts";
import { Order } from "../models/contract/events/orders.ts";
import { applyMigrations, type ObjectMigration } from "./migrations.ts";

/** Orders stay scoreable by id for this long; every decision stays in the R2 log. */
export const ORDER_TTL_MS = 90 * 86_400_000;
/** A decision leaves the object this long after the log has it. */
export const DECISION_TTL_MS = 90 * 86_400_000;
/** Decisions handed to one log object: compressing more of them at once would hold up the decisions that wait meanwhile. */
export const MAX_LOG_BATCH = 250;
/** How long an idempotency key is remembered: a day of retries. */
const IDEMPOTENCY_TTL_MS = 86_400_000;
/** Rows removed per alarm, so that one alarm stays short. */
const MAX_EXPIRED_PER_SWEEP = 5_000;

/** Bodies are appended in order of arrival, whatever their ids: keyed by id they would fill their pages by half. */
export const DECISION_SHARD_MIGRATIONS: readonly ObjectMigration[] = [
  {
    id: "first",
    sql: `
      CREATE TABLE orders (id INTEGER PRIMARY KEY, order_id TEXT NOT NULL UNIQUE, body TEXT NOT NULL, stored_at INTEGER NOT NULL);
      CREATE INDEX orders_by_time ON orders (stored_at);
      CREATE TABLE decisions (
        id INTEGER PRIMARY KEY, decision_id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL, body TEXT NOT NULL,
        decided_at INTEGER NOT NULL, log_key TEXT
      );
      CREATE INDEX decisions_by_order ON decisions (order_id);
      CREATE INDEX decisions_unlogged ON decisions (id) WHERE log_key IS NULL;
      CREATE INDEX decisions_by_time ON decisions (decided_at);
      CREATE TABLE idempotency (
        key TEXT PRIMARY KEY, request_hash TEXT NOT NULL, decision_id TEXT NOT NULL, stored_at INTEGER NOT NULL
      ) WITHOUT ROWID;
      CREATE INDEX idempotency_by_time ON idempotency (stored_at);
    `,
  },
];

export interface IdempotencyClaim {
  readonly key: string;
  readonly requestHash: string;
}

/** A decision as it travels to its shard: text, because a structured copy of its vector would cost more than storing it. */
export interface WrittenDecision {
  readonly decisionId: string;
  readonly orderId: string;
  readonly decidedAt: number;
  /** The record as JSON. */
  readonly body: string;
}

/** State of one decision shard: orders that can be scored by id, and the decisions made for them. */
export class DecisionShardCore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    applyMigrations(storage, DECISION_SHARD_MIGRATIONS);
  }

  /** Keeps orders as they were first seen; the same order again changes nothing. */
  putOrders(orders: readonly Order[], now: number): void {
    this.#storage.transactionSync(() => {
      for (const order of orders) {
        this.#storage.sql.exec(
          "INSERT INTO orders (order_id, body, stored_at) VALUES (?, ?, ?) ON CONFLICT (order_id) DO NOTHING",
          order.orderId,
          JSON.stringify(order),
          now,
        );
      }
    });
  }

  order(orderId: string): Order | null {
    const row = this.#storage.sql
      .exec<{ body: string }>("SELECT body FROM orders WHERE order_id = ?", orderId)
      .toArray()[0];
    return row ? Order.parse(JSON.parse(row.body)) : null;
  }

  /**
   * Stores decisions, each once by its id. Null: it is stored as given; otherwise the record that existed already, which wins.
   * A decision that the use case revises before answering it is replaced only while `provisional` names it.
   */
  putDecisions(records: readonly WrittenDecision[], provisional: readonly string[] = []): (DecisionRecord | null)[] {
    const replaceable = new Set(provisional);
    return this.#storage.transactionSync(() =>
      records.map((record) => {
        const stored = replaceable.has(record.decisionId) ? null : this.#decision(record.decisionId);
        if (stored) return stored;
        this.#storage.sql.exec(
          `INSERT INTO decisions (decision_id, order_id, body, decided_at) VALUES (?, ?, ?, ?)
           ON CONFLICT (decision_id) DO UPDATE SET body = excluded.body WHERE log_key IS NULL`,
          record.decisionId,
          record.orderId,
          record.body,
          record.decidedAt,
        );
        return null;
      }),
    );
  }

  /** Which of these decisions are stored already. */
  storedDecisions(decisionIds: readonly string[]): DecisionRecord[] {
    return decisionIds.flatMap((id) => this.#decision(id) ?? []);
  }

  decisionsOf(orderId: string): DecisionRecord[] {
    return this.#storage.sql
      .exec<{ body: string }>("SELECT body FROM decisions WHERE order_id = ? ORDER BY decided_at LIMIT 100", orderId)
      .toArray()
      .map((row) => DecisionRecord.parse(JSON.parse(row.body)));
  }

  /** The decision that an idempotency key already led to; `conflict` when the key was used for another request. */
  claimed(claim: IdempotencyClaim): DecisionRecord | "conflict" | null {
    const row = this.#storage.sql
      .exec<{ request_hash: string; decision_id: string }>(
        "SELECT request_hash, decision_id FROM idempotency WHERE key = ?",
        claim.key,
      )
      .toArray()[0];
    if (!row) return null;
    if (row.request_hash !== claim.requestHash) return "conflict";
    return this.#decision(row.decision_id);
  }

  claim(claim: IdempotencyClaim, decisionId: string, now: number): void {
    this.#storage.sql.exec(
      "INSERT INTO idempotency (key, request_hash, decision_id, stored_at) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
      claim.key,
      claim.requestHash,
      decisionId,
      now,
    );
  }

  /** Decisions that no log object holds yet, in the order in which they were stored. */
  unlogged(): { id: number; decisionId: string; body: string }[] {
    return this.#storage.sql
      .exec<{ id: number; decision_id: string; body: string }>(
        "SELECT id, decision_id, body FROM decisions WHERE log_key IS NULL ORDER BY id LIMIT ?",
        MAX_LOG_BATCH,
      )
      .toArray()
      .map(({ id, decision_id: decisionId, body }) => ({ id, decisionId, body }));
  }

  /** Marks what `unlogged` returned: everything unlogged up to the last of it. */
  markLogged(lastId: number, logKey: string): void {
    this.#storage.sql.exec("UPDATE decisions SET log_key = ? WHERE log_key IS NULL AND id <= ?", logKey, lastId);
  }

  /** Removes what has outlived its time; returns how many rows went. */
  expire(now: number): number {
    const remove = (sql: string, before: number): number =>
      this.#storage.sql.exec(sql, before, MAX_EXPIRED_PER_SWEEP).rowsWritten;
    return (
      remove(
        "DELETE FROM orders WHERE order_id IN (SELECT order_id FROM orders WHERE stored_at < ? LIMIT ?)",
        now - ORDER_TTL_MS,
      ) +
      remove(
        `DELETE FROM decisions WHERE decision_id IN
         (SELECT decision_id FROM decisions WHERE decided_at < ? AND log_key IS NOT NULL LIMIT ?)`,
        now - DECISION_TTL_MS,
      ) +
      remove(
        "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE stored_at < ? LIMIT ?)",
        now - IDEMPOTENCY_TTL_MS,
      )
    );
  }

  #decision(decisionId: string): DecisionRecord | null {
    const row = this.#storage.sql
      .exec<{ body: string }>("SELECT body FROM decisions WHERE decision_id = ?", decisionId)
      .toArray()[0];
    return row ? DecisionRecord.parse(JSON.parse(row.body)) : null;
  }
}
