import { entityBytes, type EntityState } from "../models/features/entity-state.ts";
import { GenerationalCache } from "../models/features/generational-cache.ts";

/** Decoded states kept by one object, in bytes: an object shares 128 MB with the isolate it runs in. */
const MAX_BYTES = 32 * 1024 * 1024;

/** One entity in the memory of its object. Mutable: the object is its only owner. */
export interface ShardEntity {
  readonly name: string;
  readonly id: number;
  version: number;
  ingestedAt: number;
  stored: boolean;
  readonly state: EntityState;
  /** Facts stored behind the row, in the tail. */
  tail: number;
  /** Of these, those of groups that this build does not know, encoded. */
  readonly foreignTail: Uint8Array[];
}

/** Everything in it equals what is stored, so anything may be dropped at any time. */
export class ShardEntityCache {
  readonly #entries = new GenerationalCache<ShardEntity>(MAX_BYTES);

  get(name: string): ShardEntity | undefined {
    return this.#entries.get(name);
  }

  set(name: string, entity: ShardEntity): void {
    this.#entries.set(name, entity, entityBytes(entity.state) + name.length * 2 + 200);
  }

  delete(name: string): void {
    this.#entries.delete(name);
  }

  clear(): void {
    this.#entries.clear();
  }
}
