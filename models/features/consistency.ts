import type { ConsistencyReport, FeatureConsistency } from "../contract/api/feature-consistency.ts";
import type { DecisionRecord } from "../contract/decision-record.ts";

/** Vectors are float32, and sums may be added in another order: relative, and absolute below 1. */
export const CONSISTENCY_TOLERANCE = 1e-5;
const MAX_EXAMPLES = 5;

/** A served vector beside the one recomputed for it; null: why it could not be recomputed. */
export interface ComparedDecision {
  readonly decision: Pick<DecisionRecord, "decisionId" | "vector" | "watermarks" | "asOf">;
  readonly recomputed: ArrayLike<number> | null;
  /** Seconds from the newest fact behind each value to the as-of time. */
  readonly ages?: readonly (number | null)[] | undefined;
  readonly skipped: string | null;
}

export function compareDecisions(
  service: { readonly name: string; readonly hash: string; readonly names: readonly string[] },
  compared: Iterable<ComparedDecision>,
): ConsistencyReport {
  const features = service.names.map((name) => new Tally(name));
  const skipped: Record<string, number> = {};
  const ages: number[] = [];
  let decisions = 0;
  for (const { decision, recomputed, ages: factAges, skipped: reason } of compared) {
    if (recomputed === null) {
      const key = reason ?? "unknown";
      skipped[key] = (skipped[key] ?? 0) + 1;
      continue;
    }
    decisions++;
    for (const [index, feature] of features.entries())
      feature.add(decision.vector[index] ?? Number.NaN, recomputed[index] ?? Number.NaN, {
        age: factAges?.[index] ?? null,
        decisionId: decision.decisionId,
      });
    const newest = Math.max(0, ...decision.watermarks.map((watermark) => watermark.ingestedAt));
    if (newest > 0) ages.push((decision.asOf - newest) / 1000);
  }
  const done = features.map((feature) => feature.result());
  const values = done.reduce((sum, feature) => sum + feature.compared, 0);
  const different = done.reduce((sum, feature) => sum + feature.mismatched + feature.missing + feature.extra, 0);
  return {
    service: service.name,
    hash: service.hash,
    decisions,
    skipped,
    mismatchShare: values === 0 ? 0 : different / values,
    features: done,
    watermarkAge: { p50: quantile(ages, 0.5), p99: quantile(ages, 0.99) },
  };
}

class Tally {
  readonly #name: string;
  readonly #examples: string[] = [];
  readonly #ages: number[] = [];
  #compared = 0;
  #mismatched = 0;
  #missing = 0;
  #extra = 0;
  #largest = 0;

  constructor(name: string) {
    this.#name = name;
  }

  add(
    served: number,
    recomputed: number,
    { age, decisionId }: { readonly age: number | null; readonly decisionId: string },
  ): void {
    this.#compared++;
    if (age !== null) this.#ages.push(age);
    const isServed = !Number.isNaN(served);
    const isRecomputed = !Number.isNaN(recomputed);
    if (!isServed && !isRecomputed) return;
    const difference = isServed && isRecomputed ? Math.abs(served - recomputed) : 0;
    if (isServed && isRecomputed) {
      this.#largest = Math.max(this.#largest, difference);
      if (difference <= CONSISTENCY_TOLERANCE * Math.max(1, Math.abs(recomputed))) return;
      this.#mismatched++;
    } else if (isRecomputed) this.#missing++;
    else this.#extra++;
    if (this.#examples.length < MAX_EXAMPLES) this.#examples.push(decisionId);
  }

  result(): FeatureConsistency {
    return {
      name: this.#name,
      compared: this.#compared,
      mismatched: this.#mismatched,
      missing: this.#missing,
      extra: this.#extra,
      largestDifference: this.#largest,
      ageSeconds: this.#ages.length === 0 ? null : { p50: quantile(this.#ages, 0.5), p99: quantile(this.#ages, 0.99) },
      examples: this.#examples,
    };
  }
}

function quantile(values: readonly number[], at: number): number {
  if (values.length === 0) return 0;
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * at))] ?? 0;
}
