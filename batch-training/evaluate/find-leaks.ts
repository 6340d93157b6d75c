import { rocAuc } from "../../models/stats/ranking-metrics.ts";
import type { TrainingSet } from "../train/training-set.ts";

/**
 * Columns that alone tell the label (almost) without error: the label under another name, or something written down
 * after the fact. No honest feature of these fields comes near.
 */
export interface Leak {
  readonly feature: string;
  /** ROC AUC of the column by itself, in its better direction; categories are ranked by their positive rate. */
  readonly rocAuc: number;
}

export const LEAK_AUC = 0.9999;
/** A category rarer than this proves nothing by being pure. */
const MIN_CATEGORY_ROWS = 10;

export function findLeaks(set: TrainingSet, threshold = LEAK_AUC): Leak[] {
  const { labels } = set.train;
  return set.features.flatMap((feature, f) => {
    const column = set.train.columns[f] ?? new Float32Array(0);
    const scores = feature.kind === "categorical" ? rateOfCategory(column, labels) : fillMissing(column);
    const auc = rocAuc(labels, scores);
    const better = Math.max(auc, 1 - auc);
    return better >= threshold ? [{ feature: feature.name, rocAuc: better }] : [];
  });
}

/** Missing counts as its own lowest value: whether a cell is filled in can give the label away, too. */
function fillMissing(column: ArrayLike<number>): Float64Array {
  return Float64Array.from(column, (value) => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value));
}

function rateOfCategory(column: ArrayLike<number>, labels: ArrayLike<number>): Float64Array {
  const counts = new Map<number, { rows: number; positives: number }>();
  for (let row = 0; row < column.length; row++) {
    const key = column[row] ?? Number.NaN;
    const count = counts.get(key) ?? { rows: 0, positives: 0 };
    count.rows++;
    count.positives += labels[row] === 1 ? 1 : 0;
    counts.set(key, count);
  }
  return Float64Array.from(column, (value) => {
    const { rows, positives } = counts.get(value) ?? { rows: 1, positives: 0 };
    return rows < MIN_CATEGORY_ROWS ? 0.5 : positives / rows;
  });
}
