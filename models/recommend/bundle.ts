import * as z from "zod";
import { type DataSection, decodeArrays, encodeArrays, place, ServedFileError } from "./array-file.ts";
import { catalogueHash, type ItemTable } from "./item-table.ts";
import { RecommendPolicy } from "./policy.ts";
import { type PackedStrings, PackedLookup } from "./packed-strings.ts";
import { RANKING_SERVICE } from "./ranking-features.ts";
import { PRODUCT_WIDTH } from "./ranking-service.ts";
import { decodeServed, encodeServed, MAX_ITEMS } from "./served-file.ts";
import { servedBytes, type ServedRecommender } from "./served-recommender.ts";

/**
 * A published recommender: everything that the edge needs, as the files of one model version.
 *
 * | file | holds |
 * |---|---|
 * | `items.bin` | the item table, the lists, neighbours of products, the policy |
 * | `retrieval.bin` | the served recommender |
 * | `ranker.onnx` | the second stage over `RANKING_FEATURES`; may be absent |
 *
 * Each `.bin` names the catalogue that its indices count in, so that files of different versions are told apart.
 */
export interface RecommenderBundle {
  /** Epoch milliseconds: what was ingested about products until then is in the table. */
  readonly asOf: number;
  readonly table: ItemTable;
  readonly retrieval: ServedRecommender;
  /** Products like a product; null: the retrieval's own neighbours are used. */
  readonly similar: NeighbourLists | null;
  /** Products bought in the same basket. */
  readonly together: NeighbourLists;
  /** Items best first: over the training time, of late, and by date of publication. */
  readonly popular: Int32Array;
  readonly trending: Int32Array;
  readonly fresh: Int32Array;
  readonly policy: RecommendPolicy;
  /** ONNX of the second stage: `RANKING_FEATURES` in, one score out. */
  readonly ranker: Uint8Array | null;
}

/** For each item others, best first, with weights above 0 that mean something within a list only. */
export interface NeighbourLists {
  /** `items + 1` offsets. */
  readonly start: Int32Array;
  readonly item: Int32Array;
  /** In 16 bits a share of the list's largest, `WHOLE_WEIGHT`. */
  readonly weight: Uint16Array | Float32Array;
}

export const BUNDLE_FILES = { items: "items.bin", retrieval: "retrieval.bin", ranker: "ranker.onnx" } as const;

const ITEMS_MAGIC = "EWITM002";
const RETRIEVAL_MAGIC = "EWRTV001";
/** Items of a list: a page of a hundred, filtered hard, still finds its fill. */
const MAX_LIST = 2_000;

const packed = z.strictObject({ letters: place("u8"), start: place("i32") });
const lists = z.strictObject({
  start: place("i32"),
  item: place("i32"),
  weight: z.union([place("u16"), place("f32")]),
});
const ItemsHeader = z.strictObject({
  catalogue: z.string().length(64),
  asOf: z.int().min(0),
  /** Hash of the ranking features that the ranker was trained on and the products' values are of. */
  ranking: z.string().length(64),
  ranker: z.boolean(),
  policy: RecommendPolicy,
  table: z.strictObject({
    items: z.int().min(0).max(MAX_ITEMS),
    ids: packed,
    categoryNames: packed,
    categoryStart: place("i32"),
    category: place("i32"),
    brandNames: packed,
    brand: place("i32"),
    price: place("f64"),
    publishedAt: place("f64"),
    active: place("u8"),
    stock: place("i32"),
    values: place("f32"),
  }),
  similar: lists.nullable(),
  together: lists,
  popular: place("i32"),
  trending: place("i32"),
  fresh: place("i32"),
});
type ItemsHeader = z.infer<typeof ItemsHeader>;

const RetrievalHeader = z.strictObject({ catalogue: z.string().length(64), served: place("u8") });

/** The files of a bundle by name. The same bundle gives the same bytes. @throws ServedFileError where the parts do not fit */
export function encodeBundle(bundle: RecommenderBundle): Map<string, Uint8Array> {
  const { asOf, table, retrieval, similar, together, popular, trending, fresh, policy, ranker } = bundle;
  const catalogue = catalogueHash(table);
  const made = { catalogue, asOf, ranking: RANKING_SERVICE.hash, ranker: ranker !== null };
  const items = { ...made, policy, table, similar, together, popular, trending, fresh };
  const files = new Map([
    [BUNDLE_FILES.items as string, encodeArrays(ITEMS_MAGIC, items)],
    [BUNDLE_FILES.retrieval, encodeArrays(RETRIEVAL_MAGIC, { catalogue, served: encodeServed(retrieval) })],
  ]);
  if (ranker !== null) files.set(BUNDLE_FILES.ranker, ranker);
  decodeBundle(files);
  return files;
}

/**
 * Opens the files of a version. Every index, offset and length is checked; arrays are views of the bytes.
 * @throws ServedFileError where a file is missing, cut short, of another format, or of another catalogue
 */
