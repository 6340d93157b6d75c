/** How good probabilities of a 0/1 label are. Pure. */

/** Probabilities are kept this far from 0 and 1, as scikit-learn does for float64 (`log_loss`). */
const EPSILON = 2 ** -52;

/** Mean negative log-likelihood in nats. */
export function logLoss(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  weights: ArrayLike<number> | null = null,
): number {
  return weightedMean(labels.length, weights, (i) => {
    const p = Math.min(1 - EPSILON, Math.max(EPSILON, probabilities[i] ?? Number.NaN));
    return labels[i] === 1 ? -Math.log(p) : -Math.log(1 - p);
  });
}

/** Mean squared difference of probability and label (Brier 1950, one-sided form; `brier_score_loss`). */
export function brierScore(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  weights: ArrayLike<number> | null = null,
): number {
  return weightedMean(labels.length, weights, (i) => ((probabilities[i] ?? Number.NaN) - (labels[i] ?? 0)) ** 2);
}

function weightedMean(n: number, weights: ArrayLike<number> | null, value: (i: number) => number): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < n; i++) {
    const weight = weights?.[i] ?? 1;
    sum += weight * value(i);
    total += weight;
  }
  return sum / total;
}

export interface CalibrationBin {
  readonly count: number;
  readonly meanProbability: number;
  readonly positiveRate: number;
}

/**
 * Reliability bins. `uniform`: equal widths over [0, 1]; `quantile`: equal counts by score, for rare positives, whose
 * scores fall into one or two uniform bins.
 */
export function calibrationBins(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  bins: number,
  strategy: "uniform" | "quantile",
): CalibrationBin[] {
  const n = labels.length;
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  if (strategy === "quantile") order.sort((a, b) => (probabilities[a] ?? 0) - (probabilities[b] ?? 0) || a - b);
  const count = new Float64Array(bins);
  const probability = new Float64Array(bins);
  const positive = new Float64Array(bins);
  for (let place = 0; place < n; place++) {
    const row = order[place] ?? 0;
    const p = probabilities[row] ?? Number.NaN;
    const share = strategy === "quantile" ? place / n : p;
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(share * bins)));
    count[bin] = (count[bin] ?? 0) + 1;
    probability[bin] = (probability[bin] ?? 0) + p;
    positive[bin] = (positive[bin] ?? 0) + (labels[row] ?? 0);
  }
  const result: CalibrationBin[] = [];
  for (let bin = 0; bin < bins; bin++) {
    const rows = count[bin] ?? 0;
    if (rows === 0) continue;
    result.push({
      count: rows,
      meanProbability: (probability[bin] ?? 0) / rows,
      positiveRate: (positive[bin] ?? 0) / rows,
    });
  }
  return result;
}

/**
 * Expected calibration error: mean over rows of |mean probability - positive rate| of their bin (Naeini et al. 2015;
 * Guo et al. 2017), 0..1.
 */
export function expectedCalibrationError(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  bins = 10,
  strategy: "uniform" | "quantile" = "uniform",
): number {
  let sum = 0;
  for (const bin of calibrationBins(labels, probabilities, bins, strategy)) {
    sum += bin.count * Math.abs(bin.meanProbability - bin.positiveRate);
  }
  return sum / labels.length;
}
