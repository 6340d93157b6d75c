import {
  getFeatureConsistency,
  publishFeatureConsistency,
  type StoredConsistencyReport,
} from "../../models/contract/api/feature-consistency.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { Failure } from "../http/failure.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";

export interface ConsistencyRouteDeps {
  readonly services: readonly CompiledService[];
  readonly reports: {
    put(tenant: string, stored: StoredConsistencyReport): Promise<void>;
    latest(tenant: string): Promise<StoredConsistencyReport[]>;
  };
}

export function mountConsistency(app: App, http: HttpDeps, deps: ConsistencyRouteDeps): void {
  mount(app, http, getFeatureConsistency, async (_, { identity }) =>
    Response.json({ reports: await deps.reports.latest(identity.tenant) }),
  );

  mount(app, http, publishFeatureConsistency, async ({ body }, { identity, now, metrics }) => {
    if (deps.services.every((service) => service.name !== body.report.service)) return new Failure("service-not-found");
    const stored = { ...body, checkedAt: new Date(now).toISOString(), by: identity.subject };
    await deps.reports.put(identity.tenant, stored);
    publishMetrics(metrics, identity.tenant, stored);
    return Response.json(stored);
  });
}

/** Gauges of the newest check: an alert looks at the share, a person at the features. */
function publishMetrics(metrics: MetricRegistry, tenant: string, { report, checkedAt }: StoredConsistencyReport): void {
  const { service } = report;
  metrics.count("feature_consistency_share", { tenant, service }, report.mismatchShare);
  metrics.count("feature_consistency_decisions", { tenant, service }, report.decisions);
  metrics.count("feature_consistency_checked_seconds", { tenant, service }, Date.parse(checkedAt) / 1000);
  for (const { name, mismatched, missing, extra, ageSeconds } of report.features) {
    for (const [kind, count] of Object.entries({ mismatched, missing, extra }))
      metrics.count("feature_consistency_mismatch", { tenant, service, feature: name, kind }, count);
    if (ageSeconds)
      metrics.count("feature_consistency_age_seconds", { tenant, service, feature: name }, ageSeconds.p50);
  }
}
