import { recommendationRatios } from "./recommendation-ratios.ts";

/**
 * Metrics as an isolate counts them between two flushes, and their Prometheus text form
 * (https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4). A histogram is kept as the counters it is
 * made of, so that adding up what isolates send gives the right histogram.
 */

interface CounterDefinition {
  readonly kind: "counter" | "gauge";
  readonly help: string;
}
interface HistogramDefinition {
  readonly kind: "histogram";
  readonly help: string;
  /** Upper bounds of the buckets, ascending; +Inf is implied. */
  readonly buckets: readonly number[];
}

export const METRICS = {
  http_requests_total: { kind: "counter", help: "Answered requests by operation and status" },
  inference_latency_ms: {
    kind: "histogram",
    help: "Time from validated request to decision; deployed clocks advance only across I/O",
    buckets: [0.5, 1, 2, 3, 5, 8, 12, 20, 50, 100, 250, 1_000],
  },
  model_version_request_count: { kind: "counter", help: "Decisions by model and version" },
  feature_cache_reads_total: {
    kind: "counter",
    help: "Entity states wanted by a decision, by where they came from (memory, copy, shard)",
  },
  feature_consistency_share: { kind: "gauge", help: "Share of served values that differ from the same recomputed" },
  feature_consistency_decisions: { kind: "gauge", help: "Decisions compared by the newest consistency check" },
  feature_consistency_checked_seconds: { kind: "gauge", help: "When the newest consistency check was, Unix time" },
  feature_consistency_mismatch: {
    kind: "gauge",
    help: "Served values that differ from the same recomputed, by feature and kind (mismatched, missing, extra)",
  },
  feature_consistency_age_seconds: {
    kind: "gauge",
    help: "Median age of the newest fact behind a feature in the newest consistency check",
  },
  feature_freshness_seconds: {
    kind: "histogram",
    help: "Age of the newest fact behind a decision",
    buckets: [1, 10, 60, 600, 3_600, 86_400, 604_800, 2_592_000],
  },
  fraud_score_distribution: {
    kind: "histogram",
    help: "Fraud scores",
    buckets: [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1],
  },
  fraud_decisions_total: { kind: "counter", help: "Fraud decisions by outcome and trigger" },
  degraded_decisions_total: { kind: "counter", help: "Decisions with a degraded flag, by flag" },
  events_accepted_total: { kind: "counter", help: "Events handed to the queue" },
  events_refused_total: { kind: "counter", help: "Events refused at the door, by reason" },
  events_consumed_total: { kind: "counter", help: "Events processed by the consumer, by outcome" },
  dead_letters_total: { kind: "counter", help: "Events stored as dead letters, by reason" },
  model_loads_total: { kind: "counter", help: "Model loads by outcome" },
  model_uploads_total: { kind: "counter", help: "Notifications of the bucket of models, by outcome" },
  training_leases_total: { kind: "counter", help: "Training jobs handed to workers, by model" },
  training_attempts_total: { kind: "counter", help: "Attempts at training jobs that ended, by model and state" },
  vector_searches_total: {
    kind: "counter",
    help: "Searches of the vector index for a list, by outcome: found, empty, late, failed, paused",
  },
  recommendations_served_total: {
    kind: "counter",
    help: "Answered lists by placement and arm, and whether a fallback made them",
  },
  recommendation_items_served_total: { kind: "counter", help: "Products shown in answered lists, by arm" },
  degraded_recommendations_total: { kind: "counter", help: "Lists with a degraded flag, by flag" },
  recommendation_latency_seconds: {
    kind: "histogram",
    help: "Time from validated request to list; deployed clocks advance only across I/O",
    buckets: [0.0005, 0.001, 0.002, 0.004, 0.008, 0.012, 0.02, 0.05, 0.1, 0.25, 1],
  },
  recommendation_feedback_total: {
    kind: "counter",
    help: "Outcomes of products that a list showed, by arm and kind, each product of a list once",
  },
  recommendation_experiment_sums_total: {
    kind: "counter",
    help: "Sums over visitors of what they were shown and what became of it, by arm: what the interval of an uplift needs",
  },
  product_values_refreshed_total: {
    kind: "counter",
    help: "Products whose ranking features were read from the shards, by outcome: kept, unread (no answer in time), failed",
  },
  exposures_dropped_total: {
    kind: "counter",
    help: "Lists that did not arrive, by destination (log, events, attribution)",
  },
  metric_points_dropped_total: { kind: "counter", help: "Metric points dropped because too many series exist" },
} as const satisfies Record<string, CounterDefinition | HistogramDefinition>;

