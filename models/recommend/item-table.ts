import { hex, sha256 } from "../contract/sha256.ts";
import { encodeUtf8 } from "../onnx/utf8.ts";
import { packStrings, type PackedStrings, unpackString } from "./packed-strings.ts";
import { PRODUCT_WIDTH } from "./ranking-service.ts";

/**
 * The products that a recommender knows, by item index, in columns. An item is one product of the shop as it was when the training ended; what has
 * changed since is in the live catalogue. Items are numbered by falling popularity; products that nobody has met yet come last.
 */
export interface ItemTable {
  readonly items: number;
  readonly ids: PackedStrings;
  readonly categoryNames: PackedStrings;
  /** `items + 1` offsets into `category`; an item's categories go from the widest to the narrowest. */
  readonly categoryStart: Int32Array;
  readonly category: Int32Array;
  readonly brandNames: PackedStrings;
  /** -1: none. */
  readonly brand: Int32Array;
  /** Minor units; NaN: unknown. */
  readonly price: Float64Array;
  /** Seconds since 1970; NaN: unknown. */
  readonly publishedAt: Float64Array;
  /** 1: on sale; 0: withdrawn. */
  readonly active: Uint8Array;
  /** Pieces; -1: unknown, which counts as available. */
  readonly stock: Int32Array;
  /** Products' own ranking features at the end of the training time, `PRODUCT_WIDTH` of each: what is used until the shards say more. */
  readonly values: Float32Array;
}

/** One product as rows give it. */
export interface ItemRow {
  readonly id: string;
  readonly categories: readonly string[];
  readonly brand: string | null;
  /** Minor units. */
  readonly price: number | null;
  /** Seconds since 1970. */
  readonly publishedAt: number | null;
  readonly active: boolean;
  readonly stock: number | null;
  /** `PRODUCT_WIDTH` of them; see `values` of the table. */
  readonly values: ArrayLike<number>;
}

/** Largest stock that is told apart: 2^31 - 1 pieces. */
const MAX_STOCK = 2_147_483_647;

export function itemTable(rows: readonly ItemRow[]): ItemTable {
  const categoryNames = vocabulary(rows.flatMap((row) => row.categories));
  const brandNames = vocabulary(rows.flatMap((row) => (row.brand === null ? [] : [row.brand])));
  const categoryStart = new Int32Array(rows.length + 1);
  for (const [index, row] of rows.entries()) {
    categoryStart[index + 1] = (categoryStart[index] ?? 0) + row.categories.length;
  }
  return {
    items: rows.length,
    ids: packStrings(rows.map((row) => row.id)),
    categoryNames: packStrings([...categoryNames.keys()].map(printable)),
    categoryStart,
    category: Int32Array.from(rows.flatMap((row) => row.categories.map((name) => categoryNames.get(name) ?? 0))),
    brandNames: packStrings([...brandNames.keys()].map(printable)),
    brand: Int32Array.from(rows, (row) => (row.brand === null ? -1 : (brandNames.get(row.brand) ?? -1))),
    price: Float64Array.from(rows, (row) => row.price ?? Number.NaN),
    publishedAt: Float64Array.from(rows, (row) => row.publishedAt ?? Number.NaN),
    active: Uint8Array.from(rows, (row) => (row.active ? 1 : 0)),
    stock: Int32Array.from(rows, (row) => (row.stock === null ? -1 : Math.min(MAX_STOCK, row.stock))),
    values: Float32Array.from(
      { length: rows.length * PRODUCT_WIDTH },
      (_, at) => rows[Math.floor(at / PRODUCT_WIDTH)]?.values[at % PRODUCT_WIDTH] ?? 0,
    ),
  };
}

export const EMPTY_ITEMS: ItemTable = itemTable([]);

export function itemId(table: ItemTable, index: number): string {
  return unpackString(table.ids, index);
}

/** Names the catalogue that item indices count in: files that belong together carry the same one. */
export function catalogueHash(table: ItemTable): string {
  const { letters, start } = table.ids;
  const bytes = new Uint8Array(letters.byteLength + start.byteLength);
  bytes.set(letters);
  bytes.set(new Uint8Array(start.buffer, start.byteOffset, start.byteLength), letters.byteLength);
  return hex(sha256(bytes));
}

/** Names of categories and brands are any text; packed strings are ASCII. Percent-encoding keeps different names apart. */
export function printable(name: string): string {
  if (/^[ -$&-~]*$/.test(name) && name.length <= 100) return name;
  let text = "";
  for (const byte of encodeUtf8(name)) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x25;
    text += plain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, "0")}`;
  }
  // A long name keeps its beginning and a hash of the whole.
  return text.length <= 100 ? text : `${text.slice(0, 80)}~${hex(sha256(encodeUtf8(name))).slice(0, 16)}`;
}

function vocabulary(names: readonly string[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const name of names) if (!found.has(name)) found.set(name, found.size);
  return found;
}
