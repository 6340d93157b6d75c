import type { Interval } from "../../../models/stats/bootstrap.ts";
import type { Metric } from "../../../models/contract/manifest.ts";

/**
 * One condition of publication and what it found. Gates are plain data that says why; a refusal is a result, not an error. Everything
 * that makes them is pure: no clock, seeded draws.
 */
export interface Gate {
  /** `finite_scores`, `enough_data`, `beats_constant`, `holds_baseline`, `calibrated`, `holds_slice`, `fair`, `beats_champion`, or one of a kind's own. */
  readonly id: string;
  /** Which baseline, champion or slice, where there are several. */
  readonly against: string | null;
  readonly passed: boolean;
  /** One sentence with the figures, for a person. */
  readonly reason: string;
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** Mass inside every interval of a gate. */
export const LEVEL = 0.95;
export const UNKNOWN: Interval = { value: Number.NaN, low: Number.NaN, high: Number.NaN };

export function gate(
  id: string,
  against: string | null,
  passed: boolean,
  figure: Interval | null,
  reason: string,
): Gate {
  const known = (value: number | undefined): number | null =>
    value === undefined || Number.isNaN(value) ? null : value;
  return {
    id,
    against,
    passed,
    reason,
    value: known(figure?.value),
    low: known(figure?.low),
    high: known(figure?.high),
  };
}

export function figures({ value, low, high }: Interval): string {
  return Number.isNaN(low) ? value.toFixed(4) : `${value.toFixed(4)} (95 % ${low.toFixed(4)} to ${high.toFixed(4)})`;
}

/** Rows drawn together by the bootstrap, such as those of one customer. */
export interface Units {
  readonly of: Uint32Array;
  readonly count: number;
}

/** Units of rows that name them. */
export function unitsOf(names: readonly string[]): Units {
  const numbers = new Map<string, number>();
  const of = Uint32Array.from(names, (name) => {
    const known = numbers.get(name) ?? numbers.size;
    numbers.set(name, known);
    return known;
  });
  return { of, count: numbers.size };
}

/** A figure as the manifest keeps it; NaN ends of an interval are none. */
export function metric(name: string, slice: string, { value, low, high }: Interval): Metric[] {
  if (!Number.isFinite(value)) return [];
  const end = (number: number): number | null => (Number.isFinite(number) ? number : null);
  return [{ name, slice, value, low: end(low), high: end(high) }];
}
