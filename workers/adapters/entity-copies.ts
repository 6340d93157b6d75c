/** Keys of one bulk read of KV. */
const KEYS_PER_READ = 100;

/** Copies of entity state in KV, written by the entity shards. */
export class EntityCopies {
  readonly #kv: KVNamespace;
  readonly #cacheSeconds: number;

  constructor(kv: KVNamespace, cacheSeconds: number) {
    this.#kv = kv;
    this.#cacheSeconds = cacheSeconds;
  }

  /** Texts by key; a key without a copy is absent. */
  async read(keys: readonly string[]): Promise<Map<string, string>> {
    const chunks = Array.from({ length: Math.ceil(keys.length / KEYS_PER_READ) }, (_, index) =>
      keys.slice(index * KEYS_PER_READ, (index + 1) * KEYS_PER_READ),
    );
    const options = { type: "text", cacheTtl: this.#cacheSeconds } as const;
    const read = await Promise.all(chunks.map((chunk) => this.#kv.get([...chunk], options)));
    return new Map(read.flatMap((texts) => [...texts].flatMap(([key, text]) => (text === null ? [] : [[key, text]]))));
  }
}