export type MetricName = keyof typeof METRICS;

export interface MetricPoint {
  /** Sample name; for a histogram with `_bucket`, `_sum` or `_count`. */
  readonly name: string;
  /** Rendered labels without braces, sorted by name; empty when there are none. */
  readonly labels: string;
  readonly kind: "counter" | "gauge";
  readonly value: number;
}

export type Labels = Readonly<Record<string, string>>;

function renderLabels(labels: Labels): string {
  return Object.keys(labels)
    .toSorted()
    .map(
      (name) =>
        `${name}="${(labels[name] ?? "").replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`,
    )
    .join(",");
}

/** One counter or gauge, or one histogram with its observations by bucket, each counted in the smallest that holds it. */
interface Series {
  readonly name: string;
  readonly labels: string;
  readonly kind: "counter" | "gauge" | "histogram";
  readonly bounds: readonly number[];
  readonly buckets: Float64Array;
  /** Of a histogram: the sum of what was observed. */
  value: number;
}

/** A place in the tree of series: the way there is the name, then each label's name and value. */
interface Place {
  series: Series | null;
  readonly next: Map<string, Place>;
}

function placeAfter(place: Place, step: string): Place {
  let after = place.next.get(step);
  if (!after) {
    after = { series: null, next: new Map() };
    place.next.set(step, after);
  }
  return after;
}

/**
 * Counts of one isolate since its last flush. Counting is on the path of every request: labels are rendered once per series, and
 * finding a series puts no text together.
 */
export class MetricRegistry {
  #series: Series[] = [];
  #root: Place = { series: null, next: new Map() };
  /** Points given back, by sample. */
  #restored = new Map<string, MetricPoint>();

  /** Adds to a counter, or sets a gauge. */
  count(name: MetricName, labels: Labels = {}, value = 1): void {
    const series = this.#seriesOf(name, labels);
    if (series.kind === "histogram") throw new TypeError(`${name} is a histogram: use observe`);
    series.value = series.kind === "gauge" ? value : series.value + value;
  }

  /** Adds one observation to a histogram. */
  observe(name: MetricName, value: number, labels: Labels = {}): void {
    const series = this.#seriesOf(name, labels);
    if (series.kind !== "histogram") throw new TypeError(`${name} is not a histogram: use count`);
    const { bounds, buckets } = series;
    let at = 0;
    while (at < bounds.length && !(value <= (bounds[at] as number))) at++;
    buckets[at] = (buckets[at] as number) + 1;
    series.value += value;
  }

  /** Series counted since the last flush. */
  get size(): number {
    return this.#series.length + this.#restored.size;
  }

