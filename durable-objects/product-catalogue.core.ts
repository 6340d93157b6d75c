import type { LiveProduct, ProductChange } from "../models/recommend/live-product.ts";

/** A view, cart or purchase of a product, counted once by its identity. */
export interface CountedFact {
  readonly productId: string;
  readonly identity: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly weight: number;
}

/** A page of changes in the order in which they became known. */
export interface ProductChanges {
  readonly products: LiveProduct[];
  /** Where the next page starts. */
  readonly cursor: number;
  readonly more: boolean;
}

export interface ProductRankings {
  readonly popular: string[];
  readonly trending: string[];
}

const DAY_MS = 86_400_000;
/** Days that popularity looks back, and that counts are kept. */
const POPULAR_DAYS = 30;
/** Longer than the queue's retention of 4 days and a replay of 3: an event that is delivered again is recognised. */
const IDENTITY_DAYS = 8;
/** Products of each ranking: by the counts of those days, and by counts that are worth half as much with every day. */
const RANKED = 200;

export const PRODUCT_CATALOGUE_MIGRATIONS = [
  {
    id: "first",
    sql: `
      CREATE TABLE product (
        id TEXT PRIMARY KEY, seq INTEGER NOT NULL, ingested INTEGER NOT NULL,
        said_at INTEGER NOT NULL DEFAULT 0, active INTEGER, categories TEXT, brand TEXT, published REAL,
        price_at INTEGER NOT NULL DEFAULT 0, price INTEGER
      ) WITHOUT ROWID;
      CREATE INDEX product_seq ON product (seq);
      CREATE INDEX product_ingested ON product (ingested);
      CREATE TABLE stock (
        product TEXT NOT NULL, location TEXT NOT NULL, at INTEGER NOT NULL, available INTEGER NOT NULL,
        PRIMARY KEY (product, location)
      ) WITHOUT ROWID;
      CREATE TABLE interest (product TEXT NOT NULL, day INTEGER NOT NULL, total REAL NOT NULL, PRIMARY KEY (product, day)) WITHOUT ROWID;
      CREATE TABLE counted (identity TEXT PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE swept (day INTEGER PRIMARY KEY);
    `,
  },
  {
    id: "values",
    sql: `
      CREATE TABLE product_values (
        product TEXT PRIMARY KEY, seq INTEGER NOT NULL DEFAULT 0, at INTEGER NOT NULL DEFAULT 0, service TEXT NOT NULL DEFAULT '', numbers BLOB
      ) WITHOUT ROWID;
      CREATE INDEX product_values_seq ON product_values (seq);
      CREATE INDEX product_values_at ON product_values (at);
    `,
  },
] as const;

