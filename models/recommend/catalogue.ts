import { itemId, type ItemTable, printable } from "./item-table.ts";
import type { LiveProduct } from "./live-product.ts";
import { type PackedLookup, unpackString } from "./packed-strings.ts";
import { LiveProductValues } from "./product-values.ts";
import { PRODUCT_WIDTH } from "./ranking-service.ts";

const ACTIVE = 1;
const IN_STOCK = 2;
/** Products that came after the training, at most: above it the model is long out of date, and the rest waits for the next one. */
const MAX_ADDED = 50_000;

/** Item indices, best first. */
export interface LiveRankings {
  readonly popular: readonly number[];
  readonly trending: readonly number[];
}

/** Values of products' own features: `PRODUCT_WIDTH` numbers of each, as of times in epoch milliseconds. */
export interface ValuesOfProducts {
  readonly products: readonly string[];
  readonly at: Float64Array;
  readonly numbers: Float32Array;
}

/**
 * The products as they are now: the item table of a model with everything the shop has said since on top, and the products that are newer than the
 * model behind its items. Columns, because filters look at a hundred thousand of them for one request.
 */
export class Catalogue {
  readonly #table: ItemTable;
  readonly #lookup: PackedLookup;
  /** The products' own ranking features. */
  readonly values: LiveProductValues;
  readonly #addedIds: string[] = [];
  readonly #addedIndex = new Map<string, number>();
  #flags: Uint8Array;
  #price: Float64Array;
  #publishedAt: Float64Array;
  #brand: Int32Array;
  /** Of items whose categories changed, and of added ones. */
  readonly #categories = new Map<number, Int32Array>();
  readonly #categoryIndex = new Map<string, number>();
  readonly #brandIndex = new Map<string, number>();
  #live: LiveRankings = { popular: [], trending: [] };
  /** Items by their narrowest category, made when first asked for. */
  #shelves: Map<number, number[]> | null = null;
  #available = 0;

  constructor(table: ItemTable, lookup: PackedLookup) {
    this.#table = table;
    this.#lookup = lookup;
    this.values = new LiveProductValues(table);
    this.#flags = new Uint8Array(table.items);
    for (let item = 0; item < table.items; item++) {
      this.#setFlags(item, ((table.active[item] ?? 0) && ACTIVE) | ((table.stock[item] ?? -1) === 0 ? 0 : IN_STOCK));
    }
    this.#price = table.price.slice();
    this.#publishedAt = table.publishedAt.slice();
    this.#brand = table.brand.slice();
    for (let at = 0; at < table.categoryNames.start.length - 1; at++) {
      this.#categoryIndex.set(unpackString(table.categoryNames, at), at);
    }
    for (let at = 0; at < table.brandNames.start.length - 1; at++) {
      this.#brandIndex.set(unpackString(table.brandNames, at), at);
    }
  }

  /** Items of the model. Indices from here on are products that came after it. */
  get modelled(): number {
    return this.#table.items;
  }

  get size(): number {
    return this.#table.items + this.#addedIds.length;
  }

  /** Products that are on sale and in stock. */
  get available(): number {
    return this.#available;
  }

  get bytes(): number {
    const columns = this.#price.byteLength + this.#publishedAt.byteLength + this.#brand.byteLength;
    return this.#flags.byteLength + columns + this.values.bytes + this.#lookup.bytes;
  }

