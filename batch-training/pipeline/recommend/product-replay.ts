/** Products' own ranking features as of any moment of the log: the state that serves, fed with what happened before. */
import { VISITOR_ACTIONS } from "../../../models/recommend/policy.ts";
import type { ProductValues } from "../../../models/recommend/product-values.ts";
import { PRODUCT_WIDTH, RankedEntity } from "../../../models/recommend/ranking-service.ts";
import type { ShopLog } from "./shop-log.ts";

/**
 * Values are as of the last full hour, milliseconds: serving has them up to ten minutes old for products that are acted on and up to an hour for others, and questions of one
 * hour share them.
 */
export const REPLAY_MS = 3_600_000;

type Facts = Pick<ShopLog, "productIds" | "product" | "action" | "at">;

/** Rows of the log by product, each product's in the order of time. */
interface ByProduct {
  readonly productOf: ReadonlyMap<string, number>;
  /** One more than products: offsets into `rows`. */
  readonly start: Int32Array;
  readonly rows: Int32Array;
}

/** A log is ordered once, however often it is replayed. */
const known = new WeakMap<Facts, ByProduct>();

function byProduct(log: Facts): ByProduct {
  const before = known.get(log);
  if (before) return before;
  const rows = Int32Array.from(log.product.keys());
  rows.sort((a, b) => (log.product[a] ?? 0) - (log.product[b] ?? 0) || (log.at[a] ?? 0) - (log.at[b] ?? 0) || a - b);
  const start = new Int32Array(log.productIds.length + 1);
  for (const product of log.product) start[product + 1] = (start[product + 1] ?? 0) + 1;
  for (let product = 0; product < log.productIds.length; product++)
    start[product + 1] = (start[product + 1] ?? 0) + (start[product] ?? 0);
  const ordered = { productOf: new Map(log.productIds.map((id, product) => [id, product])), start, rows };
  known.set(log, ordered);
  return ordered;
}

interface Replayed {
  readonly entity: RankedEntity;
  /** Rows before this one are in the state. */
  next: number;
  readonly end: number;
  /** The time of `values`, epoch milliseconds. */
  asOf: number;
  readonly values: Float32Array;
}

/** Products are replayed as they are asked for, with moments that do not go back; a product asked about earlier time begins again. */
export class ProductReplay implements ProductValues {
  readonly #log: Facts;
  readonly #idOf: (item: number) => string;
  readonly #replayed = new Map<number, Replayed>();

  constructor(log: Facts, idOf: (item: number) => string) {
    this.#log = log;
    this.#idOf = idOf;
  }

  write(item: number, now: number, out: Float32Array, at: number): void {
    const asOf = Math.floor(now / REPLAY_MS) * REPLAY_MS;
    let replayed = this.#replayed.get(item);
    if (!replayed || replayed.asOf > asOf) {
      replayed = this.#begin(item);
      this.#replayed.set(item, replayed);
    }
    if (replayed.asOf < asOf) this.#bringTo(replayed, asOf);
    out.set(replayed.values, at);
  }

  #begin(item: number): Replayed {
    const { productOf, start } = byProduct(this.#log);
    const product = productOf.get(this.#idOf(item)) ?? -1;
    return {
      entity: new RankedEntity("product"),
      next: start[product] ?? 0,
      end: product < 0 ? 0 : (start[product + 1] ?? 0),
      asOf: Number.NEGATIVE_INFINITY,
      values: new Float32Array(PRODUCT_WIDTH),
    };
  }

  #bringTo(replayed: Replayed, asOf: number): void {
    const { rows } = byProduct(this.#log);
    for (; replayed.next < replayed.end; replayed.next++) {
      const row = rows[replayed.next] ?? 0;
      const at = this.#log.at[row] ?? 0;
      if (at > asOf) break;
      replayed.entity.add(VISITOR_ACTIONS[this.#log.action[row] ?? 0] ?? "view", at);
    }
    replayed.entity.write(asOf, replayed.values, 0);
    replayed.asOf = asOf;
  }
}
