import { DurableObject } from "cloudflare:workers";
import type { MetricPoint } from "../models/stats/metric-registry.ts";
import { applyMigrations } from "./migrations.ts";

const MIGRATIONS = [
  {
    id: "first",
    sql: "CREATE TABLE series (name TEXT NOT NULL, labels TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (name, labels)) WITHOUT ROWID",
  },
] as const;

/** Series one object holds: a bound against labels that grow without end. */
const MAX_SERIES = 20_000;

/**
 * Counts that outlive isolates: isolates send what they counted since their last flush, the object adds it up. Gauges keep
 * the last value sent. One object: at one flush a second and isolate it serves a thousand isolates.
 */
export class MetricsAggregator extends DurableObject {
  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as Cloudflare.Env);
    applyMigrations(state.storage, MIGRATIONS);
  }

  add(points: readonly MetricPoint[]): { dropped: number } {
    const { sql } = this.ctx.storage;
    let dropped = 0;
    this.ctx.storage.transactionSync(() => {
      let series = sql.exec<{ n: number }>("SELECT COUNT(*) AS n FROM series").one().n;
      for (const point of points) {
        const known =
          sql.exec("SELECT 1 FROM series WHERE name = ? AND labels = ?", point.name, point.labels).toArray().length > 0;
        if (!known && series >= MAX_SERIES) {
          dropped++;
          continue;
        }
        if (!known) series++;
        sql.exec(
          `INSERT INTO series (name, labels, value) VALUES (?, ?, ?)
           ON CONFLICT (name, labels) DO UPDATE SET value = ${point.kind === "gauge" ? "excluded.value" : "value + excluded.value"}`,
          point.name,
          point.labels,
          point.value,
        );
      }
    });
    return { dropped };
  }

  all(): { name: string; labels: string; value: number }[] {
    return this.ctx.storage.sql
      .exec<{ name: string; labels: string; value: number }>(
        "SELECT name, labels, value FROM series ORDER BY name, labels",
      )
      .toArray();
  }
}

export function metricsAggregator(
  namespace: DurableObjectNamespace<MetricsAggregator>,
): DurableObjectStub<MetricsAggregator> {
  return namespace.getByName("metrics");
}
