import { entityBytes, type EntityState } from "../models/features/entity-state.ts";

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

/** Least recently used first. Everything in it equals what is stored, so anything may be dropped at any time. */
export class ShardEntityCache {
  readonly #entries = new Map<string, { entity: ShardEntity; bytes: number }>();
  #bytes = 0;

  get(name: string): ShardEntity | undefined {
    const entry = this.#entries.get(name);
    if (!entry) return undefined;
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry.entity;
  }

  set(name: string, entity: ShardEntity): void {
    this.delete(name);
    const bytes = entityBytes(entity.state) + name.length * 2 + 200;
    this.#entries.set(name, { entity, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= MAX_BYTES) break;
      this.delete(oldest);
    }
  }

  delete(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    this.#entries.delete(name);
    this.#bytes -= entry.bytes;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}
