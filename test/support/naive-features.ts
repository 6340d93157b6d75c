/**
 * The slow, obvious meaning of aggregations over windows: keep every fact, look at all of them for every question. It imports nothing,
 * so that it cannot share a mistake with what it checks.
 */
export interface NaiveFact {
  readonly id: string;
  readonly time: number;
  /** NaN: the fact has no value. */
  readonly value: number;
  readonly text: string | null;
}

export interface NaiveWindow {
  /** (asOf - delay - length, asOf - delay] */
  readonly lengthMs: number;
  readonly delayMs: number;
}

/** Facts of a window; of one identity only the one that arrived first. */
export function naiveWindow(arrived: readonly NaiveFact[], window: NaiveWindow, asOf: number): NaiveFact[] {
  const first = new Map<string, NaiveFact>();
  for (const fact of arrived) if (!first.has(fact.id)) first.set(fact.id, fact);
  const end = asOf - window.delayMs;
  return [...first.values()].filter((fact) => fact.time > end - window.lengthMs && fact.time <= end);
}

const valued = (facts: readonly NaiveFact[]): NaiveFact[] => facts.filter((fact) => !Number.isNaN(fact.value));
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Ties in time are broken by `order`, which the caller shares with the implementation: any total order of identities. */
function byTime(facts: readonly NaiveFact[], order: (id: string) => number): NaiveFact[] {
  return facts.toSorted((a, b) => a.time - b.time || order(a.id) - order(b.id));
}

/** Every aggregation of a window by name; NaN where there is no value. */
export function naiveAggregates(
  facts: readonly NaiveFact[],
  asOf: number,
  options: {
    readonly order: (id: string) => number;
    readonly halfLifeMs: number;
    readonly prior: number;
    readonly weight: number;
    readonly wanted: string | null;
  },
): Record<string, number> {
  const withValue = byTime(valued(facts), options.order);
  const values = withValue.map((fact) => fact.value);
  const n = values.length;
  const mean = n > 0 ? sum(values) / n : Number.NaN;
  const variance = n > 1 ? sum(values.map((value) => (value - mean) ** 2)) / (n - 1) : Number.NaN;
  const times = facts.map((fact) => fact.time);
  const texts = new Set(facts.flatMap((fact) => fact.text ?? []));
  return {
    count: facts.length,
    count_values: n,
    sum: sum(values),
    mean,
    variance,
    deviation: Math.sqrt(variance),
    min: n > 0 ? Math.min(...values) : Number.NaN,
    max: n > 0 ? Math.max(...values) : Number.NaN,
    first: values[0] ?? Number.NaN,
    last: values[n - 1] ?? Number.NaN,
    second_last: values[n - 2] ?? Number.NaN,
    rate: (sum(values) + options.prior * options.weight) / (n + options.weight),
    distinct: texts.size,
    seen: options.wanted === null ? Number.NaN : texts.has(options.wanted) ? 1 : 0,
    since_last: times.length > 0 ? (asOf - Math.max(...times)) / 1000 : Number.NaN,
    since_first: times.length > 0 ? (asOf - Math.min(...times)) / 1000 : Number.NaN,
    decayed_sum: sum(withValue.map((fact) => fact.value * 0.5 ** ((asOf - fact.time) / options.halfLifeMs))),
  };
}
