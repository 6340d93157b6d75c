/**
 * Where an entity's state lives: it hashes to one of a fixed number of virtual shards, and objects hold contiguous ranges of
 * them. The number of objects is configuration; a virtual shard never changes, so a reshard moves whole ranges.
 */

/** Virtual shards per kind of object. Fixed for ever: it is part of where data is. */
export const VIRTUAL_SHARDS = 1_024;

/** 32-bit FNV-1a over UTF-16 code units, low byte then high byte (http://www.isthe.com/chongo/tech/comp/fnv/), then a final mix. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  // The multiply-xorshift finaliser of MurmurHash3 spreads the low entropy of short ids over all bits.
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export function virtualShardOf(key: string): number {
  return hashText(key) % VIRTUAL_SHARDS;
}

/** The object, 0 … objects-1, that holds a virtual shard. Ranges differ in length by at most one. */
export function objectOfShard(virtualShard: number, objects: number): number {
  return Math.floor((virtualShard * objects) / VIRTUAL_SHARDS);
}

export function objectOf(key: string, objects: number): number {
  return objectOfShard(virtualShardOf(key), objects);
}
