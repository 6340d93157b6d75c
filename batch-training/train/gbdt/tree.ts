/**
 * A boosted model as plain data: what the trainer makes, and the exporter, the explainer and tests read. JSON-safe but
 * for the typed arrays. Node 0 is the root; `left` and `right` are nodes (>= 0) or leaves (~leaf, < 0); a tree of one
 * leaf has no nodes. At a numeric node a row goes left when its value is <= `threshold`, and where `missingLeft` says when
 * it is missing. At a categorical node missing and unlisted categories go where `missingLeft` says, listed ones to the
 * other side.
 */
export interface Tree {
  readonly feature: Int32Array;
  /** Float32-exact; +infinity separates missing from the rest. NaN for categorical nodes. */
  readonly threshold: Float64Array;
  readonly missingLeft: Uint8Array;
  /** Listed categories by node; null at numeric nodes. */
  readonly members: readonly (readonly number[] | null)[];
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** Loss reduction of the split, in the units of the loss times two. */
  readonly gain: Float64Array;
  /** Training rows (drawn ones, where rows were sampled) that reached the node. */
  readonly cover: Float64Array;
  /** Float32-exact, learning rate included. */
  readonly leafValue: Float64Array;
  readonly leafCover: Float64Array;
}

export interface GbdtModel {
  readonly kind: "gbdt";
  readonly objective: "logistic" | "squared" | "softmax" | "lambdarank";
  readonly features: readonly string[];
  /** Raw scores before any tree, one per output (class); float32-exact. */
  readonly bases: readonly number[];
  /** Round after round, one tree per output: tree t belongs to output t mod outputs. */
  readonly trees: readonly Tree[];
  readonly calibration: Calibration;
}

/**
 * How a raw score becomes the served one: link(scale * raw + offset), or a step function of the raw score, which is
 * `values[i]` up to and including `thresholds[i]` and the last value beyond.
 */
export type Calibration =
  | { readonly kind: "linear"; readonly scale: number; readonly offset: number }
  | { readonly kind: "steps"; readonly thresholds: readonly number[]; readonly values: readonly number[] };

/** Raw score (before calibration and link) of one row and output; the columns are read as float32. */
export function rawScore(model: GbdtModel, columns: Columns, row: number, output = 0): number {
  const outputs = model.bases.length;
  let raw = model.bases[output] ?? 0;
  for (let t = output; t < model.trees.length; t += outputs) {
    const tree = model.trees[t];
    if (tree) raw += tree.leafValue[leafOf(tree, columns, row)] ?? 0;
  }
  return raw;
}

type Columns = readonly (Float32Array | Float64Array)[];

export function leafOf(tree: Tree, columns: Columns, row: number): number {
  let node = tree.feature.length === 0 ? -1 : 0;
  while (node >= 0) {
    const value = Math.fround(columns[tree.feature[node] ?? 0]?.[row] ?? Number.NaN);
    const missingLeft = tree.missingLeft[node] === 1;
    const members = tree.members[node];
    const left = members
      ? members.includes(value) !== missingLeft
      : Number.isNaN(value)
        ? missingLeft
        : value <= (tree.threshold[node] ?? 0);
    node = (left ? tree.left[node] : tree.right[node]) ?? -1;
  }
  return ~node;
}

/** Raw scores of the first output. */
export function rawScores(model: GbdtModel, columns: Columns, rows: number): Float64Array {
  const scores = new Float64Array(rows);
  for (let row = 0; row < rows; row++) scores[row] = rawScore(model, columns, row);
  return scores;
}

/**
 * What the graph serves, row after row: a probability (logistic), a probability per class (softmax), a value (squared) or
 * a score to rank by.
 */
export function scoreRows(model: GbdtModel, columns: Columns, rows: number): Float64Array {
  const outputs = model.bases.length;
  const scores = new Float64Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    for (let output = 0; output < outputs; output++)
      scores[row * outputs + output] = rawScore(model, columns, row, output);
  }
  if (model.objective === "softmax") {
    for (let row = 0; row < rows; row++) softmaxInPlace(scores.subarray(row * outputs, (row + 1) * outputs));
    return scores;
  }
  return scores.map((raw) => calibrated(model, raw));
}

function calibrated({ calibration, objective }: GbdtModel, raw: number): number {
  if (calibration.kind === "steps") {
    // The served graph compares in float32.
    const single = Math.fround(raw);
    const step = calibration.thresholds.findIndex((threshold) => single <= threshold);
    return calibration.values.at(step < 0 ? -1 : step) ?? 0;
  }
  const margin = calibration.scale * raw + calibration.offset;
  return objective === "logistic" ? 1 / (1 + Math.exp(-margin)) : margin;
}

function softmaxInPlace(values: Float64Array): void {
  const largest = Math.max(...values);
  let sum = 0;
  for (const [i, value] of values.entries()) sum += values[i] = Math.exp(value - largest);
  for (const [i, value] of values.entries()) values[i] = value / sum;
}
