import type { RoutingRecord } from "../../models/contract/api/models.ts";
import type { Manifest } from "../../models/contract/manifest.ts";
import type { ModelStore } from "../adapters/model-store.ts";

export interface RebuildDeps {
  readonly store: ModelStore;
  readonly register: (tenant: string, manifest: Manifest, by: string) => Promise<void>;
  /** The truth about what serves and served, oldest first; empty when nothing was promoted. */
  readonly routing: (tenant: string, model: string) => Promise<readonly RoutingRecord[]>;
  readonly restoreRouting: (tenant: string, records: readonly RoutingRecord[]) => Promise<void>;
}

export interface RebuildReport {
  readonly models: number;
  readonly versions: number;
  readonly refused: { key: string; reason: string }[];
}

/** Versions looked at in one call: a bound on one request, far above what a tenant keeps. */
const MAX_VERSIONS = 2_000;

/** Fills the registry's tables from R2's manifests and the routing objects. What is there already stays as it is. */
export async function rebuildRegistry(deps: RebuildDeps, tenant: string, by: string): Promise<RebuildReport> {
  const names = new Set<string>();
  const refused: { key: string; reason: string }[] = [];
  let versions = 0;
  for await (const place of deps.store.versions(tenant)) {
    if (versions + refused.length >= MAX_VERSIONS) break;
    const manifest = await deps.store.manifest(place);
    if (!manifest.ok) {
      refused.push({ key: `${place.name}/${place.version}`, reason: manifest.error.reason });
      continue;
    }
    await deps.register(tenant, manifest.value, by);
    names.add(place.name);
    versions++;
  }
  for (const name of names) {
    await deps.restoreRouting(tenant, await deps.routing(tenant, name));
  }
  return { models: names.size, versions, refused };
}
