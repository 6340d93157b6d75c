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
  readonly objective: "logistic" | "squared";
  readonly features: readonly string[];
  /** Raw score before any tree; float32-exact. */
  readonly base: number;
  readonly trees: readonly Tree[];
  /** Score = link(scale * raw + offset). */
  readonly calibration: { readonly scale: number; readonly offset: number };
}

/** Raw score (before calibration and link) of one row; the columns are read as float32. */
export function rawScore(model: GbdtModel, columns: readonly (Float32Array | Float64Array)[], row: number): number {
  let raw = model.base;
  for (const tree of model.trees) raw += tree.leafValue[leafOf(tree, columns, row)] ?? 0;
  return raw;
}

export function leafOf(tree: Tree, columns: readonly (Float32Array | Float64Array)[], row: number): number {
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

export function rawScores(
  model: GbdtModel,
  columns: readonly (Float32Array | Float64Array)[],
  rows: number,
): Float64Array {
  const scores = new Float64Array(rows);
  for (let row = 0; row < rows; row++) scores[row] = rawScore(model, columns, row);
  return scores;
}

/** Calibrated score of every row: a probability for the logistic objective. */
export function scoreRows(
  model: GbdtModel,
  columns: readonly (Float32Array | Float64Array)[],
  rows: number,
): Float64Array {
  const { scale, offset } = model.calibration;
  return rawScores(model, columns, rows).map((raw) => {
    const margin = scale * raw + offset;
    return model.objective === "logistic" ? 1 / (1 + Math.exp(-margin)) : margin;
  });
}
