import type { Column, LabelledRows, TrainingSet } from "./training-set.ts";

/**
 * Logistic regression with an L2 penalty, by Newton's method: the simple baseline a boosted model must beat. Numeric
 * columns are standardised, missing values become the mean with an indicator beside them; categories are one-hot
 * (the most frequent ones). Infinities are clipped to the largest finite value seen.
 */
export interface LogisticRegression {
  readonly encoders: readonly Encoder[];
  /** Intercept first. */
  readonly coefficients: Float64Array;
}

type Encoder =
  | {
      readonly kind: "numeric";
      readonly mean: number;
      readonly scale: number;
      readonly low: number;
      readonly high: number;
      readonly someMissing: boolean;
    }
  | { readonly kind: "categorical"; readonly categories: readonly number[] };

export interface LogisticOptions {
  /** Penalty lambda / 2 |w|^2 on the sum of losses; the intercept is free. scikit-learn's C is its inverse. */
  readonly l2: number;
  readonly maxIterations?: number;
}

/** One-hot columns per categorical feature at most; the rest share the all-zero row. */
const MAX_CATEGORIES = 50;

export function fitLogisticRegression(set: TrainingSet, options: LogisticOptions): LogisticRegression {
  const encoders = set.features.map((feature, f) => {
    const column = set.train.columns[f] ?? new Float64Array(0);
    return feature.kind === "categorical" ? categoricalEncoder(column) : numericEncoder(column);
  });
  const width = 1 + encoders.reduce((sum, encoder) => sum + widthOf(encoder), 0);
  const coefficients = newton(set.train, encoders, width, options);
  return { encoders, coefficients };
}

export function predictLogisticRegression(
  model: LogisticRegression,
  columns: readonly Column[],
  rows: number,
): Float64Array {
  const scores = new Float64Array(rows);
  const x = new Float64Array(model.coefficients.length);
  for (let row = 0; row < rows; row++) {
    encodeRow(model.encoders, columns, row, x);
    scores[row] = sigmoid(dot(model.coefficients, x));
  }
  return scores;
}

function widthOf(encoder: Encoder): number {
  return encoder.kind === "categorical" ? encoder.categories.length : encoder.someMissing ? 2 : 1;
}

function numericEncoder(column: Column): Encoder {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let someMissing = false;
  for (const value of column) {
    if (Number.isNaN(value)) someMissing = true;
    else if (Number.isFinite(value)) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low > high) return { kind: "numeric", mean: 0, scale: 1, low: 0, high: 0, someMissing };
  let count = 0;
  let mean = 0;
  let squares = 0;
  for (const value of column) {
    if (Number.isNaN(value)) continue;
    const clipped = Math.min(high, Math.max(low, value));
    count++;
    const delta = clipped - mean;
    mean += delta / count;
    squares += delta * (clipped - mean);
  }
  const scale = Math.sqrt(squares / count);
  return { kind: "numeric", mean, scale: scale > 0 ? scale : 1, low, high, someMissing };
}

function categoricalEncoder(column: Column): Encoder {
  const counts = new Map<number, number>();
  for (const value of column) if (!Number.isNaN(value)) counts.set(value, (counts.get(value) ?? 0) + 1);
  const byCount = [...counts].sort(([a, m], [b, n]) => n - m || a - b);
  return { kind: "categorical", categories: byCount.slice(0, MAX_CATEGORIES).map(([category]) => category) };
}

function encodeRow(encoders: readonly Encoder[], columns: readonly Column[], row: number, x: Float64Array): void {
  x.fill(0);
  x[0] = 1;
  let at = 1;
  for (const [f, encoder] of encoders.entries()) {
    const value = columns[f]?.[row] ?? Number.NaN;
    if (encoder.kind === "categorical") {
      const place = encoder.categories.indexOf(value);
      if (place >= 0) x[at + place] = 1;
    } else if (Number.isNaN(value)) {
      if (encoder.someMissing) x[at + 1] = 1;
    } else x[at] = (Math.min(encoder.high, Math.max(encoder.low, value)) - encoder.mean) / encoder.scale;
    at += widthOf(encoder);
  }
}

