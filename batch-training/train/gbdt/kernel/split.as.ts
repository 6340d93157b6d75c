/** The best numeric split of a feature's histogram. Laws: `../kernel.as.ts`. */
import { P_GRADIENT_UNIT, P_HESSIAN_UNIT, P_L2, P_L1, P_MIN_HESSIAN, P_MIN_GAIN, P_COUNT_BIT, P_MIN_ROWS } from "./search-parameters.as";

// @ts-ignore: decorator
@inline
function shrink(g: f64, l1: f64): f64 {
  return g > l1 ? g - l1 : g < -l1 ? g + l1 : 0.0;
}

// @ts-ignore: decorator
@inline
function clamp(v: f64, low: f64, high: f64): f64 {
  return v < low ? low : v > high ? high : v;
}

/**
 * Gain of a split, or -infinity where a limit forbids it. `monotone` is -1, 0 or 1; with it, or within finite bounds,
 * leaf values are clamped to [low, high] and the gain is that of the clamped values.
 */
// @ts-ignore: decorator
@inline
function splitGain(gl: f64, hl: f64, gr: f64, hr: f64, l1: f64, l2: f64, bounded: bool, monotone: i32, low: f64, high: f64): f64 {
  const a = hl + l2;
  const b = hr + l2;
  const x = shrink(gl, l1);
  const y = shrink(gr, l1);
  if (!bounded) return (x * x * b + y * y * a) / (a * b);
  const wl = clamp(-x / a, low, high);
  const wr = clamp(-y / b, low, high);
  if ((monotone > 0 && wl > wr) || (monotone < 0 && wl < wr)) return -Infinity;
  return -(2.0 * x * wl + a * wl * wl) - (2.0 * y * wr + b * wr * wr);
}

/**
 * Best threshold split of one feature. Out record: f64 gain over the unsplit node (or -infinity), i32 last bin of the left side, i32 whether
 * missing goes left, i64 gradient sum and i64 packed hessian and count of the left side.
 */
export function findSplit(
  hist: usize, bins: i32, totalG: i64, totalHc: i64, parentScore: f64, params: usize,
  monotone: i32, bounded: i32, low: f64, high: f64, out: usize,
): void {
  const gu = load<f64>(params, P_GRADIENT_UNIT);
  const hu = load<f64>(params, P_HESSIAN_UNIT);
  const l2 = load<f64>(params, P_L2);
  const l1 = load<f64>(params, P_L1);
  const minHessian = load<f64>(params, P_MIN_HESSIAN);
  const countBit = <i64>load<i32>(params, P_COUNT_BIT);
  const minRows = <i64>load<i32>(params, P_MIN_ROWS);
  const mask = (<i64>1 << countBit) - 1;
  const missingG = load<i64>(hist);
  const missingHc = load<i64>(hist, 8);
  const someMissing = missingHc != 0;
  const isBounded = bounded != 0;
  const lastBin = someMissing ? bins : bins - 1;
  let best: f64 = load<f64>(params, P_MIN_GAIN) + parentScore;
  let bestBin: i32 = -1;
  let bestMissingLeft: i32 = 0;
  let bestG: i64 = 0;
  let bestHc: i64 = 0;
  let g: i64 = 0;
  let hc: i64 = 0;
  for (let bin: i32 = 1; bin <= lastBin; bin++) {
    const cell = hist + (<usize>bin << 4);
    const cellHc = load<i64>(cell, 8);
    if (cellHc == 0) continue;
    g += load<i64>(cell);
    hc += cellHc;
    const rightHc = totalHc - hc;
    const rightRows = rightHc >> countBit;
    if (rightRows < minRows) break;
    if (hc >> countBit >= minRows) {
      const hl = <f64>(hc & mask) * hu;
      const hr = <f64>(rightHc & mask) * hu;
      if (hl >= minHessian && hr >= minHessian) {
        const gain = splitGain(<f64>g * gu, hl, <f64>(totalG - g) * gu, hr, l1, l2, isBounded, monotone, low, high);
        if (gain > best) {
          best = gain;
          bestBin = bin;
          bestG = g;
          bestHc = hc;
          // Never seen missing here: send it where most rows go.
          bestMissingLeft = someMissing ? 0 : i32(hc >> countBit > rightRows);
        }
      }
    }
    if (someMissing && bin < bins) {
      const leftHc = hc + missingHc;
      const otherHc = totalHc - leftHc;
      if (otherHc >> countBit >= minRows && leftHc >> countBit >= minRows) {
        const hl = <f64>(leftHc & mask) * hu;
        const hr = <f64>(otherHc & mask) * hu;
        if (hl >= minHessian && hr >= minHessian) {
          const leftG = g + missingG;
          const gain = splitGain(<f64>leftG * gu, hl, <f64>(totalG - leftG) * gu, hr, l1, l2, isBounded, monotone, low, high);
          if (gain > best) {
            best = gain;
            bestBin = bin;
            bestG = leftG;
            bestHc = leftHc;
            bestMissingLeft = 1;
          }
        }
      }
    }
  }
  store<f64>(out, bestBin < 0 ? -Infinity : best - parentScore);
  store<i32>(out, bestBin, 8);
  store<i32>(out, bestMissingLeft, 12);
  store<i64>(out, bestG, 16);
  store<i64>(out, bestHc, 24);
}
