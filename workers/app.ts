import { Hono } from "hono";
import type { RouteDefinition } from "../models/contract/api/define.ts";
import { ROUTES } from "../models/contract/routes.ts";
import { type ApiKeyDeps, mountApiKeys } from "./access/api-keys.ts";
import { type DeadLetterDeps, mountDeadLetters } from "./events/dead-letters.ts";
import { type IngestDeps, mountIngestion } from "./events/ingest.ts";
import { type LogDeps, mountEventLog } from "./events/log-routes.ts";
import { type ConsistencyRouteDeps, mountConsistency } from "./features/consistency-route.ts";
import { mountFeatureLoads } from "./features/load-route.ts";
import { type FeatureRouteDeps, mountFeatures } from "./features/route.ts";
import { mountFeatureShards, type ShardRouteDeps } from "./features/shards-route.ts";
import { type FraudRouteDeps, mountFraud } from "./fraud/route.ts";
import { Failure, problemResponse } from "./http/failure.ts";
import { logError } from "./http/log.ts";
import type { App, HttpDeps } from "./http/mount.ts";
import { requestIdOf } from "./http/request-context.ts";
import { RouteTable } from "./http/route-table.ts";
import { mountTraining, type TrainingDeps } from "./training/route.ts";
import { type MonitoringDeps, mountMonitoring } from "./monitoring/route.ts";
import { mountRecommendations, type RecommendationRouteDeps } from "./recommendations/route.ts";
import { mountReference } from "./reference/route.ts";
import { mountRegistry, type RegistryDeps } from "./registry/route.ts";
import { mountVectors } from "./vectors/route.ts";
import type { VectorsDeps } from "./vectors/deployed-index.ts";

export interface AppDeps {
  readonly http: HttpDeps;
  readonly events: IngestDeps & DeadLetterDeps & LogDeps;
  readonly fraud: FraudRouteDeps;
  readonly features: FeatureRouteDeps;
  readonly consistency: ConsistencyRouteDeps;
  readonly shards: ShardRouteDeps;
  readonly recommendations: RecommendationRouteDeps;
  readonly registry: RegistryDeps;
  readonly vectors: VectorsDeps;
  readonly training: TrainingDeps;
  readonly access: ApiKeyDeps;
  readonly monitoring: MonitoringDeps;
  readonly asset: (name: string) => Promise<Response>;
}

/** Tags of the contract whose operations are built and mounted. */
const MOUNTED_TAGS = new Set([
  "Events",
  "Features",
  "Fraud",
  "Recommendations",
  "Models",
  "Training",
  "Access",
  "System",
]);

/** The operations that this app answers. */
export const MOUNTED_ROUTES: readonly RouteDefinition[] = ROUTES.filter((route) => MOUNTED_TAGS.has(route.tag));

/** Every slice mounted on one router. Use cases get functions; only adapters know bindings. */
export function createApp(deps: AppDeps): App {
  const app: App = new Hono({ router: new RouteTable() });
  mountFraud(app, deps.http, deps.fraud);
  mountFeatures(app, deps.http, deps.features);
  mountFeatureLoads(app, deps.http, deps.features);
  mountConsistency(app, deps.http, deps.consistency);
  mountFeatureShards(app, deps.http, deps.shards);
  mountRecommendations(app, deps.http, deps.recommendations);
  mountIngestion(app, deps.http, deps.events);
  mountDeadLetters(app, deps.http, deps.events);
  mountEventLog(app, deps.http, deps.events);
  mountRegistry(app, deps.http, deps.registry);
  mountVectors(app, deps.http, deps.vectors);
  mountTraining(app, deps.http, deps.training);
  mountApiKeys(app, deps.http, deps.access);
  mountMonitoring(app, deps.http, deps.monitoring);
  mountReference(app, deps.http, { routes: MOUNTED_ROUTES, asset: deps.asset });
  app.notFound((c) => {
    const path = new URL(c.req.url).pathname;
    const code = MOUNTED_ROUTES.some((route) => matches(route.path, path)) ? "method-not-allowed" : "route-not-found";
    return problemResponse(new Failure(code), requestIdOf(c.req.raw.headers));
  });
  app.onError((error, c) => {
    logError("unhandled error", error, { path: new URL(c.req.url).pathname });
    return problemResponse(new Failure("internal"), requestIdOf(c.req.raw.headers));
  });
  return app;
}

function matches(template: string, path: string): boolean {
  const parts = template.split("/");
  const given = path.split("/");
  return parts.length === given.length && parts.every((part, index) => part.startsWith("{") || part === given[index]);
}
