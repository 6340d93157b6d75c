import { health, metrics, ready } from "../../models/contract/api/system.ts";
import {
  type MetricPoint,
  type MetricRegistry,
  prometheusText,
  type Sample,
} from "../../models/stats/metric-registry.ts";
import { logError } from "../http/log.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";

export interface MonitoringDeps {
  readonly version: string;
  readonly aggregator: {
    add(points: readonly MetricPoint[]): Promise<{ dropped: number }>;
    all(): Promise<Sample[]>;
  };
  /** Dependencies by name; a check that throws is not ready. */
  readonly checks: Readonly<Record<string, () => Promise<unknown>>>;
  readonly metrics: MetricRegistry;
}

export function mountMonitoring(app: App, http: HttpDeps, deps: MonitoringDeps): void {
  mount(app, http, health, () => Response.json({ status: "ok", version: deps.version }));

  mount(app, http, ready, async () => {
    const checks = await Promise.all(
      Object.entries(deps.checks).map(async ([name, check]) => {
        try {
          await check();
          return { name, ok: true };
        } catch (error) {
          logError("readiness check failed", error, { check: name });
          return { name, ok: false, detail: "does not answer; the reason is in the log" };
        }
      }),
    );
    const allOk = checks.every((check) => check.ok);
    return Response.json({ status: allOk ? "ready" : "not-ready", checks }, { status: allOk ? 200 : 503 });
  });

  mount(app, http, metrics, async () => {
    await flushMetrics(deps.metrics, deps.aggregator);
    return new Response(prometheusText(await deps.aggregator.all()), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    });
  });
}

/** Sends what this isolate counted to the object that outlives it. A failed flush keeps the counts for the next one. */
export async function flushMetrics(registry: MetricRegistry, aggregator: MonitoringDeps["aggregator"]): Promise<void> {
  if (registry.size === 0) return;
  const points = registry.drain();
  try {
    const { dropped } = await aggregator.add(points);
    if (dropped > 0) registry.count("metric_points_dropped_total", {}, dropped);
  } catch (error) {
    registry.restore(points);
    logError("metrics were not flushed", error, { points: points.length });
  }
}
