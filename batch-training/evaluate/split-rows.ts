import { seededRandom } from "../../models/stats/random.ts";
import { type Frame, columnNamed } from "../sources/read-frame.ts";

/** How rows are divided into what is learned from and what is reported. */
export type SplitPlan =
  | { readonly kind: "by-time"; readonly column: string; readonly trainShare: number }
  | { readonly kind: "folds"; readonly folds: number; readonly seed: number }
  | { readonly kind: "given"; readonly file: string };

export interface RowSplit {
  readonly name: string;
  /** Row numbers; for `by-time` in order of time. */
  readonly train: Uint32Array;
  readonly test: Uint32Array;
}

export class SplitError extends Error {
  override readonly name = "SplitError";
}

/** @throws SplitError that shows the accepted forms */
export function parseSplit(text: string): SplitPlan {
  const [kind, ...rest] = text.split(":");
  if (kind === "by-time" && rest.length >= 2) {
    const share = Number(rest.at(-1));
    if (share > 0 && share < 1) return { kind, column: rest.slice(0, -1).join(":"), trainShare: share };
  }
  if (kind === "folds" && rest.length === 2) {
    const [folds, seed] = rest.map(Number);
    if (Number.isInteger(folds) && Number.isInteger(seed) && (folds ?? 0) >= 2 && (folds ?? 0) <= 100) {
      return { kind, folds: folds ?? 2, seed: seed ?? 0 };
    }
  }
  if (kind === "given" && rest.length > 0 && rest.join(":") !== "") return { kind, file: rest.join(":") };
  throw new SplitError(
    `split "${text}" is not one of by-time:COLUMN:SHARE (share of rows to train on, e.g. by-time:date:0.7), ` +
      "folds:COUNT:SEED (2 to 100 folds) and given:FILE",
  );
}

/**
 * Training rows come first in time, and rows of the same time stay on one side: the boundary is the one between two
 * times that lies nearest to the share.
 */
export function splitByTime(frame: Frame, columnName: string, trainShare: number): RowSplit {
  const column = columnNamed(frame, columnName);
  if (column.kind !== "numeric") {
    throw new SplitError(
      `column "${columnName}" holds text; a split by time needs numbers or dates (YYYY-MM-DD hh:mm:ss)`,
    );
  }
  const times = column.values;
  const missing = times.findIndex((time) => Number.isNaN(time));
  if (missing >= 0) throw new SplitError(`column "${columnName}" has no time in row ${missing + 1}`);
  const order = Uint32Array.from({ length: frame.rows }, (_, row) => row);
  order.sort((a, b) => (times[a] ?? 0) - (times[b] ?? 0) || a - b);
  const wanted = frame.rows * trainShare;
  let boundary = -1;
  for (let place = 1; place < order.length; place++) {
    if (times[order[place - 1] ?? 0] === times[order[place] ?? 0]) continue;
    if (boundary < 0 || Math.abs(place - wanted) < Math.abs(boundary - wanted)) boundary = place;
  }
  if (boundary < 0)
    throw new SplitError(`every row of column "${columnName}" has the same time: there is no later slice`);
  return { name: "later", train: order.slice(0, boundary), test: order.slice(boundary) };
}

/** Random folds: rows are shuffled by the seed (Fisher-Yates) and dealt out in turn. */
export function splitFolds(rows: number, folds: number, seed: number): RowSplit[] {
  if (rows < folds) throw new SplitError(`${rows} rows cannot make ${folds} folds`);
  const random = seededRandom(seed);
  const order = Uint32Array.from({ length: rows }, (_, row) => row);
  for (let i = rows - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const swapped = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = swapped;
  }
  return Array.from({ length: folds }, (_, fold) => ({
    name: `fold${fold + 1}`,
    train: order.filter((_, place) => place % folds !== fold).sort(),
    test: order.filter((_, place) => place % folds === fold).sort(),
  }));
}