function newton(
  rows: LabelledRows,
  encoders: readonly Encoder[],
  width: number,
  { l2, maxIterations = 30 }: LogisticOptions,
): Float64Array {
  let beta = new Float64Array(width);
  let loss = Number.POSITIVE_INFINITY;
  let step = new Float64Array(width);
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    const pass = accumulate(rows, encoders, beta, l2);
    if (!(pass.loss <= loss + 1e-12 * Math.abs(loss))) {
      // The last step overshot: halve it.
      step = step.map((value) => value / 2);
      beta = beta.map((value, i) => value - (step[i] ?? 0));
      if (step.every((value) => Math.abs(value) < 1e-12)) break;
      continue;
    }
    const gained = loss - pass.loss;
    loss = pass.loss;
    if (gained <= 1e-9 * (1 + loss)) break;
    step = solve(pass.hessian, pass.gradient, width).map((value) => -value);
    beta = beta.map((value, i) => value + (step[i] ?? 0));
  }
  return beta;
}

interface Pass {
  readonly loss: number;
  readonly gradient: Float64Array;
  readonly hessian: Float64Array;
}

function accumulate(rows: LabelledRows, encoders: readonly Encoder[], beta: Float64Array, l2: number): Pass {
  const width = beta.length;
  const gradient = new Float64Array(width);
  const hessian = new Float64Array(width * width);
  const x = new Float64Array(width);
  const used = new Int32Array(width);
  let loss = 0;
  for (let row = 0; row < rows.labels.length; row++) {
    encodeRow(encoders, rows.columns, row, x);
    const weight = rows.weights?.[row] ?? 1;
    const margin = dot(beta, x);
    const label = rows.labels[row] === 1 ? 1 : 0;
    loss += weight * (Math.max(0, margin) + Math.log1p(Math.exp(-Math.abs(margin))) - label * margin);
    const p = sigmoid(margin);
    const curvature = weight * p * (1 - p);
    // One-hot rows are mostly zeros: only the others are multiplied.
    let n = 0;
    for (let i = 0; i < width; i++) if (x[i] !== 0) used[n++] = i;
    for (let a = 0; a < n; a++) {
      const i = used[a] ?? 0;
      const xi = x[i] ?? 0;
      gradient[i] = (gradient[i] ?? 0) + weight * (p - label) * xi;
      for (let b = 0; b <= a; b++) {
        const at = i * width + (used[b] ?? 0);
        hessian[at] = (hessian[at] ?? 0) + curvature * xi * (x[used[b] ?? 0] ?? 0);
      }
    }
  }
  for (let i = 1; i < width; i++) {
    const coefficient = beta[i] ?? 0;
    loss += (l2 / 2) * coefficient * coefficient;
    gradient[i] = (gradient[i] ?? 0) + l2 * coefficient;
    hessian[i * width + i] = (hessian[i * width + i] ?? 0) + l2;
  }
  return { loss, gradient, hessian };
}

/** Cholesky on the lower triangle; a pivot that is not positive (a constant column) is skipped. */
function solve(matrix: Float64Array, right: Float64Array, n: number): Float64Array {
  const l = matrix.slice();
  const x = right.slice();
  const at = (i: number, j: number): number => l[i * n + j] ?? 0;
  for (let j = 0; j < n; j++) {
    let pivot = at(j, j);
    for (let k = 0; k < j; k++) pivot -= at(j, k) ** 2;
    const root = pivot > 1e-10 ? Math.sqrt(pivot) : 0;
    l[j * n + j] = root;
    for (let i = j + 1; i < n; i++) {
      let value = at(i, j);
      for (let k = 0; k < j; k++) value -= at(i, k) * at(j, k);
      l[i * n + j] = root > 0 ? value / root : 0;
    }
  }
  for (let i = 0; i < n; i++) {
    let value = x[i] ?? 0;
    for (let k = 0; k < i; k++) value -= at(i, k) * (x[k] ?? 0);
    x[i] = at(i, i) > 0 ? value / at(i, i) : 0;
  }
  for (let i = n - 1; i >= 0; i--) {
    let value = x[i] ?? 0;
    for (let k = i + 1; k < n; k++) value -= at(k, i) * (x[k] ?? 0);
    x[i] = at(i, i) > 0 ? value / at(i, i) : 0;
  }
  return x;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
