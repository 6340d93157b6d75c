import type { Arm } from "../models/contract/recommendation-arms.ts";
import { ATTRIBUTION_MS, OUTCOME_KINDS, type OutcomeKind } from "../models/recommend/outcome.ts";
import { hashText } from "../models/sharding/virtual-shards.ts";

/** A list as it was answered, as far as outcomes need it. */
export interface AnsweredList {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly arm: Arm;
  /** Who counts as a unit of the comparison between arms; null: nobody. */
  readonly visitor: string | null;
  readonly products: readonly string[];
}

/** Something that became of a product, said to be of a list. */
export interface ListOutcome {
  readonly list: string;
  readonly productId: string;
  readonly kind: OutcomeKind;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** An outcome that is counted now, and never again. */
export interface CountedOutcome extends ListOutcome {
  readonly arm: Arm;
}

/** What is added to a sum over the visitors of an arm, see `EXPERIMENT_SUMS`. */
export interface SumChange {
  readonly arm: Arm;
  readonly sum: string;
  readonly value: number;
}

export interface Attributed {
  /** New ones: of those given, and of earlier ones whose list became known. */
  readonly counted: CountedOutcome[];
  /** By outcome given: whether its list is known to have shown the product. */
  readonly shown: boolean[];
  readonly sums: SumChange[];
}

const DAY_MS = 86_400_000;
/** A list outlives the last outcome that can be its own by the time a queue may keep that. */
const LIST_DAYS = ATTRIBUTION_MS / DAY_MS + 4;
/** About 150 bytes each with their index: beyond it the oldest are given up early. */
const MAX_LISTS = 2_000_000;
/** Rows that one call removes at most: more than it adds. */
const SWEPT_AT_ONCE = 500;
/** Outcomes of a list that is not known yet: 100 products of four kinds. */
const MAX_PENDING_OF_LIST = 400;
/** A visitor who comes again after this long counts as another one. */
const TALLY_DAYS = 90;

export const LIST_OUTCOMES_SQL = `
  CREATE TABLE list (id TEXT PRIMARY KEY, at INTEGER NOT NULL, arm TEXT NOT NULL, visitor TEXT, products BLOB NOT NULL) WITHOUT ROWID;
  CREATE INDEX list_at ON list (at);
  CREATE INDEX list_visitor ON list (visitor) WHERE visitor IS NOT NULL;
  CREATE TABLE outcome (
    list TEXT NOT NULL, product TEXT NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, counted INTEGER NOT NULL,
    PRIMARY KEY (list, product, kind)
  ) WITHOUT ROWID;
  CREATE INDEX outcome_pending ON outcome (at) WHERE counted = 0;
  CREATE TABLE tally (
    visitor TEXT NOT NULL, arm TEXT NOT NULL, at INTEGER NOT NULL, shown INTEGER NOT NULL,
    click INTEGER NOT NULL, cart INTEGER NOT NULL, purchase INTEGER NOT NULL, dismiss INTEGER NOT NULL,
    PRIMARY KEY (visitor, arm)
  ) WITHOUT ROWID;
  CREATE INDEX tally_at ON tally (at);
  CREATE TABLE kept (lists INTEGER NOT NULL);
  INSERT INTO kept (lists) VALUES (0);
`;

type ListRow = { arm: Arm; visitor: string | null; products: ArrayBuffer };
type Tally = { shown: number } & Record<OutcomeKind, number>;

/**
 * Which outcomes are those of lists: of a product that the list showed, each product of a list once for each kind. An outcome that comes before its
 * list waits for it, so that the order of arrival does not matter while lists are kept. Call inside a transaction.
 */
export class ListOutcomesCore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Repeating it changes nothing and counts nothing. */
  apply(lists: readonly AnsweredList[], outcomes: readonly ListOutcome[], now: number): Attributed {
    const counted: CountedOutcome[] = [];
    const sums = new Sums();
    for (const list of lists) this.#addList(list, counted, sums);
    const shown = outcomes.map((outcome) => this.#addOutcome(outcome, counted, sums));
    if (lists.length > 0) this.sweep(now);
    return { counted, shown, sums: sums.changes() };
  }

  /** A visitor who withdraws consent: lists and sums stay, and say no longer whose they are. */
  forget(visitor: string): void {
    const { sql } = this.#storage;
    sql.exec("DELETE FROM tally WHERE visitor = ?", visitor);
    sql.exec("UPDATE list SET visitor = NULL WHERE visitor = ?", visitor);
  }

  #addList({ id, at, arm, visitor, products }: AnsweredList, counted: CountedOutcome[], sums: Sums): void {
    const { sql } = this.#storage;
    const hashes = Uint32Array.from(products, hashText);
    const { rowsWritten } = sql.exec(
      "INSERT OR IGNORE INTO list (id, at, arm, visitor, products) VALUES (?, ?, ?, ?, ?)",
      id,
      at,
      arm,
      visitor,
      hashes.buffer,
    );
    if (rowsWritten === 0) return;
    sql.exec("UPDATE kept SET lists = lists + 1");
    if (visitor !== null) this.#addShown(visitor, { arm, at, shown: products.length }, sums);
    const pending = sql
      .exec<{ product: string; kind: OutcomeKind; at: number }>(
        "SELECT product, kind, at FROM outcome WHERE list = ? AND counted = 0",
        id,
      )
      .toArray();
    for (const { product, kind, at: outcomeAt } of pending) {
      if (!hashes.includes(hashText(product))) continue;
      sql.exec("UPDATE outcome SET counted = 1 WHERE list = ? AND product = ? AND kind = ?", id, product, kind);
      counted.push({ list: id, arm, productId: product, kind, at: outcomeAt });
      this.#addTo(visitor, arm, kind, sums);
    }
    if (pending.length > 0) sql.exec("DELETE FROM outcome WHERE list = ? AND counted = 0", id);
  }

