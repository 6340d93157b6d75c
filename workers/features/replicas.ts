import type { EntityFact } from "../../models/features/catalog.ts";
import { mergeParts } from "../../models/features/merge-states.ts";
import type { Catalog } from "../../models/features/catalog.ts";
import { entityName, entityTypeOf } from "../../models/features/fact-batch.ts";
import { ENTITY_TYPES } from "../../models/features/feature-store.ts";
import type { CachedEntity } from "./entity-cache.ts";

/**
 * Hot entities are kept in several parts, each in the shard that its name hashes to: `product:p1`, `product:p1#1`, `product:p1#2`, … The
 * first is the entity as it was before it was hot, so its history stays. A fact belongs to the part that its identity chooses, so it is
 * counted once; reading merges the parts. `#` is in no id.
 */
export type Replicas = (name: string) => number;

/** Parts that one entity may have: each is one more state to read for every vector. */
export const MAX_REPLICAS = 64;
/** They are listed in a variable of the deployment. */
export const MAX_HOT_ENTITIES = 100;

/** Names of an entity's parts; the entity itself where it is not hot. */
export function partsOf(name: string, replicas: Replicas): string[] {
  const count = replicas(name);
  return count <= 1 ? [name] : Array.from({ length: count }, (_, part) => partName(name, part));
}

/** The fact, addressed to the part of its entity that it belongs to. */
export function routedFact(fact: EntityFact, replicas: Replicas): EntityFact {
  const count = replicas(entityName(fact.entity));
  if (count <= 1) return fact;
  const { type, id } = fact.entity;
  return { ...fact, entity: { type, id: partName(id, fact.fact.identity % count) } };
}

function partName(name: string, part: number): string {
  return part === 0 ? name : `${name}#${part}`;
}

/** One state from those of all parts; undefined while one is unknown. The version is the sum, so it moves with every part. */
export function mergedEntity(
  parts: readonly (CachedEntity | undefined)[],
  name: string,
  catalog: Catalog,
): CachedEntity | undefined {
  const [first, ...rest] = parts;
  if (rest.length === 0) return first;
  let merged = first;
  const layouts = catalog.layouts(entityTypeOf(name));
  for (const part of rest) {
    if (!merged || !part) return undefined;
    merged = {
      state:
        merged.state === null || part.state === null
          ? (merged.state ?? part.state)
          : mergeParts(merged.state, part.state, layouts),
      version: merged.version + part.version,
      ingestedAt: Math.max(merged.ingestedAt, part.ingestedAt),
      checkedAt: Math.min(merged.checkedAt, part.checkedAt),
    };
  }
  return merged;
}

export interface HotEntity {
  /** `type:id`; the id is a pseudonym where the entity is personal. */
  readonly entity: string;
  readonly parts: number;
}

/** Reads `product:p1=8,terminal:t7=4`. Throws where it says anything else. */
export function parseHotEntities(text: string): HotEntity[] {
  const counts = new Map<string, number>();
  for (const entry of text.split(",").map((part) => part.trim())) {
    if (entry === "") continue;
    const [, name, count] = /^([a-z_]+:[^=#]+)=(\d+)$/.exec(entry) ?? [];
    const parts = Number(count);
    if (name === undefined || parts < 1 || parts > MAX_REPLICAS)
      throw new Error(`"${entry}" is not TYPE:ID=PARTS with 1 to ${MAX_REPLICAS} parts`);
    if (!ENTITY_TYPES.includes(entityTypeOf(name)))
      throw new Error(`"${entry}" has no type of entity; it is one of ${ENTITY_TYPES.join(", ")}`);
    if (counts.has(name)) throw new Error(`${name} is given twice`);
    counts.set(name, parts);
  }
  if (counts.size > MAX_HOT_ENTITIES) throw new Error(`at most ${MAX_HOT_ENTITIES} entities may be hot`);
  return [...counts].map(([entity, parts]) => ({ entity, parts }));
}

export function replicasOf(hot: readonly HotEntity[]): Replicas {
  const counts = new Map(hot.map(({ entity, parts }) => [entity, parts]));
  return counts.size === 0 ? () => 1 : (name) => counts.get(name) ?? 1;
}
