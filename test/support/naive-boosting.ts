/**
 * Boosted trees the slow, obvious way: every row visited for every threshold, float64 sums, no bins, no histograms, no
 * threads. Imports nothing of the trainer; it is the oracle for it on data with fewer distinct values than bins.
 */
export interface NaiveOptions {
  readonly objective: "logistic" | "squared";
  readonly trees: number;
  readonly leaves: number;
  readonly maxDepth: number;
  readonly learningRate: number;
  readonly minRows: number;
  readonly minHessian: number;
  readonly l1: number;
  readonly l2: number;
}

type Columns = readonly (Float32Array | Float64Array)[];

interface NaiveSplit {
  gain: number;
  goesLeft: (row: number) => boolean;
}

interface NaiveLeaf {
  rows: number[];
  depth: number;
  split: NaiveSplit | null;
}

/** Raw scores of the training rows after all trees. */
export function naiveBoost(columns: Columns, labels: number[], weights: number[], options: NaiveOptions): number[] {
  const total = weights.reduce((a, b) => a + b, 0);
  const mean = labels.reduce((sum, label, i) => sum + label * (weights[i] ?? 0), 0) / total;
  const base = Math.fround(options.objective === "logistic" ? Math.log(mean / (1 - mean)) : mean);
  const scores = labels.map(() => base);
  for (let tree = 0; tree < options.trees; tree++) {
    const g: number[] = [];
    const h: number[] = [];
    for (const [i, label] of labels.entries()) {
      const score = scores[i] ?? 0;
      const w = weights[i] ?? 0;
      const p = 1 / (1 + Math.exp(-score));
      g.push(w * ((options.objective === "logistic" ? p : score) - label));
      h.push(w * (options.objective === "logistic" ? p * (1 - p) : 1));
    }
    for (const leaf of growLeaves(columns, g, h, options)) {
      const value = leafValue(leaf.rows, g, h, options);
      for (const row of leaf.rows) scores[row] = (scores[row] ?? 0) + value;
    }
  }
  return scores;
}

function growLeaves(columns: Columns, g: number[], h: number[], options: NaiveOptions): NaiveLeaf[] {
  const all = g.map((_, row) => row);
  const leaves: NaiveLeaf[] = [{ rows: all, depth: 0, split: findSplit(columns, all, 0, g, h, options) }];
  while (leaves.length < options.leaves) {
    let best = -1;
    for (const [i, leaf] of leaves.entries()) {
      if (leaf.split && (best < 0 || leaf.split.gain > (leaves[best]?.split?.gain ?? 0))) best = i;
    }
    const leaf = leaves[best];
    if (!leaf?.split) break;
    const { goesLeft } = leaf.split;
    const child = (rows: number[]): NaiveLeaf => ({
      rows,
      depth: leaf.depth + 1,
      split: findSplit(columns, rows, leaf.depth + 1, g, h, options),
    });
    leaves[best] = child(leaf.rows.filter((row) => goesLeft(row)));
    leaves.push(child(leaf.rows.filter((row) => !goesLeft(row))));
  }
  return leaves;
}

function findSplit(
  columns: Columns,
  rows: number[],
  depth: number,
  g: number[],
  h: number[],
  options: NaiveOptions,
): NaiveSplit | null {
  if (options.maxDepth > 0 && depth >= options.maxDepth) return null;
  const whole = nodeScore(rows, g, h, options);
  let best: NaiveSplit | null = null;
  for (const column of columns) {
    const thresholds = [...new Set(rows.map((row) => column[row] ?? Number.NaN).filter((v) => !Number.isNaN(v)))].sort(
      (a, b) => a - b,
    );
    for (const threshold of thresholds) {
      for (const missingLeft of [false, true]) {
        const goesLeft = (row: number): boolean => {
          const value = column[row] ?? Number.NaN;
          return Number.isNaN(value) ? missingLeft : value <= threshold;
        };
        const left = rows.filter((row) => goesLeft(row));
        const right = rows.filter((row) => !goesLeft(row));
        if (left.length < options.minRows || right.length < options.minRows) continue;
        if (sum(left, h) < options.minHessian || sum(right, h) < options.minHessian) continue;
        const gain = nodeScore(left, g, h, options) + nodeScore(right, g, h, options) - whole;
        if (gain > 1e-9 && (best === null || gain > best.gain + 1e-12)) best = { gain, goesLeft };
      }
    }
  }
  return best;
}

function sum(rows: number[], values: number[]): number {
  return rows.reduce((total, row) => total + (values[row] ?? 0), 0);
}

function soft(g: number, l1: number): number {
  return Math.sign(g) * Math.max(0, Math.abs(g) - l1);
}

function nodeScore(rows: number[], g: number[], h: number[], { l1, l2 }: NaiveOptions): number {
  return soft(sum(rows, g), l1) ** 2 / (sum(rows, h) + l2);
}

function leafValue(rows: number[], g: number[], h: number[], { l1, l2, learningRate }: NaiveOptions): number {
  return (-soft(sum(rows, g), l1) / (sum(rows, h) + l2)) * learningRate;
}
