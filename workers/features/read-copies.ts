import type { Catalog, CompiledGroup } from "../../models/features/catalog.ts";
import { copyKey, decodeCopy } from "../../models/features/entity-copy.ts";
import type { EntityState } from "../../models/features/entity-state.ts";
import { entityTypeOf } from "../../models/features/fact-batch.ts";
import { within } from "../deadline.ts";
import type { CachedEntity, EntityCache } from "./entity-cache.ts";

/**
 * How old a copy may be when it is read, milliseconds: KV keeps what it read for 30 seconds at a location, its shortest; a shard writes a
 * change within a few; the rest is the way. A reader that allows less does not get copies.
 */
export const COPY_AGE_MS = 40_000;
export const COPY_CACHE_SECONDS = 30;

/** Where copies of entity state are read. */
export interface CopyReads {
  /** Texts by key; a key without a copy is absent. */
  readonly read: (keys: readonly string[]) => Promise<ReadonlyMap<string, string>>;
  /** Of its own: a copy has the state of one group, and must never be taken for an entity's whole state. */
  readonly memory: EntityCache;
  /** Called with the number of entities that copies answered for. */
  readonly onReads: (count: number) => void;
}

interface Deps {
  readonly copies: CopyReads;
  readonly catalog: Catalog;
  readonly now: () => number;
  readonly background: (promise: Promise<unknown>) => void;
}

/**
 * Fills `found` from copies, where every group that is wanted of an entity has one: from memory, or with bulk reads of KV. What stays
 * out is the shards' to answer. A copy store that fails or is slow answers for nothing.
 */
export async function readCopies(
  deps: Deps,
  tenant: string,
  wanted: ReadonlyMap<string, readonly CompiledGroup[]>,
  options: { readonly maxAgeMs: number; readonly deadlineMs: number; readonly found: Map<string, CachedEntity> },
): Promise<void> {
  if (options.maxAgeMs < COPY_AGE_MS) return;
  const youngest = deps.now() - options.maxAgeMs;
  const keys = new Map<string, { name: string; group: CompiledGroup }>();
  const copied = [...wanted].filter(
    ([, groups]) => groups.length > 0 && groups.every((group) => group.definition.copies !== null),
  );
  for (const [name, groups] of copied) {
    for (const group of groups) {
      const known = deps.copies.memory.get(tenant, memoryName(name, group));
      if (known && known.checkedAt >= youngest) continue;
      keys.set(copyKey({ tenant, group: group.name, id: name.slice(entityTypeOf(name).length + 1) }), { name, group });
    }
  }
  const fresh = new Set<string>();
  if (keys.size > 0) await fetchCopies(deps, tenant, keys, options.deadlineMs, fresh);
  let answered = 0;
  for (const [name, groups] of copied) {
    const parts = groups.map((group) => deps.copies.memory.get(tenant, memoryName(name, group)));
    const whole = joined(parts, youngest, (index) => fresh.has(memoryName(name, groups[index])));
    if (!whole) continue;
    options.found.set(name, whole);
    answered++;
  }
  if (answered > 0) deps.copies.onReads(answered);
}

function memoryName(name: string, group: CompiledGroup | undefined): string {
  return `${name}/${group?.name}`;
}

async function fetchCopies(
  deps: Deps,
  tenant: string,
  keys: ReadonlyMap<string, { name: string; group: CompiledGroup }>,
  deadlineMs: number,
  fresh: Set<string>,
): Promise<void> {
  const texts = await within(deps.copies.read([...keys.keys()]), deadlineMs, deps.background).catch(() => null);
  if (texts === null) return;
  const checkedAt = deps.now() - COPY_AGE_MS;
  for (const [key, { name, group }] of keys) {
    const text = texts.get(key);
    if (text === undefined) continue;
    try {
      const copy = decodeCopy(text, deps.catalog.layouts(entityTypeOf(name)));
      // Memory keeps what is newer: an older copy never takes its place.
      deps.copies.memory.put(tenant, memoryName(name, group), { ...copy, checkedAt });
      fresh.add(memoryName(name, group));
    } catch {
      // Written by a build that lays state out in another way; the shards answer.
    }
  }
}

/** One entity from the copies of its groups, as old as the oldest; undefined where one is missing or too old. */
function joined(
  parts: readonly (CachedEntity | undefined)[],
  youngest: number,
  isFresh: (index: number) => boolean,
): CachedEntity | undefined {
  const groups: EntityState["groups"] = [];
  let whole: Omit<CachedEntity, "state"> | undefined;
  for (const [index, part] of parts.entries()) {
    if (!part || !(isFresh(index) || part.checkedAt >= youngest)) return undefined;
    for (const [slot, group] of (part.state?.groups ?? []).entries()) groups[slot] = group ?? groups[slot] ?? null;
    whole = {
      version: Math.min(whole?.version ?? Infinity, part.version),
      ingestedAt: Math.min(whole?.ingestedAt ?? Infinity, part.ingestedAt),
      checkedAt: Math.min(whole?.checkedAt ?? Infinity, part.checkedAt),
    };
  }
  return whole && { state: { groups, foreign: [] }, ...whole };
}
