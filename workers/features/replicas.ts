import type { EntityFact } from "../../models/features/catalog.ts";
import { mergeEntities } from "../../models/features/merge-states.ts";
import type { Catalog } from "../../models/features/catalog.ts";
import { entityName, entityTypeOf } from "../../models/features/fact-batch.ts";
import type { CachedEntity } from "./entity-cache.ts";

/**
 * Hot entities are kept in several parts, each in the shard that its name hashes to: `product:p1#0`, `product:p1#1`, … A fact belongs to
 * the part that its identity chooses, so it is counted once; reading merges the parts. `#` is in no id.
 */
export type Replicas = (name: string) => number;

/** Parts that one entity may have: each is one more state to read for every vector. */
export const MAX_REPLICAS = 64;

/** Names of an entity's parts; the entity itself where it is not hot. */
export function partsOf(name: string, replicas: Replicas): string[] {
  const count = replicas(name);
  return count <= 1 ? [name] : Array.from({ length: count }, (_, part) => `${name}#${part}`);
}

/** The fact, addressed to the part of its entity that it belongs to. */
export function routedFact(fact: EntityFact, replicas: Replicas): EntityFact {
  const count = replicas(entityName(fact.entity));
  if (count <= 1) return fact;
  const { type, id } = fact.entity;
  return { ...fact, entity: { type, id: `${id}#${fact.fact.identity % count}` } };
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
          : mergeEntities(merged.state, part.state, layouts, "disjoint"),
      version: merged.version + part.version,
      ingestedAt: Math.max(merged.ingestedAt, part.ingestedAt),
      checkedAt: Math.min(merged.checkedAt, part.checkedAt),
    };
  }
  return merged;
}

/** Reads `product:p1=8,terminal:t7=4`. Throws where it says anything else. */
export function parseReplicas(text: string): Replicas {
  const counts = new Map<string, number>();
  for (const entry of text.split(",").filter((part) => part !== "")) {
    const [, name, count] = /^([a-z]+:[^=#]+)=(\d+)$/.exec(entry) ?? [];
    const parts = Number(count);
    if (name === undefined || parts < 1 || parts > MAX_REPLICAS)
      throw new Error(`hot entities: "${entry}" is not TYPE:ID=PARTS with 1 to ${MAX_REPLICAS} parts`);
    counts.set(name, parts);
  }
  return (name) => counts.get(name) ?? 1;
}
