import type { Interval } from "./bootstrap.ts";

/** Sums over the units of one arm (visitors): x is what was shown to a unit, y what became of it. */
export interface RatioSums {
  readonly units: number;
  readonly x: number;
  readonly y: number;
  readonly xx: number;
  readonly yy: number;
  readonly xy: number;
}

/** 97.5 % of the standard normal distribution lie below. */
const Z = 1.959_963_984_540_054;
/** An approximation by normal distributions means nothing for fewer units. */
const MIN_UNITS = 30;

/**
 * By how much the treatment's ratio Σy/Σx is above the control's, relative to it (0.2: 20 % more), with a 95 % interval. Units are independent, what is
 * shown to one unit is not: the variance of a ratio follows by the delta method over units, var(r) = (s²y − 2r·sxy + r²·s²x) / (n·x̄²)
 * (Deng, Knoblich and Lu 2018, "Applying the Delta Method in Metric Analytics", KDD, section 3.1), and the variance of ln r is var(r)/r². The
 * interval is symmetric for ln(rₜ/r꜀), so that it never reaches below −1.
 * @returns null where there is nothing to compare: no outcome in one arm, or too few units
 */
export function relativeUplift(treatment: RatioSums, control: RatioSums): Interval | null {
  const [a, b] = [logRatio(treatment), logRatio(control)];
  if (a === null || b === null) return null;
  const difference = a.value - b.value;
  const margin = Z * Math.sqrt(a.variance + b.variance);
  return {
    value: Math.expm1(difference),
    low: Math.expm1(difference - margin),
    high: Math.expm1(difference + margin),
  };
}

function logRatio({ units, x, y, xx, yy, xy }: RatioSums): { value: number; variance: number } | null {
  if (units < MIN_UNITS || x <= 0 || y <= 0) return null;
  const ratio = y / x;
  // Sums of squares about the mean: their rounding errors may leave a tiny negative number.
  const spread = Math.max(
    0,
    yy - y ** 2 / units - 2 * ratio * (xy - (x * y) / units) + ratio ** 2 * (xx - x ** 2 / units),
  );
  const variance = spread / (units - 1) / (units * (x / units) ** 2);
  return { value: Math.log(ratio), variance: variance / ratio ** 2 };
}
