import type { Frame, FrameColumn } from "../sources/read-frame.ts";

/**
 * Columns that a tree cannot make itself, from what any table has: of each time the hour and the weekday, of each pair of
 * times the seconds between them, and for text that identifies something shared (a device, an address) how many earlier
 * rows had the same. Each looks at its own row and earlier ones only, so nothing of the future enters.
 */
export function deriveColumns(frame: Frame, { drop, countEarlier }: DeriveOptions): FrameColumn[] {
  const columns = frame.columns.filter(({ name }) => !drop.includes(name));
  const times = columns.filter((column) => column.kind === "numeric" && column.isTime).slice(0, MAX_TIMES);
  const derived = times.flatMap(({ name, values }) => [
    numeric(`${name}.hour`, values, (time) => new Date(time).getUTCHours()),
    numeric(`${name}.weekday`, values, (time) => new Date(time).getUTCDay()),
  ]);
  for (const [i, first] of times.entries()) {
    for (const second of times.slice(i + 1)) {
      const name = `${second.name}-${first.name}`;
      derived.push(numeric(name, second.values, (time, row) => (time - (first.values[row] ?? Number.NaN)) / 1000));
    }
  }
  const latest = times.at(-1);
  if (latest === undefined || !countEarlier) return derived;
  for (const column of columns) {
    if (column.kind !== "categorical" || column.vocabulary.length <= IDENTIFIER_VALUES) continue;
    derived.push(earlierRows(`${column.name}.earlier`, column.values, latest.values));
  }
  return derived;
}

export interface DeriveOptions {
  readonly drop: readonly string[];
  /** Not where rows lie in two files: the second would begin to count anew. */
  readonly countEarlier: boolean;
}

/** More values than a feature has bins: an identifier rather than a category. */
const IDENTIFIER_VALUES = 255;
/** Pairs grow with the square. */
const MAX_TIMES = 5;

function numeric(name: string, values: Float64Array, derive: (value: number, row: number) => number): FrameColumn {
  return { name, kind: "numeric", values: values.map(derive), isTime: false };
}

/** For each row, rows with the same value at an earlier time; rows of one time do not see each other. */
function earlierRows(name: string, codes: Float64Array, times: Float64Array): FrameColumn {
  const order = Uint32Array.from(codes, (_, row) => row);
  order.sort((a, b) => (times[a] ?? 0) - (times[b] ?? 0) || a - b);
  const counts = new Map<number, { time: number; before: number; until: number }>();
  const values = new Float64Array(codes.length).fill(Number.NaN);
  for (const row of order) {
    const code = codes[row] ?? Number.NaN;
    const time = times[row] ?? Number.NaN;
    if (Number.isNaN(code) || Number.isNaN(time)) continue;
    const known = counts.get(code) ?? { time, before: 0, until: 0 };
    if (known.time !== time) {
      known.before = known.until;
      known.time = time;
    }
    known.until++;
    counts.set(code, known);
    values[row] = known.before;
  }
  return { name, kind: "numeric", values, isTime: false };
}
