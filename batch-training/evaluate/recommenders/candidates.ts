import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { parse } from "csv-parse/sync";
import { seededRandom } from "../../../models/stats/random.ts";
import { drawInteger } from "../../../models/stats/random-draws.ts";
import { InteractionError } from "../../sources/interaction-format.ts";
import type { Interactions, Vocabulary } from "../../sources/interactions.ts";

/** Per source user the test item and the items it is ranked against. */
export interface CandidateFile {
  readonly testItem: ReadonlyMap<number, number>;
  readonly negatives: ReadonlyMap<number, readonly number[]>;
}

/** Largest candidates file, decoded. */
const MAX_BYTES = 1024 ** 3;

/**
 * Reads `user,item,negatives`, the last a list of item ids separated by spaces; plain or gzip.
 * @throws InteractionError naming line and remedy
 */
export async function readCandidates(path: string, users: Vocabulary, items: Vocabulary): Promise<CandidateFile> {
  const records = await readRecords(path);
  const testItem = new Map<number, number>();
  const negatives = new Map<number, readonly number[]>();
  for (const [line, record] of records.entries()) {
    const [user = "", item = "", list = ""] = record;
    const index = users.get(user);
    if (line === 0 && index < 0) continue;
    if (item === "" || list === "") {
      throw new InteractionError(`${path}: line ${line + 1} needs user,item,negatives separated by commas`);
    }
    if (index < 0) throw new InteractionError(`${path}: line ${line + 1}: user "${user}" does not occur in the data`);
    if (testItem.has(index)) throw new InteractionError(`${path}: line ${line + 1}: user "${user}" occurs twice`);
    testItem.set(index, items.add(item));
    negatives.set(
      index,
      list.split(" ").map((id) => items.add(id)),
    );
  }
  if (testItem.size === 0) throw new InteractionError(`${path}: no candidates`);
  return { testItem, negatives };
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  Z_BUF_ERROR: "the gzip stream ends too early: the file was cut off",
  Z_DATA_ERROR: "the gzip stream is damaged",
  ERR_BUFFER_TOO_LARGE: `more than ${MAX_BYTES} bytes`,
};

async function readRecords(path: string): Promise<string[][]> {
  try {
    const raw = await readFile(path);
    const bytes = raw[0] === 0x1f && raw[1] === 0x8b ? gunzipSync(raw, { maxOutputLength: MAX_BYTES }) : raw;
    return parse(bytes, { bom: true, skip_empty_lines: true, relax_column_count: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new InteractionError(`${path}: ${REASONS[code ?? ""] ?? message}`);
  }
}

/**
 * As many unseen items for each user as the file gives, drawn with a seed: what settings are chosen on.
 * @param rows rows of `log` that may be known: all training rows, and none that is reported on
 */
export function drawNegatives(
  log: Interactions,
  rows: Int32Array,
  options: { readonly users: Iterable<number>; readonly count: number; readonly seed: number },
): Map<number, readonly number[]> {
  const seen = new Map<number, Set<number>>();
  const known = new Set<number>();
  for (const row of rows) {
    const [user, item] = [log.user[row] ?? -1, log.item[row] ?? -1];
    const own = seen.get(user) ?? new Set<number>();
    own.add(item);
    seen.set(user, own);
    known.add(item);
  }
  const items = [...known];
  const random = seededRandom(options.seed);
  const drawn = new Map<number, readonly number[]>();
  for (const user of options.users) {
    const own = seen.get(user) ?? new Set<number>();
    const chosen = new Set<number>();
    const wanted = Math.min(options.count, items.length - own.size);
    while (chosen.size < wanted) {
      const item = items[drawInteger(random, items.length)] ?? -1;
      if (!own.has(item)) chosen.add(item);
    }
    drawn.set(user, [...chosen]);
  }
  return drawn;
}