  indexOf(id: string): number {
    const known = this.#lookup.indexOf(id);
    return known >= 0 ? known : (this.#addedIndex.get(id) ?? -1);
  }

  idOf(index: number): string {
    return index < this.#table.items ? itemId(this.#table, index) : (this.#addedIds[index - this.#table.items] ?? "");
  }

  isActive(index: number): boolean {
    return ((this.#flags[index] ?? 0) & ACTIVE) !== 0;
  }

  isAvailable(index: number): boolean {
    return this.#flags[index] === (ACTIVE | IN_STOCK);
  }

  isInStock(index: number): boolean {
    return ((this.#flags[index] ?? 0) & IN_STOCK) !== 0;
  }

  /** Minor units; NaN: unknown. */
  price(index: number): number {
    return this.#price[index] ?? Number.NaN;
  }

  /** Seconds since 1970; NaN: unknown. */
  publishedAt(index: number): number {
    return this.#publishedAt[index] ?? Number.NaN;
  }

  /** -1: none. */
  brand(index: number): number {
    return this.#brand[index] ?? -1;
  }

  /** From the widest to the narrowest. */
  categories(index: number): Int32Array {
    const changed = this.#categories.get(index);
    if (changed) return changed;
    const { categoryStart, category } = this.#table;
    return category.subarray(categoryStart[index] ?? 0, categoryStart[index + 1] ?? 0);
  }

  /** The narrowest category; -1: none. */
  narrowest(index: number): number {
    const changed = this.#categories.get(index);
    if (changed) return changed.at(-1) ?? -1;
    const { categoryStart, category } = this.#table;
    const end = categoryStart[index + 1] ?? 0;
    return end > (categoryStart[index] ?? 0) ? (category[end - 1] ?? -1) : -1;
  }

  categoryCount(index: number): number {
    const changed = this.#categories.get(index);
    if (changed) return changed.length;
    const { categoryStart } = this.#table;
    return (categoryStart[index + 1] ?? 0) - (categoryStart[index] ?? 0);
  }

  /** Whether an item is in a category. */
  isIn(index: number, category: number): boolean {
    const changed = this.#categories.get(index);
    if (changed) return changed.includes(category);
    const table = this.#table;
    const end = table.categoryStart[index + 1] ?? 0;
    for (let at = table.categoryStart[index] ?? 0; at < end; at++) if (table.category[at] === category) return true;
    return false;
  }

  /** -1 for one that no product has. */
  categoryNamed(name: string): number {
    return this.#categoryIndex.get(printable(name)) ?? -1;
  }

  /** Number of products that came after the model; their indices are the last ones. */
  get added(): number {
    return this.#addedIds.length;
  }

  /** Items of a narrowest category, most popular first, newer products last. */
  shelf(category: number): readonly number[] {
    this.#shelves ??= this.#fillShelves();
    return this.#shelves.get(category) ?? [];
  }

  /** Items by the shop's live counters, best first; empty until they are known. */
  get live(): LiveRankings {
    return this.#live;
  }

  /** Takes over the live counters' order of product ids; unknown ones are left out. */
  rank(live: { readonly popular: readonly string[]; readonly trending: readonly string[] }): void {
    const known = (ids: readonly string[]): number[] => ids.map((id) => this.indexOf(id)).filter((index) => index >= 0);
    this.#live = { popular: known(live.popular), trending: known(live.trending) };
  }

  /** Takes over what the shop has said; later calls for the same product replace earlier ones. */
  apply(products: readonly LiveProduct[]): void {
    for (const product of products) {
      const known = this.indexOf(product.id);
      if (known < 0 && (product.active === null || this.#addedIds.length >= MAX_ADDED)) continue;
      this.#applyTo(known < 0 ? this.#add(product.id) : known, product);
    }
  }

  /** Takes over values of products' own features that are as of a time after `since`; unknown products are left out. */
  setValues({ products, at, numbers }: ValuesOfProducts, since: number): void {
    for (const [row, id] of products.entries()) {
      const index = (at[row] ?? 0) > since ? this.indexOf(id) : -1;
      if (index >= 0) this.values.set(index, numbers, row * PRODUCT_WIDTH);
    }
  }

  #applyTo(index: number, product: LiveProduct): void {
    const before = this.#flags[index] ?? 0;
    const active = product.active === null ? before & ACTIVE : product.active ? ACTIVE : 0;
    const inStock = product.stock === null ? before & IN_STOCK : product.stock > 0 ? IN_STOCK : 0;
    this.#setFlags(index, active | inStock);
    if (product.price !== null) this.#price[index] = product.price;
    if (product.publishedAt !== null) this.#publishedAt[index] = product.publishedAt;
    if (product.active !== null) {
      this.#brand[index] = product.brand === null ? -1 : indexIn(this.#brandIndex, printable(product.brand));
    }
    if (product.categories !== null) {
      const names = product.categories.map((name) => indexIn(this.#categoryIndex, printable(name)));
      const next = Int32Array.from(names);
      if (!sameNumbers(next, this.categories(index))) {
        this.#categories.set(index, next);
        this.#shelves = null;
      }
    }
  }

  #setFlags(index: number, flags: number): void {
    const [before, whole] = [this.#flags[index] ?? 0, ACTIVE | IN_STOCK];
    this.#available += (flags === whole ? 1 : 0) - (before === whole ? 1 : 0);
    this.#flags[index] = flags;
  }

  #add(id: string): number {
    const index = this.size;
    this.#addedIds.push(id);
    this.#addedIndex.set(id, index);
    if (index >= this.#flags.length) this.#grow();
    this.#price[index] = Number.NaN;
    this.#publishedAt[index] = Number.NaN;
    this.#brand[index] = -1;
    this.#flags[index] = 0;
    this.#setFlags(index, IN_STOCK);
    this.#categories.set(index, new Int32Array(0));
    this.#shelves = null;
    return index;
  }

  #grow(): void {
    const room = this.#flags.length + Math.max(64, this.#flags.length >> 3);
    const grown = <T extends Uint8Array | Float64Array | Int32Array>(old: T, next: T): T => {
      next.set(old);
      return next;
    };
    this.#flags = grown(this.#flags, new Uint8Array(room));
    this.#price = grown(this.#price, new Float64Array(room));
    this.#publishedAt = grown(this.#publishedAt, new Float64Array(room));
    this.#brand = grown(this.#brand, new Int32Array(room));
  }

  #fillShelves(): Map<number, number[]> {
    const shelves = new Map<number, number[]>();
    for (let index = 0; index < this.size; index++) {
      const category = this.narrowest(index);
      if (category < 0) continue;
      const shelf = shelves.get(category);
      if (shelf) shelf.push(index);
      else shelves.set(category, [index]);
    }
    return shelves;
  }
}

function indexIn(names: Map<string, number>, name: string): number {
  const known = names.get(name);
  if (known !== undefined) return known;
  names.set(name, names.size);
  return names.size - 1;
}

function sameNumbers(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at]);
}