  /** Takes what was counted, leaving nothing. */
  drain(): MetricPoint[] {
    const points = new Map(this.#restored);
    for (const series of this.#series) for (const point of pointsOf(series)) addPoint(points, point);
    this.#series = [];
    this.#root = { series: null, next: new Map() };
    this.#restored = new Map();
    return [...points.values()];
  }

  /** Puts points back that could not be delivered. */
  restore(points: readonly MetricPoint[]): void {
    for (const point of points) if (point.kind === "counter") addPoint(this.#restored, point);
  }

  #seriesOf(name: MetricName, labels: Labels): Series {
    let place = placeAfter(this.#root, name);
    for (const label in labels) place = placeAfter(placeAfter(place, label), labels[label] ?? "");
    if (place.series) return place.series;
    const definition: CounterDefinition | HistogramDefinition = METRICS[name];
    const bounds = definition.kind === "histogram" ? definition.buckets : [];
    const series: Series = {
      name,
      labels: renderLabels(labels),
      kind: definition.kind,
      bounds,
      buckets: new Float64Array(bounds.length + 1),
      value: 0,
    };
    place.series = series;
    this.#series.push(series);
    return series;
  }
}

function pointsOf({ name, labels, kind, bounds, buckets, value }: Series): MetricPoint[] {
  if (kind !== "histogram") return [{ name, labels, kind, value }];
  const prefix = labels === "" ? "" : `${labels},`;
  const points: MetricPoint[] = [];
  const add = (part: string, own: string, total: number): void => {
    points.push({ name: `${name}_${part}`, labels: own, kind: "counter", value: total });
  };
  let count = 0;
  for (const [index, within] of buckets.entries()) {
    count += within;
    const isLast = index === bounds.length;
    // A bucket that is still empty is left out: its count is zero either way.
    if (count > 0) add("bucket", `${prefix}le="${isLast ? "+Inf" : bounds[index]}"`, count);
  }
  add("sum", labels, value);
  add("count", labels, count);
  return points;
}

/** Counters add up, gauges keep the newest. */
function addPoint(points: Map<string, MetricPoint>, point: MetricPoint): void {
  const key = `${point.name}{${point.labels}`;
  const known = points.get(key);
  points.set(key, known && point.kind === "counter" ? { ...point, value: known.value + point.value } : point);
}

export interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

/** The exposition text of samples, grouped by metric, with help and type; buckets in ascending order. */
export function prometheusText(samples: readonly Sample[]): string {
  const lines: string[] = [];
  for (const [metric, definition] of Object.entries(METRICS)) {
    const own = samples.filter(
      (sample) => sample.name === metric || (definition.kind === "histogram" && histogramPart(metric, sample.name)),
    );
    if (own.length === 0) continue;
    lines.push(`# HELP ${metric} ${definition.help}`, `# TYPE ${metric} ${definition.kind}`);
    for (const sample of own.toSorted(bySeries)) {
      lines.push(`${sample.name}${sample.labels === "" ? "" : `{${sample.labels}}`} ${sample.value}`);
    }
  }
  const hits = share(samples, "feature_cache_reads_total", 'from="memory"');
  if (hits !== null) {
    lines.push(
      "# HELP feature_cache_hit_ratio Share of entity states that decisions found in isolate memory",
      "# TYPE feature_cache_hit_ratio gauge",
    );
    lines.push(`feature_cache_hit_ratio ${hits}`);
  }
  lines.push(...recommendationRatios(samples));
  return `${lines.join("\n")}\n`;
}

function histogramPart(metric: string, sample: string): boolean {
  return sample === `${metric}_bucket` || sample === `${metric}_sum` || sample === `${metric}_count`;
}

function upperBound(labels: string): number {
  const bound = /le="([^"]+)"/.exec(labels)?.[1];
  return bound === undefined ? 0 : bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound);
}

function bySeries(a: Sample, b: Sample): number {
  const series = (sample: Sample): string => `${sample.name}{${sample.labels.replace(/,?le="[^"]+"/, "")}`;
  const left = series(a);
  const right = series(b);
  if (left !== right) return left < right ? -1 : 1;
  const difference = upperBound(a.labels) - upperBound(b.labels);
  return Number.isNaN(difference) ? 0 : difference;
}

function share(samples: readonly Sample[], name: string, label: string): number | null {
  const own = samples.filter((sample) => sample.name === name);
  const total = own.reduce((sum, sample) => sum + sample.value, 0);
  return total === 0
    ? null
    : own.filter((sample) => sample.labels.includes(label)).reduce((sum, sample) => sum + sample.value, 0) / total;
}
