/**
 * The forms an interaction log comes in, and how to tell them apart from the first line.
 *
 * | format | rows |
 * |---|---|
 * | `delimited` | header line, comma, tab or semicolon; columns found by name |
 * | `ndjson` | one JSON object a line, the same names |
 * | `parquet` | the same names as columns |
 * | `movielens` | no header: user, item, rating, Unix seconds, separated by tabs or `::` |
 * | `adjacency` | no header: `user item item ...`, separated by spaces; no time |
 * | `online-retail` | the columns of UCI Online Retail: refunds, fees and rows without a customer are refused |
 */
export const INTERACTION_FORMATS = [
  "delimited",
  "ndjson",
  "parquet",
  "movielens",
  "adjacency",
  "online-retail",
] as const;
export type InteractionFormat = (typeof INTERACTION_FORMATS)[number];

/** A log that cannot be read as one: the message says what was found and what to do. */
export class InteractionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "InteractionError";
  }
}

export type InteractionColumn = "user" | "item" | "time" | "value";

/** Accepted names in order of preference, compared without case, `_` and `-`. */
const NAMES: Readonly<Record<InteractionColumn, readonly string[]>> = {
  user: ["user", "userid", "customer", "customerid", "session", "sessionid", "visitorid"],
  item: ["item", "itemid", "product", "productid", "sku", "stockcode", "movieid", "articleid"],
  time: ["timestamp", "time", "eventtime", "occurredat", "invoicedate", "date", "ts"],
  value: ["value", "rating", "weight", "quantity", "count"],
};

/** Finds the columns by name. @throws InteractionError naming what is missing */
export function findColumns(header: readonly string[]): Readonly<Record<InteractionColumn, number>> {
  const plain = header.map((name) =>
    name
      .trim()
      .toLowerCase()
      .replaceAll(/[_\-\s]/g, ""),
  );
  const find = (column: InteractionColumn): number =>
    NAMES[column].map((name) => plain.indexOf(name)).find((index) => index >= 0) ?? -1;
  const columns = { user: find("user"), item: find("item"), time: find("time"), value: find("value") };
  for (const column of ["user", "item"] as const) {
    if (columns[column] >= 0) continue;
    const found = header.slice(0, 12).join(", ").slice(0, 200);
    throw new InteractionError(
      `no ${column} column among "${found}": name one ${NAMES[column].slice(0, 3).join(", ")}`,
    );
  }
  return columns;
}

const MOVIELENS = /^\d+(?:\t|::)\d+(?:\t|::)\d+(?:\.\d+)?(?:\t|::)\d+$/;
const ADJACENCY = /^\d+(?: \d+)+ *$/;

/** @param first first line without its end. @throws InteractionError for an empty file */
export function detectFormat(first: string): InteractionFormat {
  const line = first.replace(/^\uFEFF/, "").trim();
  if (line === "") throw new InteractionError("the file is empty");
  if (line.startsWith("PAR1")) return "parquet";
  if (line.startsWith("{")) return "ndjson";
  if (MOVIELENS.test(line)) return "movielens";
  if (ADJACENCY.test(line)) return "adjacency";
  if (/^"?InvoiceNo"?[,;\t]"?StockCode"?/i.test(line)) return "online-retail";
  return "delimited";
}

/** Numbers from each of these on count thousandths, millionths, billionths of a second: as what is above they would lie after the year 5138. */
const UNITS_FROM: readonly (readonly [from: number, perSecond: number])[] = [
  [1e17, 1e9],
  [1e14, 1e6],
  [1e11, 1e3],
];

/**
 * Seconds since 1970: a number of seconds, milliseconds, microseconds or nanoseconds, or ISO 8601 (a space instead of `T` is accepted, a time without a
 * zone is UTC so that results do not depend on where they are computed). NaN when unreadable.
 */
export function parseTime(text: string): number {
  const trimmed = text.trim();
  if (trimmed === "") return Number.NaN;
  const number = Number(trimmed);
  if (Number.isFinite(number)) {
    const unit = UNITS_FROM.find(([from]) => Math.abs(number) > from);
    return number / (unit?.[1] ?? 1);
  }
  const iso = trimmed.replace(" ", "T");
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/i.test(iso) || !iso.includes("T");
  return Date.parse(zoned ? iso : `${iso}Z`) / 1000;
}
