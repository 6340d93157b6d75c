/**
 * Declared parts of the data, such as new customers or large amounts: a model that is better on the whole may not be clearly worse on one
 * of them. A slice is refused where its metric lies more than the band below the reference's and the whole interval of the paired
 * difference lies below zero, so that the noise of a small slice refuses nothing.
 */
import { bootstrap, type Interval } from "../../../models/stats/bootstrap.ts";
import { seededRandom } from "../../../models/stats/random.ts";
import { rankDescending, rankingMetrics } from "../../../models/stats/ranking-metrics.ts";
import { figures, type Gate, gate, LEVEL, UNKNOWN, type Units } from "./gate.ts";
import type { GatePolicy } from "./policy.ts";

export interface SliceInput {
  readonly labels: ArrayLike<number>;
  readonly challenger: ArrayLike<number>;
  /** Scores of the champion or of the strongest baseline, on the same rows. */
  readonly reference: ArrayLike<number>;
  readonly referenceName: string;
  readonly slices: readonly Slice[];
  readonly units: Units | null;
  readonly seed: number;
}

export interface Slice {
  readonly name: string;
  /** Rows that belong to it, ascending. */
  readonly rows: Uint32Array;
}

export interface SliceResult {
  readonly name: string;
  readonly rows: number;
  readonly positives: number;
  /** Of the policy's metric; NaN where a class is absent. */
  readonly challenger: number;
  readonly difference: Interval;
  /** null: too few rows to be judged. */
  readonly gate: Gate | null;
}

export function judgeSlices(input: SliceInput, policy: GatePolicy): SliceResult[] {
  return input.slices.map((slice, index) => judgeSlice(input, slice, { ...policy, seed: input.seed + index }));
}

function judgeSlice(
  input: SliceInput,
  { name, rows }: Slice,
  policy: GatePolicy & { readonly seed: number },
): SliceResult {
  const take = (values: ArrayLike<number>): Float64Array => Float64Array.from(rows, (row) => values[row] ?? Number.NaN);
  const labels = take(input.labels);
  const [own, theirs] = [take(input.challenger), take(input.reference)];
  const positives = labels.reduce((sum, label) => sum + (label === 1 ? 1 : 0), 0);
  const enough = positives >= policy.minSlicePositives && rows.length - positives >= policy.minSlicePositives;
  if (!enough) return { name, rows: rows.length, positives, challenger: Number.NaN, difference: UNKNOWN, gate: null };
  const orders = [rankDescending(own), rankDescending(theirs)];
  const units = input.units && {
    of: Uint32Array.from(rows, (row) => input.units?.of[row] ?? 0),
    count: input.units.count,
  };
  const options = { replicates: policy.replicates, level: LEVEL, random: seededRandom(policy.seed), units };
  const [challenger = UNKNOWN, difference = UNKNOWN] = bootstrap(rows.length, options, (weights) => {
    const mine = rankingMetrics(labels, own, weights, orders[0])[policy.metric];
    return [mine, mine - rankingMetrics(labels, theirs, weights, orders[1])[policy.metric]];
  });
  const passed = !(difference.value < -policy.sliceBand && difference.high < 0);
  const what = passed ? "holds" : "regresses beyond its band";
  const text =
    `slice ${name} ${what} against ${input.referenceName}: ${policy.metric} differs by ${figures(difference)} over ${rows.length} rows ` +
    `with ${positives} positives, band ${-policy.sliceBand}`;
  return {
    name,
    rows: rows.length,
    positives,
    challenger: challenger.value,
    difference,
    gate: gate("holds_slice", name, passed, difference, text),
  };
}
