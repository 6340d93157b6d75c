/**
 * Platt scaling: p = sigmoid(scale * raw + offset), by Newton's method on the smoothed targets (Platt 1999; Lin, Lin and
 * Weng, "A note on Platt's probabilistic outputs", 2007).
 */
export interface PlattFit {
  readonly scale: number;
  readonly offset: number;
}

const MAX_ITERATIONS = 100;
const TOLERANCE = 1e-10;

/**
 * @param raw margins; @param labels 0/1, both classes present; @param weights null: all one
 * @returns a fit with a positive scale: an order-reversing one would mean a model worse than none, so then only the
 * offset is fitted.
 */
export function fitPlatt(raw: Float64Array, labels: ArrayLike<number>, weights: ArrayLike<number> | null): PlattFit {
  const both = newton(raw, labels, weights, true);
  return both.scale > 0 ? both : newton(raw, labels, weights, false);
}

function newton(
  raw: Float64Array,
  labels: ArrayLike<number>,
  weights: ArrayLike<number> | null,
  fitScale: boolean,
): PlattFit {
  const { high, low } = smoothedTargets(labels, weights);
  let fit: PlattFit = { scale: 1, offset: 0 };
  let loss = lossAt(raw, labels, weights, high, low, fit);
  for (let iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
    // Gradient and Hessian with a small ridge, as the 2007 note has it.
    let ga = 0;
    let gb = 0;
    let haa = 1e-12;
    let hab = 0;
    let hbb = 1e-12;
    for (let i = 0; i < raw.length; i++) {
      const x = raw[i] ?? 0;
      const weight = weights?.[i] ?? 1;
      const p = 1 / (1 + Math.exp(-(fit.scale * x + fit.offset)));
      const residual = weight * (p - (labels[i] === 1 ? high : low));
      const curvature = weight * p * (1 - p);
      ga += residual * x;
      gb += residual;
      haa += curvature * x * x;
      hab += curvature * x;
      hbb += curvature;
    }
    const determinant = haa * hbb - hab * hab;
    const da = fitScale ? -(hbb * ga - hab * gb) / determinant : 0;
    const db = fitScale ? -(haa * gb - hab * ga) / determinant : -gb / hbb;
    let step = 1;
    let next = { scale: fit.scale + da, offset: fit.offset + db };
    let nextLoss = lossAt(raw, labels, weights, high, low, next);
    while (!(nextLoss <= loss) && step > 1e-10) {
      step /= 2;
      next = { scale: fit.scale + step * da, offset: fit.offset + step * db };
      nextLoss = lossAt(raw, labels, weights, high, low, next);
    }
    const gained = loss - nextLoss;
    if (!(nextLoss <= loss)) break;
    fit = next;
    loss = nextLoss;
    if (gained <= TOLERANCE * (1 + Math.abs(loss))) break;
  }
  return fit;
}

/** (N+ + 1) / (N+ + 2) and 1 / (N- + 2): keeps the fit finite on separable data. */
function smoothedTargets(labels: ArrayLike<number>, weights: ArrayLike<number> | null): { high: number; low: number } {
  let positives = 0;
  let negatives = 0;
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] === 1) positives += weights?.[i] ?? 1;
    else negatives += weights?.[i] ?? 1;
  }
  return { high: (positives + 1) / (positives + 2), low: 1 / (negatives + 2) };
}

function lossAt(
  raw: Float64Array,
  labels: ArrayLike<number>,
  weights: ArrayLike<number> | null,
  high: number,
  low: number,
  fit: PlattFit,
): number {
  let sum = 0;
  for (let i = 0; i < raw.length; i++) {
    const margin = fit.scale * (raw[i] ?? 0) + fit.offset;
    const target = labels[i] === 1 ? high : low;
    // -t log p - (1 - t) log(1 - p) = softplus(margin) - t margin
    const softplus = Math.max(0, margin) + Math.log1p(Math.exp(-Math.abs(margin)));
    sum += (weights?.[i] ?? 1) * (softplus - target * margin);
  }
  return sum;
}