  #addOutcome(outcome: ListOutcome, counted: CountedOutcome[], sums: Sums): boolean {
    const { sql } = this.#storage;
    const { list: id, productId, kind, at } = outcome;
    const list = sql.exec<ListRow>("SELECT arm, visitor, products FROM list WHERE id = ?", id).toArray()[0];
    if (list && !new Uint32Array(list.products).includes(hashText(productId))) return false;
    if (!list) {
      const { waiting } = sql
        .exec<{ waiting: number }>("SELECT COUNT(*) AS waiting FROM outcome WHERE list = ?", id)
        .one();
      if (waiting >= MAX_PENDING_OF_LIST) return false;
    }
    const { rowsWritten } = sql.exec(
      "INSERT OR IGNORE INTO outcome (list, product, kind, at, counted) VALUES (?, ?, ?, ?, ?)",
      id,
      productId,
      kind,
      at,
      list ? 1 : 0,
    );
    if (!list) return false;
    if (rowsWritten > 0) {
      counted.push({ ...outcome, arm: list.arm });
      this.#addTo(list.visitor, list.arm, kind, sums);
    }
    return true;
  }

  #addShown(visitor: string, list: { arm: Arm; at: number; shown: number }, sums: Sums): void {
    const { arm, at, shown } = list;
    const tally = this.#tally(visitor, arm);
    this.#storage.sql.exec(
      `INSERT INTO tally (visitor, arm, at, shown, click, cart, purchase, dismiss) VALUES (?, ?, ?, ?, 0, 0, 0, 0)
       ON CONFLICT DO UPDATE SET shown = shown + excluded.shown, at = MAX(at, excluded.at)`,
      visitor,
      arm,
      at,
      shown,
    );
    if (!tally) sums.add(arm, "visitors", 1);
    const before = tally?.shown ?? 0;
    sums.add(arm, "shown", shown);
    sums.add(arm, "shown*shown", (before + shown) ** 2 - before ** 2);
    for (const kind of OUTCOME_KINDS) sums.add(arm, `${kind}*shown`, shown * (tally?.[kind] ?? 0));
  }

  #addTo(visitor: string | null, arm: Arm, kind: OutcomeKind, sums: Sums): void {
    const tally = visitor === null ? undefined : this.#tally(visitor, arm);
    if (!tally) return;
    this.#storage.sql.exec(`UPDATE tally SET ${kind} = ${kind} + 1 WHERE visitor = ? AND arm = ?`, visitor, arm);
    sums.add(arm, kind, 1);
    sums.add(arm, `${kind}*${kind}`, 2 * tally[kind] + 1);
    sums.add(arm, `${kind}*shown`, tally.shown);
  }

  #tally(visitor: string, arm: Arm): Tally | undefined {
    return this.#storage.sql
      .exec<Tally>(
        "SELECT shown, click, cart, purchase, dismiss FROM tally WHERE visitor = ? AND arm = ?",
        visitor,
        arm,
      )
      .toArray()[0];
  }

  /** A few of the oldest rows, with every call that adds some. */
  sweep(now: number): void {
    const { sql } = this.#storage;
    const { lists } = sql.exec<{ lists: number }>("SELECT lists FROM kept").one();
    const old = now - LIST_DAYS * DAY_MS;
    const gone = sql
      .exec<{ id: string }>(
        `DELETE FROM list WHERE id IN (SELECT id FROM list ${lists > MAX_LISTS ? "" : "WHERE at < ?1"} ORDER BY at LIMIT ${SWEPT_AT_ONCE}) RETURNING id`,
        ...(lists > MAX_LISTS ? [] : [old]),
      )
      .toArray();
    for (const { id } of gone) sql.exec("DELETE FROM outcome WHERE list = ?", id);
    if (gone.length > 0) sql.exec("UPDATE kept SET lists = lists - ?", gone.length);
    sql.exec(
      `DELETE FROM outcome WHERE (list, product, kind) IN (
         SELECT list, product, kind FROM outcome WHERE counted = 0 AND at < ? LIMIT ${SWEPT_AT_ONCE})`,
      old,
    );
    sql.exec(
      `DELETE FROM tally WHERE (visitor, arm) IN (SELECT visitor, arm FROM tally WHERE at < ? LIMIT ${SWEPT_AT_ONCE})`,
      now - TALLY_DAYS * DAY_MS,
    );
  }
}

/** Changes of sums, added up. */
class Sums {
  readonly #changes = new Map<string, SumChange>();

  add(arm: Arm, sum: string, value: number): void {
    if (value === 0) return;
    const key = `${arm}/${sum}`;
    this.#changes.set(key, { arm, sum, value: value + (this.#changes.get(key)?.value ?? 0) });
  }

  changes(): SumChange[] {
    return [...this.#changes.values()];
  }
}
