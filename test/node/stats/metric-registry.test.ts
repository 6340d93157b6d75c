import { describe, expect, it } from "vitest";
import { METRICS, MetricRegistry, prometheusText, type Sample } from "../../../models/stats/metric-registry.ts";

/** Adds up points as the object that keeps them does. */
function collect(...registries: MetricRegistry[]): Sample[] {
  const sums = new Map<string, Sample>();
  for (const point of registries.flatMap((registry) => registry.drain())) {
    const key = `${point.name}{${point.labels}}`;
    sums.set(key, { name: point.name, labels: point.labels, value: (sums.get(key)?.value ?? 0) + point.value });
  }
  return [...sums.values()];
}

describe("metrics", () => {
  it("carry the names that the design promises", () => {
    const text = Object.keys(METRICS).join(" ");
    for (const name of [
      "inference_latency_ms",
      "model_version_request_count",
      "fraud_score_distribution",
      "feature_freshness_seconds",
    ]) {
      expect(text).toContain(name);
    }
  });

  it("add up over isolates: two halves are the whole", () => {
    const whole = new MetricRegistry();
    const halves = [new MetricRegistry(), new MetricRegistry()];
    for (let index = 0; index < 100; index++) {
      for (const registry of [whole, halves[index % 2] ?? whole]) {
        registry.observe("inference_latency_ms", index / 5, { operation: "fraud" });
        registry.count("fraud_decisions_total", { outcome: index % 3 === 0 ? "review" : "approve" });
      }
    }
    const left = prometheusText(collect(whole))
      .split("\n")
      .filter((line) => !line.includes("_sum"));
    const right = prometheusText(collect(...halves))
      .split("\n")
      .filter((line) => !line.includes("_sum"));
    expect(right).toEqual(left);
  });

  it("render histograms as cumulative buckets in ascending order, ending with +Inf = count", () => {
    const registry = new MetricRegistry();
    for (const value of [0.2, 0.7, 4, 5_000]) registry.observe("inference_latency_ms", value);
    const lines = prometheusText(collect(registry))
      .split("\n")
      .filter((line) => line.startsWith("inference_latency_ms"));
    const counts = lines.filter((line) => line.includes("_bucket")).map((line) => Number(line.split(" ")[1]));
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    expect(lines.find((line) => line.includes('le="0.5"'))).toBe('inference_latency_ms_bucket{le="0.5"} 1');
    expect(lines.find((line) => line.includes('le="+Inf"'))).toBe('inference_latency_ms_bucket{le="+Inf"} 4');
    expect(lines).toContain("inference_latency_ms_count 4");
  });

  it("give the cache hit ratio from its counts, and leave it out before the first read", () => {
    const registry = new MetricRegistry();
    expect(prometheusText(collect(registry))).not.toContain("feature_cache_hit_ratio");
    registry.count("feature_cache_reads_total", { from: "memory" }, 3);
    registry.count("feature_cache_reads_total", { from: "shard" }, 1);
    expect(prometheusText(collect(registry))).toContain("feature_cache_hit_ratio 0.75");
  });

  it("escape label values, so that no value can end a line or a label", () => {
    const registry = new MetricRegistry();
    registry.count("http_requests_total", { operation: 'a"b\\c\nd' });
    expect(prometheusText(collect(registry))).toContain(String.raw`http_requests_total{operation="a\"b\\c\nd"} 1`);
  });

  it("keep counts whose delivery failed", () => {
    const registry = new MetricRegistry();
    registry.count("events_accepted_total", {}, 2);
    const lost = registry.drain();
    registry.count("events_accepted_total");
    registry.restore(lost);
    expect(collect(registry)).toEqual([{ name: "events_accepted_total", labels: "", value: 3 }]);
  });
});
