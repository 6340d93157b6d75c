/** A shop's log up to a moment, as the trainers take it: by visitor, by visit and by basket, over one numbering of the products. */
import type { TrainingLog } from "../../train/recommenders/training-log.ts";
import { bookBefore, type ProductBook } from "./products-at.ts";
import { isInterest, type ShopLog } from "./shop-log.ts";

/** The catalogue that item indices count in: products by falling number of visitors, those that nobody has met yet last. */
export interface ItemNumbers {
  readonly ids: readonly string[];
  /** Product of the log -> item, -1 for one that was not known by then. */
  readonly ofProduct: Int32Array;
  /** Distinct visitors of each item. */
  readonly knownBy: Int32Array;
}

export interface ShopTraining {
  /** Epoch milliseconds; facts before it are known. */
  readonly until: number;
  readonly items: ItemNumbers;
  readonly book: ProductBook;
  readonly byVisitor: TrainingLog;
  readonly byVisit: TrainingLog;
  readonly byBasket: TrainingLog;
}

export function trainingBefore(log: ShopLog, until: number, gapSeconds: number): ShopTraining {
  const book = bookBefore(log.changes, until);
  const items = numberItems(log, until, book);
  const visitorOf = new Int32Array(log.product.length);
  const visitOf = new Int32Array(log.product.length);
  let visit = -1;
  for (let visitor = 0; visitor < log.visitors; visitor++) {
    const from = log.start[visitor] ?? 0;
    for (let row = from; row < (log.start[visitor + 1] ?? 0); row++) {
      const pause = row === from ? Infinity : (log.at[row] ?? 0) - (log.at[row - 1] ?? 0);
      if (pause > gapSeconds * 1_000) visit++;
      visitorOf[row] = visitor;
      visitOf[row] = visit;
    }
  }
  const rows = Array.from(log.product.keys()).filter((row) => (log.at[row] ?? 0) < until && isInterest(log, row));
  const bought = rows.filter((row) => (log.order[row] ?? -1) >= 0 && (log.returnedAt[row] ?? Infinity) >= until);
  bought.sort((a, b) => (log.order[a] ?? 0) - (log.order[b] ?? 0) || (log.at[a] ?? 0) - (log.at[b] ?? 0) || a - b);
  return {
    until,
    items,
    book,
    byVisitor: grouped(log, rows, { groupOf: visitorOf, items }),
    byVisit: grouped(log, rows, { groupOf: visitOf, items }),
    byBasket: grouped(log, bought, { groupOf: log.order, items }),
  };
}

function numberItems(log: ShopLog, until: number, book: ProductBook): ItemNumbers {
  const visitors = new Int32Array(log.productIds.length);
  const met = new Uint8Array(log.productIds.length);
  const last = new Int32Array(log.productIds.length).fill(-1);
  for (let visitor = 0; visitor < log.visitors; visitor++) {
    for (let row = log.start[visitor] ?? 0; row < (log.start[visitor + 1] ?? 0); row++) {
      const product = log.product[row] ?? 0;
      if ((log.at[row] ?? 0) >= until || !isInterest(log, row)) continue;
      met[product] = 1;
      if (last[product] !== visitor) visitors[product] = (visitors[product] ?? 0) + 1;
      last[product] = visitor;
    }
  }
  const order = Array.from(met.keys())
    .filter((product) => met[product] === 1)
    .sort((a, b) => (visitors[b] ?? 0) - (visitors[a] ?? 0) || a - b);
  const ofProduct = new Int32Array(log.productIds.length).fill(-1);
  for (const [item, product] of order.entries()) ofProduct[product] = item;
  const ids = order.map((product) => log.productIds[product] ?? "");
  const known = new Set(ids);
  const productOf = new Map(log.productIds.map((id, product) => [id, product]));
  for (const id of [...book.ids()].sort()) {
    if (known.has(id) || book.product(id)?.active === null) continue;
    const product = productOf.get(id);
    if (product !== undefined) ofProduct[product] = ids.length;
    ids.push(id);
  }
  const knownBy = Int32Array.from(ids, (_, item) => visitors[order[item] ?? -1] ?? 0);
  return { ids, ofProduct, knownBy };
}

/** @param rows in the order of their groups; events of one group in the order of time */
function grouped(
  log: ShopLog,
  rows: readonly number[],
  { groupOf, items }: { readonly groupOf: Int32Array; readonly items: ItemNumbers },
): TrainingLog {
  const start: number[] = [];
  const sourceUser: number[] = [];
  let lastTime = Number.NaN;
  for (const [event, row] of rows.entries()) {
    const group = groupOf[row] ?? -1;
    if (sourceUser.at(-1) !== group) {
      sourceUser.push(group);
      start.push(event);
    }
    const at = (log.at[row] ?? 0) / 1_000;
    if (!(at <= lastTime)) lastTime = at;
  }
  start.push(rows.length);
  return {
    users: sourceUser.length,
    items: items.ids.length,
    start: Int32Array.from(start),
    item: Int32Array.from(rows, (row) => items.ofProduct[log.product[row] ?? 0] ?? -1),
    time: Float64Array.from(rows, (row) => (log.at[row] ?? 0) / 1_000),
    value: Float32Array.from(rows, (row) => log.quantity[row] ?? 1),
    sourceItem: Int32Array.from(items.ids.keys()),
    sourceUser: Int32Array.from(sourceUser),
    knownBy: items.knownBy,
    lastTime,
  };
}
