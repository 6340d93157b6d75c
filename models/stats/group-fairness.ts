import { bootstrap, type BootstrapOptions, type Interval } from "./bootstrap.ts";

/**
 * Group fairness of 0/1 decisions. Definitions and the worst-case aggregation are Fairlearn's (0.15,
 * `fairlearn.metrics`): difference = largest minus smallest group rate, ratio = smallest over largest. Against a
 * reference group the same rates are also given as difference and ratio group by group (AIF360's statistical parity
 * difference and disparate impact; Aequitas' disparities). The four-fifths band is 0.8 <= ratio <= 1.25 (EEOC Uniform
 * Guidelines 1978, 29 CFR 1607.4 D).
 */
export const FOUR_FIFTHS = { low: 0.8, high: 1.25 } as const;

export interface GroupRates {
  readonly group: string;
  readonly rows: number;
  /** Share of positive labels. */
  readonly baseRate: number;
  /** Share of positive decisions: what demographic parity compares. */
  readonly selectionRate: number;
  /** What equal opportunity compares. NaN where the group has no positive label. */
  readonly truePositiveRate: number;
  readonly falsePositiveRate: number;
}

export interface FairnessInput {
  readonly labels: ArrayLike<number>;
  readonly decisions: ArrayLike<number>;
  /** Group index per row. */
  readonly groups: ArrayLike<number>;
  readonly groupNames: readonly string[];
}

export function groupRates(input: FairnessInput, weights: ArrayLike<number> | null = null): GroupRates[] {
  const cells = new Float64Array(input.groupNames.length * 4);
  for (let row = 0; row < input.labels.length; row++) {
    const cell =
      (input.groups[row] ?? 0) * 4 + (input.labels[row] === 1 ? 2 : 0) + (input.decisions[row] === 1 ? 1 : 0);
    cells[cell] = (cells[cell] ?? 0) + (weights?.[row] ?? 1);
  }
  return input.groupNames.map((group, i) => {
    const [trueNegative = 0, falsePositive = 0, falseNegative = 0, truePositive = 0] = cells.subarray(i * 4, i * 4 + 4);
    const rows = trueNegative + falsePositive + falseNegative + truePositive;
    return {
      group,
      rows,
      baseRate: (falseNegative + truePositive) / rows,
      selectionRate: (falsePositive + truePositive) / rows,
      truePositiveRate: truePositive / (truePositive + falseNegative),
      falsePositiveRate: falsePositive / (falsePositive + trueNegative),
    };
  });
}

export interface ParityMetrics {
  readonly demographicParityDifference: number;
  readonly demographicParityRatio: number;
  readonly equalOpportunityDifference: number;
  readonly equalOpportunityRatio: number;
  readonly equalisedOddsDifference: number;
  readonly equalisedOddsRatio: number;
}

/** A rate that is zero in every group is equal: ratio 1. A rate that some group lacks gives NaN. */
export function parityMetrics(rates: readonly GroupRates[]): ParityMetrics {
  const selection = spread(rates.map((rate) => rate.selectionRate));
  const truePositive = spread(rates.map((rate) => rate.truePositiveRate));
  const falsePositive = spread(rates.map((rate) => rate.falsePositiveRate));
  return {
    demographicParityDifference: selection.difference,
    demographicParityRatio: selection.ratio,
    equalOpportunityDifference: truePositive.difference,
    equalOpportunityRatio: truePositive.ratio,
    equalisedOddsDifference: Math.max(truePositive.difference, falsePositive.difference),
    equalisedOddsRatio: Math.min(truePositive.ratio, falsePositive.ratio),
  };
}

function spread(rates: readonly number[]): { difference: number; ratio: number } {
  const high = Math.max(...rates);
  const low = Math.min(...rates);
  return { difference: high - low, ratio: high === 0 ? 1 : low / high };
}

export interface ReferenceParity {
  readonly group: string;
  /** Selection rate minus that of the reference group (statistical parity difference). */
  readonly selectionDifference: number;
  /** Selection rate over that of the reference group (disparate impact). */
  readonly selectionRatio: number;
  readonly truePositiveDifference: number;
  readonly truePositiveRatio: number;
  readonly falsePositiveDifference: number;
  readonly falsePositiveRatio: number;
}

/** @throws RangeError where no group has the reference's name */
export function parityToReference(rates: readonly GroupRates[], reference: string): ReferenceParity[] {
  const base = rates.find((rate) => rate.group === reference);
  if (!base) throw new RangeError(`no group is named ${JSON.stringify(reference)}`);
  return rates
    .filter((rate) => rate !== base)
    .map((rate) => ({
      group: rate.group,
      selectionDifference: rate.selectionRate - base.selectionRate,
      selectionRatio: rate.selectionRate / base.selectionRate,
      truePositiveDifference: rate.truePositiveRate - base.truePositiveRate,
      truePositiveRatio: rate.truePositiveRate / base.truePositiveRate,
      falsePositiveDifference: rate.falsePositiveRate - base.falsePositiveRate,
      falsePositiveRatio: rate.falsePositiveRate / base.falsePositiveRate,
    }));
}

export type ParityIntervals = { readonly [name in keyof ParityMetrics]: Interval };

export const PARITY_METRICS = [
  "demographicParityDifference",
  "demographicParityRatio",
  "equalOpportunityDifference",
  "equalOpportunityRatio",
  "equalisedOddsDifference",
  "equalisedOddsRatio",
] as const satisfies readonly (keyof ParityMetrics)[];

export function parityIntervals(input: FairnessInput, options: BootstrapOptions): ParityIntervals {
  const intervals = bootstrap(input.labels.length, options, (weights) => {
    const metrics = parityMetrics(groupRates(input, weights));
    return PARITY_METRICS.map((name) => metrics[name]);
  });
  return Object.fromEntries(PARITY_METRICS.map((name, i) => [name, intervals[i]])) as unknown as ParityIntervals;
}

/** Whether every ratio lies in the four-fifths band. */
export function withinFourFifths(ratio: number): boolean {
  return ratio >= FOUR_FIFTHS.low && ratio <= FOUR_FIFTHS.high;
}
