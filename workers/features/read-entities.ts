import type { Catalog, CompiledGroup } from "../../models/features/catalog.ts";
import { decodeEntity } from "../../models/features/entity-state.ts";
import { entityTypeOf } from "../../models/features/fact-batch.ts";
import type { EntityShardPlaces } from "../adapters/entity-shards.ts";
import type { CachedEntity, EntityCache } from "./entity-cache.ts";
import { type CopyReads, readCopies } from "./read-copies.ts";

/** Names per read call, so that an answer of large states stays far below the 32 MiB an RPC may carry. */
const MAX_NAMES_PER_READ = 1_000;
const DEFAULT_COPY_DEADLINE_MS = 100;
/** A read is repeated for entities whose load was committed in between; two loads at once are rare, three are a mistake. */
const MAX_ROUNDS = 4;

export interface ReadDeps {
  readonly places: EntityShardPlaces;
  readonly cache: EntityCache;
  readonly catalog: Catalog;
  readonly now: () => number;
  /** Called with the number of entity states that were in memory, current, and that came from shards. */
  readonly onCacheReads: (fromMemory: number, fromShard: number) => void;
  /** Keeps a call alive that nobody waits for any more. */
  readonly background: (promise: Promise<unknown>) => void;
  /** Absent: shards answer every read that memory does not. */
  readonly copies?: CopyReads;
}

export interface ReadOptions {
  /** Copies up to this old are good enough, milliseconds; 0: the shards are asked about everything. */
  readonly maxAgeMs: number;
  readonly found: Map<string, CachedEntity>;
  /** Groups that are wanted of entities, and how long to wait for copies of them; absent: whole entities only. */
  readonly groups?: ReadonlyMap<string, readonly CompiledGroup[]>;
  readonly copyDeadlineMs?: number;
}

/**
 * Reads entities into `found`: what memory has and a shard confirmed within `maxAgeMs`, then copies in KV where the groups declare them
 * and the age allows them, the others by one call per object, which sends only states that memory does not have.
 */
export async function readEntities(
  deps: ReadDeps,
  tenant: string,
  names: readonly string[],
  options: ReadOptions,
): Promise<void> {
  const youngest = deps.now() - options.maxAgeMs;
  let wanted: string[] = [];
  for (const name of names) {
    const cached = deps.cache.get(tenant, name);
    if (cached && options.maxAgeMs > 0 && cached.checkedAt >= youngest) options.found.set(name, cached);
    else wanted.push(name);
  }
  if (wanted.length < names.length) deps.onCacheReads(names.length - wanted.length, 0);
  if (deps.copies && options.groups && options.maxAgeMs > 0 && wanted.length > 0) {
    const groups = new Map(wanted.map((name) => [name, options.groups?.get(name) ?? []]));
    const { maxAgeMs, found, copyDeadlineMs = DEFAULT_COPY_DEADLINE_MS } = options;
    await readCopies({ ...deps, copies: deps.copies }, tenant, groups, { maxAgeMs, found, deadlineMs: copyDeadlineMs });
    wanted = wanted.filter((name) => !found.has(name));
  }
  for (let round = 0; wanted.length > 0 && round < MAX_ROUNDS; round++) {
    const undecided = await readShards(deps, tenant, wanted, options.found);
    wanted = await overtakenBy(deps, undecided);
  }
}

/** One call per object. Returns the loads that were not committed when an object answered, with the entities it answered for. */
async function readShards(
  deps: ReadDeps,
  tenant: string,
  wanted: readonly string[],
  found: Map<string, CachedEntity>,
): Promise<Undecided> {
  const undecided: Undecided = new Map();
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
          found.set(name, entity);
        }
        for (const { load, coordinator } of answer.undecided ?? []) {
          const names = undecided.get(load)?.names ?? [];
          undecided.set(load, { coordinator, names: [...names, ...chunk] });
        }
      }
    }),
  );
  return undecided;
}

/** Loads by name, with the object that decides and the entities that were read without them. */
type Undecided = Map<string, { readonly coordinator: string; readonly names: readonly string[] }>;

/**
 * Entities that are to be read again: a load was committed after their object had answered, and another may have answered with it. A
 * load is not undone, so one that is still not committed was in no answer.
 */
async function overtakenBy(deps: ReadDeps, undecided: Undecided): Promise<string[]> {
  const names = new Set<string>();
  await Promise.all(
    [...undecided].map(async ([load, held]) => {
      const state = await deps.places.client(held.coordinator).loadState(load);
      if (state !== null && state.committedAt !== null) for (const name of held.names) names.add(name);
    }),
  );
  return [...names];
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
