import { entityBytes, type EntityState } from "../../models/features/entity-state.ts";

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

/** Copies of entity state in the memory of one isolate, least recently used first, bounded in bytes. */
export class EntityCache {
  readonly #entries = new Map<string, { entity: CachedEntity; bytes: number }>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes = MAX_CACHE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get(tenant: string, name: string): CachedEntity | undefined {
    const key = `${tenant}/${name}`;
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.entity;
  }

  /** Keeps a copy unless a newer one is there: answers may overtake each other. */
  put(tenant: string, name: string, entity: CachedEntity): void {
    const key = `${tenant}/${name}`;
    const known = this.#entries.get(key);
    if (known && known.entity.version > entity.version) return;
    this.#remove(key);
    const bytes = (entity.state === null ? 0 : entityBytes(entity.state)) + key.length * 2 + 200;
    this.#entries.set(key, { entity, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#remove(oldest);
    }
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}
