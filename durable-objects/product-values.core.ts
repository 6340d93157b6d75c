/** Values of products' own ranking features, as of a time, of one service. */
export interface KeptValues {
  /** Hash of the service. */
  readonly service: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly products: readonly string[];
  /** Products × features, one product after the other. */
  readonly numbers: Float32Array;
}

/** A page of values in the order in which they were kept. */
export interface ProductValuesPage {
  readonly products: string[];
  readonly at: Float64Array;
  readonly numbers: Float32Array;
  readonly cursor: number;
  readonly more: boolean;
}

/** Products whose values are due at once: one read of the shards. */
const MAX_DUE = 100;
/** What nobody touches moves with its windows only, which are of days. */
const UNTOUCHED_MS = 3_600_000;
/** Parameters of one statement. */
const MAX_BOUND = 90;
/** Values of the products' own ranking features of one tenant, on their way from the entity shards to the isolates. */
export class ProductValuesCore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /**
   * Of products that something was done with, those whose values are older than `maxAgeMs` or of another service; then those that nobody touched for longer. At most
   * a hundred: what finds no room comes with a later call.
   */
  due(touched: readonly string[], { service, maxAgeMs }: { service: string; maxAgeMs: number }, now: number): string[] {
    const { sql } = this.#storage;
    const due: string[] = [];
    for (let from = 0; from < touched.length; from += MAX_BOUND) {
      const part = touched.slice(from, from + MAX_BOUND);
      const fresh = sql
        .exec<{ product: string }>(
          `SELECT product FROM product_values WHERE product IN (${part.map(() => "?").join(",")}) AND at > ? AND service = ?`,
          ...part,
          now - maxAgeMs,
          service,
        )
        .toArray()
        .map(({ product }) => product);
      due.push(...part.filter((product) => !fresh.includes(product)));
    }
    // A product that is passed over now must be known to be due.
    for (const product of due.slice(MAX_DUE))
      sql.exec("INSERT OR IGNORE INTO product_values (product) VALUES (?)", product);
    if (due.length >= MAX_DUE) return due.slice(0, MAX_DUE);
    const waiting = sql
      .exec<{ product: string }>(
        "SELECT product FROM product_values WHERE at <= ? ORDER BY at LIMIT ?",
        now - UNTOUCHED_MS,
        MAX_DUE,
      )
      .toArray();
    return [...new Set([...due, ...waiting.map(({ product }) => product)])].slice(0, MAX_DUE);
  }

  /** Newer values replace older ones. */
  keepValues({ service, at, products, numbers }: KeptValues): void {
    const width = numbers.length / products.length;
    this.#storage.transactionSync(() => {
      const { sql } = this.#storage;
      let seq = sql.exec<{ seq: number | null }>("SELECT MAX(seq) AS seq FROM product_values").one().seq ?? 0;
      for (const [index, product] of products.entries()) {
        sql.exec(
          `INSERT INTO product_values (product, seq, at, service, numbers) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET seq = excluded.seq, at = excluded.at, service = excluded.service, numbers = excluded.numbers
           WHERE excluded.at >= product_values.at`,
          product,
          ++seq,
          at,
          service,
          numbers.slice(index * width, (index + 1) * width).buffer,
        );
      }
    });
  }

  /** Values of a service kept after a cursor, of `width` numbers each; 0 begins. */
  values(
    after: number,
    { service, width, limit }: { service: string; width: number; limit: number },
  ): ProductValuesPage {
    const rows = this.#storage.sql
      .exec<{ product: string; seq: number; at: number; service: string; numbers: ArrayBuffer | null }>(
        "SELECT product, seq, at, service, numbers FROM product_values WHERE seq > ? ORDER BY seq LIMIT ?",
        after,
        limit,
      )
      .toArray();
    const own = rows.filter((row) => row.service === service && row.numbers?.byteLength === width * 4);
    const numbers = new Float32Array(own.length * width);
    for (const [index, row] of own.entries())
      if (row.numbers) numbers.set(new Float32Array(row.numbers), index * width);
    return {
      products: own.map(({ product }) => product),
      at: Float64Array.from(own, ({ at }) => at),
      numbers,
      cursor: rows.at(-1)?.seq ?? after,
      more: rows.length === limit,
    };
  }
}
