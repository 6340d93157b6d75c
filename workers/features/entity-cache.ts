import { entityBytes, type EntityState } from "../../models/features/entity-state.ts";
import { GenerationalCache } from "../../models/features/generational-cache.ts";

/** An entity's state as an isolate knows it. Never changed in place: a vector may still be finished from an older one. */
export interface CachedEntity {
  /** Null: the entity has no state. */
  readonly state: EntityState | null;
  readonly version: number;
  /** Newest ingestion time the state contains, epoch milliseconds; 0 without state. */
  readonly ingestedAt: number;
  /** When a shard last said so, epoch milliseconds. */
  readonly checkedAt: number;
}

/** 24 MB of the isolate's 128: about eight thousand entities of a hundred facts. */
export const MAX_CACHE_BYTES = 24 * 1024 * 1024;

/** Copies of entity state in the memory of one isolate, bounded in bytes; what was not used for longest goes. */
export class EntityCache {
  readonly #entries: GenerationalCache<CachedEntity>;

  constructor(maxBytes = MAX_CACHE_BYTES) {
    this.#entries = new GenerationalCache(maxBytes);
  }

  get(tenant: string, name: string): CachedEntity | undefined {
    return this.#entries.get(`${tenant}/${name}`);
  }

  /** Keeps a copy unless a newer one is there: answers may overtake each other. */
  put(tenant: string, name: string, entity: CachedEntity): void {
    const key = `${tenant}/${name}`;
    const known = this.#entries.get(key);
    if (known && known.version > entity.version) return;
    this.#entries.set(key, entity, (entity.state === null ? 0 : entityBytes(entity.state)) + key.length * 2 + 200);
  }
}
