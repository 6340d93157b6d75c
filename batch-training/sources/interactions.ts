import { detectFormat, InteractionError, type InteractionFormat } from "./interaction-format.ts";
import { firstLine, type RawInteraction, readRows } from "./interaction-rows.ts";
import { TableError } from "./table.ts";
import { RowIndex } from "./row-index.ts";

/**
 * The log of who met what, when: `user,item,timestamp[,value]` as CSV, TSV, NDJSON or Parquet, plain or gzip, and the forms
 * that public data sets come in (see `interaction-format.ts`). Ids become dense indices through vocabularies that
 * several files may share. Rows that cannot be used are refused with a reason and counted, never dropped in silence.
 */

/** Distinct ids in order of first appearance. */
export class Vocabulary {
  readonly ids: string[] = [];
  readonly #index = new Map<string, number>();

  /** Index of an id, added when new. */
  add(id: string): number {
    const known = this.#index.get(id);
    if (known !== undefined) return known;
    const index = this.ids.length;
    this.ids.push(id);
    this.#index.set(id, index);
    return index;
  }

  /** Index of an id, or -1. */
  get(id: string): number {
    return this.#index.get(id) ?? -1;
  }
}

/** Columns of equal length, in file order. */
export interface Interactions {
  readonly user: Int32Array;
  readonly item: Int32Array;
  /** Seconds since 1970 (UTC), with fraction; NaN where the source has no time. */
  readonly time: Float64Array;
  /** Rating, quantity or 1. Finite and above 0. */
  readonly value: Float32Array;
}

export interface InteractionReading {
  readonly interactions: Interactions;
  readonly format: InteractionFormat;
  readonly rows: number;
  readonly refused: ReadonlyMap<string, number>;
  /** Rows equal to an earlier one in user, item and time; the later value wins. */
  readonly repeated: number;
  /** Those of `repeated` whose value differed. */
  readonly contradictory: number;
}

/** Rows of one file: indices are 32-bit and three columns must fit in memory. */
export const MAX_INTERACTIONS = 200_000_000;
/** Longest id, in UTF-16 units: an id longer than this is a sign of a wrong column. */
export const MAX_ID_LENGTH = 256;

class Builder {
  readonly #user: number[] = [];
  readonly #item: number[] = [];
  readonly #time: number[] = [];
  readonly #value: number[] = [];
  readonly #refused = new Map<string, number>();
  readonly #seen = new RowIndex();
  #rows = 0;
  #repeated = 0;
  #contradictory = 0;
  readonly #users: Vocabulary;
  readonly #items: Vocabulary;

  constructor(users: Vocabulary, items: Vocabulary) {
    this.#users = users;
    this.#items = items;
  }

  add(row: RawInteraction): void {
    if (++this.#rows > MAX_INTERACTIONS)
      throw new InteractionError(`more than ${MAX_INTERACTIONS} rows in one file: split it`);
    const reason = row.refuse ?? refusal(row);
    if (reason !== null) {
      this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
      return;
    }
    const user = this.#users.add(row.user);
    const item = this.#items.add(row.item);
    const time = row.time ?? Number.NaN;
    const value = row.value ?? 1;
    // NaN (no time) equals itself here, as Object.is has it.
    const earlier = this.#seen.find(
      this.#user.length,
      { user, item, time },
      (row) => this.#user[row] === user && this.#item[row] === item && Object.is(this.#time[row], time),
    );
    if (earlier >= 0) {
      this.#repeated++;
      if (Math.fround(this.#value[earlier] ?? 0) !== Math.fround(value)) this.#contradictory++;
      this.#value[earlier] = value;
      return;
    }
    this.#user.push(user);
    this.#item.push(item);
    this.#time.push(time);
    this.#value.push(value);
  }

  finish(format: InteractionFormat): InteractionReading {
    return {
      interactions: {
        user: Int32Array.from(this.#user),
        item: Int32Array.from(this.#item),
        time: Float64Array.from(this.#time),
        value: Float32Array.from(this.#value),
      },
      format,
      rows: this.#rows,
      refused: this.#refused,
      repeated: this.#repeated,
      contradictory: this.#contradictory,
    };
  }
}

function refusal(row: RawInteraction): string | null {
  if (row.user === "") return "no user";
  if (row.item === "") return "no item";
  if (row.user.length > MAX_ID_LENGTH || row.item.length > MAX_ID_LENGTH) return "id too long";
  if (row.time !== undefined && !Number.isFinite(row.time)) return "unreadable time";
  if (row.value !== undefined && !Number.isFinite(row.value)) return "unreadable value";
  if (row.value !== undefined && row.value <= 0) return "value not above 0";
  return null;
}

export interface ReadOptions {
  readonly format?: InteractionFormat | "auto";
  readonly users?: Vocabulary;
  readonly items?: Vocabulary;
}

/**
 * @throws InteractionError when the file cannot be read or decoded, has no usable column, or no row at all is usable; the text names the
 * file and what to do.
 */
export async function readInteractions(path: string, options: ReadOptions = {}): Promise<InteractionReading> {
  const builder = new Builder(options.users ?? new Vocabulary(), options.items ?? new Vocabulary());
  try {
    const wanted = options.format ?? "auto";
    const format = wanted === "auto" ? detectFormat(await firstLine(path)) : wanted;
    for await (const row of readRows(path, format)) builder.add(row);
    const reading = builder.finish(format);
    if (reading.interactions.user.length === 0) throw new InteractionError(emptyReason(reading));
    return reading;
  } catch (error) {
    if (error instanceof TableError) throw new InteractionError(error.message);
    throw new InteractionError(`${path}: ${explain(error)}`);
  }
}

function emptyReason(reading: InteractionReading): string {
  if (reading.rows === 0) return "no rows";
  const reasons = [...reading.refused].map(([reason, count]) => `${reason} (${count})`).join(", ");
  return `none of its ${reading.rows} rows is usable: ${reasons}. Read as ${reading.format}; name another with --format`;
}

/** System, gzip, CSV and Parquet errors in words that name the remedy. */
function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof InteractionError) return message;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EISDIR") return "it is a folder";
  if (code === "Z_BUF_ERROR") return "the gzip stream is cut short: copy the file again";
  if (code?.startsWith("Z_")) return `broken gzip stream (${message}): copy the file again`;
  return error instanceof Error ? message : String(error);
}
