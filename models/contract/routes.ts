import type { RouteDefinition } from "./api/define.ts";
import * as events from "./api/events.ts";
import * as featureConsistency from "./api/feature-consistency.ts";
import * as featureLoads from "./api/feature-loads.ts";
import * as featureShards from "./api/feature-shards.ts";
import * as features from "./api/features.ts";
import * as fraud from "./api/fraud.ts";
import * as jobs from "./api/jobs.ts";
import * as models from "./api/models.ts";
import * as recommendations from "./api/recommendations.ts";
import * as system from "./api/system.ts";
import * as vectors from "./api/vectors.ts";

const routesOf = (module: Record<string, unknown>): RouteDefinition[] =>
  Object.values(module).filter(
    (value): value is RouteDefinition => typeof value === "object" && value !== null && "operationId" in value,
  );

/** Every operation of the contract. The app mounts those that are built; a test names the ones that are not yet. */
export const ROUTES: readonly RouteDefinition[] = [
  ...routesOf(events),
  ...routesOf(features),
  ...routesOf(featureConsistency),
  ...routesOf(featureLoads),
  ...routesOf(featureShards),
  ...routesOf(fraud),
  ...routesOf(recommendations),
  ...routesOf(models),
  ...routesOf(vectors),
  ...routesOf(jobs),
  ...routesOf(system),
];