/** State of the products of one tenant, as events tell it. Newer facts win by event time, whatever the order of arrival. */
export class ProductCatalogueCore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Everything in one transaction; repeating it changes nothing. */
  apply(changes: readonly ProductChange[], counted: readonly CountedFact[], now: number): void {
    this.#storage.transactionSync(() => {
      const { sql } = this.#storage;
      let seq = sql.exec<{ seq: number | null }>("SELECT MAX(seq) AS seq FROM product").one().seq ?? 0;
      for (const change of changes) if (this.#applyChange(change)) this.#touch(change.id, ++seq, now);
      for (const fact of counted) this.#count(fact);
      this.#sweep(now);
    });
  }

  /** Changes after a cursor; the cursor of `since` comes first. */
  changes(after: number, limit: number): ProductChanges {
    const rows = this.#storage.sql
      .exec<ProductRow>(
        `SELECT p.id, p.seq, p.active, p.categories, p.brand, p.published, p.price,
           (SELECT SUM(s.available) FROM stock s WHERE s.product = p.id) AS stock
         FROM product p WHERE p.seq > ? ORDER BY p.seq LIMIT ?`,
        after,
        limit,
      )
      .toArray();
    const products = rows.map(liveProduct);
    return { products, cursor: rows.at(-1)?.seq ?? after, more: rows.length === limit };
  }

  /** The cursor after which lies everything ingested at or after a time. */
  since(ingestedAt: number): number {
    const first = this.#storage.sql
      .exec<{ seq: number | null }>("SELECT MIN(seq) AS seq FROM product WHERE ingested >= ?", ingestedAt)
      .one().seq;
    if (first !== null) return first - 1;
    return this.#storage.sql.exec<{ seq: number | null }>("SELECT MAX(seq) AS seq FROM product").one().seq ?? 0;
  }

  /** Added up and sorted where the counts are: a month of a hundred thousand products is more than an isolate should hold. */
  rankings(now: number): ProductRankings {
    const today = Math.floor(now / DAY_MS);
    const best = (worth: string): string[] =>
      this.#storage.sql
        .exec<{ product: string }>(
          `SELECT product, SUM(${worth}) AS worth FROM interest WHERE day > ?1 - ${POPULAR_DAYS}
           GROUP BY product ORDER BY worth DESC, product LIMIT ${RANKED}`,
          today,
        )
        .toArray()
        .map(({ product }) => product);
    return { popular: best("total"), trending: best("total / (1 << MAX(0, ?1 - day))") };
  }

  /** Whether the change said something newer. */
  #applyChange(change: ProductChange): boolean {
    const { sql } = this.#storage;
    if (change.kind === "stock") {
      const { rowsWritten } = sql.exec(
        `INSERT INTO stock (product, location, at, available) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET at = excluded.at, available = excluded.available
         WHERE excluded.at >= stock.at AND (excluded.at > stock.at OR excluded.available <> stock.available)`,
        change.id,
        change.location,
        change.at,
        change.available,
      );
      if (rowsWritten > 0) sql.exec("INSERT OR IGNORE INTO product (id, seq, ingested) VALUES (?, 0, 0)", change.id);
      return rowsWritten > 0;
    }
    sql.exec("INSERT OR IGNORE INTO product (id, seq, ingested) VALUES (?, 0, 0)", change.id);
    let written = 0;
    if (change.kind === "product") {
      written += sql.exec(
        `UPDATE product SET said_at = ?, active = ?, categories = ?, brand = ?, published = ? WHERE id = ? AND said_at <= ?`,
        change.at,
        change.active ? 1 : 0,
        JSON.stringify(change.categories),
        change.brand,
        change.publishedAt,
        change.id,
        change.at,
      ).rowsWritten;
    }
    if (change.price !== null) {
      written += sql.exec(
        "UPDATE product SET price_at = ?, price = ? WHERE id = ? AND price_at <= ?",
        change.at,
        change.price,
        change.id,
        change.at,
      ).rowsWritten;
    }
    return written > 0;
  }

  #touch(id: string, seq: number, now: number): void {
    this.#storage.sql.exec("UPDATE product SET seq = ?, ingested = ? WHERE id = ?", seq, now, id);
  }

  #count({ productId, identity, at, weight }: CountedFact): void {
    const day = Math.floor(at / DAY_MS);
    const { sql } = this.#storage;
    const fresh = sql.exec("INSERT OR IGNORE INTO counted (identity, day) VALUES (?, ?)", identity, day).rowsWritten;
    if (fresh === 0) return;
    sql.exec(
      "INSERT INTO interest (product, day, total) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET total = total + excluded.total",
      productId,
      day,
      weight,
    );
  }

  /** Once a day: what no ranking looks at any more. */
  #sweep(now: number): void {
    const today = Math.floor(now / DAY_MS);
    const { sql } = this.#storage;
    if (sql.exec("SELECT 1 FROM swept WHERE day = ?", today).toArray().length > 0) return;
    sql.exec("DELETE FROM swept");
    sql.exec("INSERT INTO swept (day) VALUES (?)", today);
    sql.exec("DELETE FROM interest WHERE day <= ?", today - POPULAR_DAYS);
    sql.exec("DELETE FROM counted WHERE day < ?", today - IDENTITY_DAYS);
    // Ids that somebody made up, and those of products that were never announced, are forgotten with their counts.
    sql.exec(
      `DELETE FROM product_values WHERE NOT EXISTS (SELECT 1 FROM product p WHERE p.id = product_values.product)
         AND NOT EXISTS (SELECT 1 FROM interest i WHERE i.product = product_values.product)`,
    );
  }
}

type ProductRow = {
  id: string;
  seq: number;
  active: number | null;
  categories: string | null;
  brand: string | null;
  published: number | null;
  price: number | null;
  stock: number | null;
};

function liveProduct(row: ProductRow): LiveProduct {
  return {
    id: row.id,
    active: row.active === null ? null : row.active === 1,
    categories: row.categories === null ? null : (JSON.parse(row.categories) as string[]),
    brand: row.brand,
    price: row.price,
    stock: row.stock,
    publishedAt: row.published,
  };
}
