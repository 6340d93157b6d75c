import { seededRandom } from "../../models/stats/random.ts";
import { gatherRows } from "./gather-rows.ts";
import { type LabelledRows, TrainingError, type TrainingSet } from "./training-set.ts";

/**
 * Explicit choices against rare positives besides class weights. Both change the rate of positives in the training rows, so
 * the trainer calibrates afterwards on validation rows, which are never resampled.
 */
export interface ResampleOptions {
  /** Positives per negative wanted after it, 0..1: 1 is as many of each. */
  readonly ratio: number;
  readonly seed: number;
}

interface Classes {
  readonly positives: Uint32Array;
  readonly negatives: Uint32Array;
}

function classesOf({ labels }: LabelledRows): Classes {
  const rows = Uint32Array.from({ length: labels.length }, (_, row) => row);
  return { positives: rows.filter((row) => labels[row] === 1), negatives: rows.filter((row) => labels[row] !== 1) };
}

function checkRatio(ratio: number): void {
  if (ratio > 0 && ratio <= 1) return;
  throw new TrainingError("invalid_parameters", `a ratio of ${ratio} positives per negative is not in (0, 1]`);
}

/** Drops negatives drawn by the seed until there are `ratio` positives for each; keeps the order of rows. */
export function underSample(set: TrainingSet, { ratio, seed }: ResampleOptions): TrainingSet {
  checkRatio(ratio);
  const { positives, negatives } = classesOf(set.train);
  const wanted = Math.min(negatives.length, Math.max(1, Math.round(positives.length / ratio)));
  const random = seededRandom(seed);
  for (let i = 0; i < wanted; i++) {
    const j = i + Math.floor(random() * (negatives.length - i));
    const drawn = negatives[j] ?? 0;
    negatives[j] = negatives[i] ?? 0;
    negatives[i] = drawn;
  }
  const kept = Uint32Array.from([...positives, ...negatives.subarray(0, wanted)]).sort();
  return { ...set, train: gatherRows(set.train, kept) };
}

/** Neighbours a synthetic row may lie towards, as in the paper. */
const NEIGHBOURS = 5;
/** Distances are computed between all pairs of positives: more would take minutes, and then weights do as well. */
export const MAX_SMOTE_POSITIVES = 20_000;

/**
 * SMOTE (Chawla et al. 2002): synthetic positives on the lines between a positive and one of its five nearest. Columns
 * are scaled by their standard deviation among positives. In categorical columns, and where either end is missing, the
 * value of one end is taken (SMOTE-NC takes the mode of the neighbours; trees do not need it).
 * @throws TrainingError for fewer than two positives or too many
 */
export function smote(set: TrainingSet, { ratio, seed }: ResampleOptions): TrainingSet {
  checkRatio(ratio);
  const { positives, negatives } = classesOf(set.train);
  const extra = Math.round(negatives.length * ratio) - positives.length;
  if (positives.length < 2) {
    throw new TrainingError("invalid_data", `SMOTE draws between positives; there are ${positives.length}`);
  }
  if (positives.length > MAX_SMOTE_POSITIVES) {
    const message = `SMOTE compares all pairs of positives; ${positives.length} are more than ${MAX_SMOTE_POSITIVES}: use class weights`;
    throw new TrainingError("too_large", message);
  }
  if (extra <= 0) return set;
  const near = nearestPositives(set, positives);
  const random = seededRandom(seed);
  const rows = set.train.labels.length;
  const columns = set.train.columns.map((column) => {
    const grown = new Float32Array(rows + extra);
    grown.set(column);
    return grown;
  });
  for (let i = 0; i < extra; i++) {
    const from = i % positives.length;
    const neighbours = near[from] ?? [];
    const to = neighbours[Math.floor(random() * neighbours.length)] ?? from;
    const step = random();
    for (const [f, column] of columns.entries()) {
      const a = column[positives[from] ?? 0] ?? Number.NaN;
      const b = column[positives[to] ?? 0] ?? Number.NaN;
      const between = set.features[f]?.kind === "numeric" && Number.isFinite(a) && Number.isFinite(b);
      column[rows + i] = between ? a + step * (b - a) : step < 0.5 ? a : b;
    }
  }
  return { ...set, train: { ...grow(set.train, rows, extra), columns } };
}

function grow(train: LabelledRows, rows: number, extra: number): LabelledRows {
  const labels = new Float32Array(rows + extra).fill(1);
  labels.set(train.labels);
  let weights: Float32Array | null = null;
  if (train.weights) {
    weights = new Float32Array(rows + extra).fill(1);
    weights.set(train.weights);
  }
  return { columns: train.columns, labels, weights, groups: null };
}

/** Per positive the places (among positives) of its nearest others; a pair is far apart in a column that one lacks. */
function nearestPositives(set: TrainingSet, positives: Uint32Array): number[][] {
  const matrix = scaledMatrix(set, positives);
  const width = set.features.length;
  return Array.from(positives, (_, i) => {
    const nearest: { place: number; distance: number }[] = [];
    for (let j = 0; j < positives.length; j++) {
      if (j === i) continue;
      let distance = 0;
      const worst = nearest.length < NEIGHBOURS ? Number.POSITIVE_INFINITY : (nearest.at(-1)?.distance ?? 0);
      for (let f = 0; f < width && distance < worst; f++) {
        const gap = (matrix[i * width + f] ?? 0) - (matrix[j * width + f] ?? 0);
        const categorical = set.features[f]?.kind === "categorical";
        distance += categorical ? (gap === 0 ? 0 : 1) : Number.isNaN(gap) ? MISSING_GAP : gap * gap;
      }
      if (distance >= worst) continue;
      nearest.push({ place: j, distance });
      nearest.sort((a, b) => a.distance - b.distance || a.place - b.place);
      nearest.length = Math.min(nearest.length, NEIGHBOURS);
    }
    return nearest.map(({ place }) => place);
  });
}

/** Squared distance in a column where one of two rows is missing: that of two standard deviations. */
const MISSING_GAP = 4;

function scaledMatrix(set: TrainingSet, positives: Uint32Array): Float64Array {
  const width = set.features.length;
  const matrix = new Float64Array(positives.length * width);
  for (const [f, column] of set.train.columns.entries()) {
    const values = Float64Array.from(positives, (row) => column[row] ?? Number.NaN);
    const known = values.filter((value) => Number.isFinite(value));
    const mean = known.reduce((sum, value) => sum + value, 0) / Math.max(1, known.length);
    const variance = known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, known.length);
    const scale = set.features[f]?.kind === "numeric" && variance > 0 ? Math.sqrt(variance) : 1;
    for (const [i, value] of values.entries())
      matrix[i * width + f] = Number.isFinite(value) ? value / scale : Number.NaN;
  }
  return matrix;
}