export function decodeBundle(files: ReadonlyMap<string, Uint8Array>): RecommenderBundle {
  const items = decodeArrays(ITEMS_MAGIC, fileOf(files, BUNDLE_FILES.items), ItemsHeader);
  if (items.header.ranking !== RANKING_SERVICE.hash) {
    throw new ServedFileError(`it was trained on ranking features ${items.header.ranking}, not on this build's`);
  }
  const bundle = openItems(items.header, items.data);
  const ranker = files.get(BUNDLE_FILES.ranker) ?? null;
  if ((ranker !== null) !== items.header.ranker) {
    throw new ServedFileError(`${BUNDLE_FILES.ranker} is ${ranker === null ? "missing" : "not part of this version"}`);
  }
  if (items.header.catalogue !== catalogueHash(bundle.table)) {
    throw new ServedFileError(`${BUNDLE_FILES.items}: the ids are not those of the catalogue it names`);
  }
  const { catalogue, served } = decodeRetrieval(fileOf(files, BUNDLE_FILES.retrieval));
  if (catalogue !== items.header.catalogue) {
    throw new ServedFileError(`${BUNDLE_FILES.retrieval} is of another version of the catalogue`);
  }
  if (served.items !== bundle.table.items) {
    throw new ServedFileError(`the retrieval scores ${served.items} items of ${bundle.table.items}`);
  }
  return { ...bundle, retrieval: served, ranker };
}

/** The first stage alone, for who needs nothing else, and the hash of the catalogue it counts in. @throws ServedFileError */
export function decodeRetrieval(file: Uint8Array): { readonly catalogue: string; readonly served: ServedRecommender } {
  const { header, data } = decodeArrays(RETRIEVAL_MAGIC, file, RetrievalHeader);
  return { catalogue: header.catalogue, served: decodeServed(data.bytes(header.served, header.served.length)) };
}

/** Bytes of the arrays: what holding it costs an isolate, the opened ranker not counted. */
export function bundleBytes(bundle: RecommenderBundle): number {
  const { retrieval, ranker, ...rest } = bundle;
  return servedBytes(retrieval) + (ranker?.byteLength ?? 0) + arrayBytes(rest);
}

function arrayBytes(value: unknown): number {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (typeof value !== "object" || value === null) return 0;
  return Object.values(value).reduce((sum: number, member) => sum + arrayBytes(member), 0);
}

function fileOf(files: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const bytes = files.get(name);
  if (!bytes) throw new ServedFileError(`${name} is missing`);
  return bytes;
}

function openItems(header: ItemsHeader, data: DataSection): Omit<RecommenderBundle, "retrieval" | "ranker"> {
  const { items } = header.table;
  const list = (name: "popular" | "trending" | "fresh"): Int32Array => {
    if (header[name].length > MAX_LIST) throw new ServedFileError(`${header[name].length} ${name} items`);
    return data.indices(header[name], header[name].length, items);
  };
  return {
    asOf: header.asOf,
    table: openTable(header.table, data),
    similar: header.similar === null ? null : openLists(header.similar, items, data),
    together: openLists(header.together, items, data),
    popular: list("popular"),
    trending: list("trending"),
    fresh: list("fresh"),
    policy: header.policy,
  };
}

function openTable(table: ItemsHeader["table"], data: DataSection): ItemTable {
  const { items } = table;
  const categoryNames = openStrings(table.categoryNames, data);
  const brandNames = openStrings(table.brandNames, data);
  const brand = data.integers(table.brand, items);
  if (!brand.every((index) => index >= -1 && index < brandNames.start.length - 1)) {
    throw new ServedFileError("a brand is out of range");
  }
  const stock = data.integers(table.stock, items);
  if (!stock.every((pieces) => pieces >= -1)) throw new ServedFileError("a stock is out of range");
  return {
    items,
    ids: openStrings(table.ids, data, items),
    categoryNames,
    categoryStart: data.offsets(table.categoryStart, items, table.category.length),
    category: data.indices(table.category, table.category.length, categoryNames.start.length - 1),
    brandNames,
    brand,
    price: data.doubles(table.price, items),
    publishedAt: data.doubles(table.publishedAt, items),
    active: data.bytes(table.active, items),
    stock,
    values: data.floats(table.values, items * PRODUCT_WIDTH),
  };
}

function openStrings(
  header: z.infer<typeof packed>,
  data: DataSection,
  count = header.start.length - 1,
): PackedStrings {
  const start = data.offsets(header.start, count, header.letters.length);
  return { letters: data.bytes(header.letters, header.letters.length), start };
}

function openLists(header: z.infer<typeof lists>, items: number, data: DataSection): NeighbourLists {
  const entries = header.item.length;
  return {
    start: data.offsets(header.start, items, entries),
    item: data.indices(header.item, entries, items),
    weight: header.weight.type === "u16" ? data.words(header.weight, entries) : data.floats(header.weight, entries),
  };
}

/** The largest weight of a list in 16 bits. */
export const WHOLE_WEIGHT = 65_535;

/** Lists from rows of `[item, weight]`, best first, weights above 0. */
export function neighbourLists(rows: readonly (readonly (readonly [number, number])[])[]): NeighbourLists {
  const start = new Int32Array(rows.length + 1);
  for (const [index, row] of rows.entries()) start[index + 1] = (start[index] ?? 0) + row.length;
  const entries = rows.flat();
  return {
    start,
    item: Int32Array.from(entries, ([item]) => item),
    weight: Uint16Array.from(rows.flatMap(sharesOfLargest)),
  };
}

/** What is above 0 stays above 0. */
function sharesOfLargest(row: readonly (readonly [number, number])[]): number[] {
  const largest = row.reduce((most, [, weight]) => Math.max(most, weight), 0);
  return row.map(([, weight]) => (weight > 0 ? Math.max(1, Math.round((weight / largest) * WHOLE_WEIGHT)) : 0));
}

/** Index of a product's id, -1 for one that the bundle does not know. Opened once: building it reads every id. */
export function openIds(bundle: Pick<RecommenderBundle, "table">): PackedLookup {
  return new PackedLookup(bundle.table.ids);
}
