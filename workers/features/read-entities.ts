import type { Catalog } from "../../models/features/catalog.ts";
import { decodeEntity } from "../../models/features/entity-state.ts";
import { entityTypeOf } from "../../models/features/fact-batch.ts";
import type { EntityShardPlaces } from "../adapters/entity-shards.ts";
import type { CachedEntity, EntityCache } from "./entity-cache.ts";

/** Names per read call, so that an answer of large states stays far below the 32 MiB an RPC may carry. */
const MAX_NAMES_PER_READ = 1_000;

export interface ReadDeps {
  readonly places: EntityShardPlaces;
  readonly cache: EntityCache;
  readonly catalog: Catalog;
  readonly now: () => number;
  /** Called with the number of entity states that were in memory, current, and that came from shards. */
  readonly onCacheReads: (fromMemory: number, fromShard: number) => void;
}

/**
 * Reads entities into `found`: copies in memory that a shard confirmed within `maxAgeMs` as they are, the others by one call per
 * object, which sends only states that memory does not have.
 */
export async function readEntities(
  deps: ReadDeps,
  tenant: string,
  names: readonly string[],
  options: { readonly maxAgeMs: number; readonly found: Map<string, CachedEntity> },
): Promise<void> {
  const youngest = deps.now() - options.maxAgeMs;
  const wanted: string[] = [];
  for (const name of names) {
    const cached = deps.cache.get(tenant, name);
    if (cached && options.maxAgeMs > 0 && cached.checkedAt >= youngest) options.found.set(name, cached);
    else wanted.push(name);
  }
  if (wanted.length < names.length) deps.onCacheReads(names.length - wanted.length, 0);
  const byObject = Map.groupBy(wanted, (name) => deps.places.nameOf(tenant, name));
  await Promise.all(
    [...byObject].map(async ([object, part]) => {
      for (let from = 0; from < part.length; from += MAX_NAMES_PER_READ) {
        const chunk = part.slice(from, from + MAX_NAMES_PER_READ);
        const known = chunk.map((name) => deps.cache.get(tenant, name));
        const versions = known.map((entity) => entity?.version ?? -1);
        const answer = await deps.places.client(object).read(chunk, versions);
        for (const [index, entity] of entitiesOf(deps, chunk, known, answer).entries()) {
          const name = chunk[index] ?? "";
          deps.cache.put(tenant, name, entity);
          options.found.set(name, entity);
        }
      }
    }),
  );
}

/** The entities that a shard's answer describes, in its order: what it sent, or what memory already had. */
export function entitiesOf(
  deps: Pick<ReadDeps, "catalog" | "now" | "onCacheReads">,
  names: readonly string[],
  known: readonly (CachedEntity | undefined)[],
  answer: { versions: number[]; ingestedAt: number[]; states: (Uint8Array | null)[] },
): CachedEntity[] {
  const checkedAt = deps.now();
  let fromMemory = 0;
  const entities = names.map((name, index) => {
    const version = answer.versions[index] ?? 0;
    const bytes = answer.states[index] ?? null;
    const cached = known[index];
    const isCurrent = cached !== undefined && cached.version === version;
    if (isCurrent) fromMemory++;
    const remembered = isCurrent ? cached.state : null;
    const state = bytes ? decodeEntity(bytes, deps.catalog.layouts(entityTypeOf(name))) : remembered;
    return { state, version, ingestedAt: answer.ingestedAt[index] ?? 0, checkedAt };
  });
  deps.onCacheReads(fromMemory, names.length - fromMemory);
  return entities;
}
