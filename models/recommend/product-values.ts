import type { ItemTable } from "./item-table.ts";
import { nothingKnown, PRODUCT_WIDTH } from "./ranking-service.ts";

/** Values of products' own ranking features. */
export interface ProductValues {
  /** Writes the values of an item, as they are to be used at a time, from `at` on. */
  write(item: number, now: number, out: Float32Array, at: number): void;
}

/** Leaves every product as one of which nothing is known: for lists that no second stage orders. */
export const NO_PRODUCT_VALUES: ProductValues = { write: () => {} };

/** Items of a page: pages that nothing was said about stay those of the table. */
const PAGE = 512;

/** The values that a model's table has, with newer ones from the shards on top. Products that are newer than the model begin without any. */
export class LiveProductValues implements ProductValues {
  readonly #table: Float32Array;
  readonly #pages = new Map<number, Float32Array>();

  constructor({ values }: Pick<ItemTable, "values">) {
    this.#table = values;
  }

  get bytes(): number {
    return this.#pages.size * PAGE * PRODUCT_WIDTH * 4;
  }

  write(item: number, _now: number, out: Float32Array, at: number): void {
    const page = this.#pages.get(Math.floor(item / PAGE));
    const values = page ?? this.#table;
    const from = (page === undefined ? item : item % PAGE) * PRODUCT_WIDTH;
    if (from + PRODUCT_WIDTH > values.length) out.set(nothingKnown("product"), at);
    else for (let place = 0; place < PRODUCT_WIDTH; place++) out[at + place] = values[from + place] ?? Number.NaN;
  }

  /** @param from where the item's values begin in `values` */
  set(item: number, values: ArrayLike<number>, from: number): void {
    const number = Math.floor(item / PAGE);
    const page = this.#pages.get(number) ?? this.#copy(number);
    const to = (item % PAGE) * PRODUCT_WIDTH;
    for (let place = 0; place < PRODUCT_WIDTH; place++) page[to + place] = values[from + place] ?? Number.NaN;
  }

  #copy(number: number): Float32Array {
    const from = number * PAGE * PRODUCT_WIDTH;
    const page = new Float32Array(PAGE * PRODUCT_WIDTH);
    for (let at = 0; at < page.length; at += PRODUCT_WIDTH) page.set(nothingKnown("product"), at);
    page.set(this.#table.subarray(from, from + page.length));
    this.#pages.set(number, page);
    return page;
  }
}
