/**
 * Entries by key, bounded in bytes, in two generations: what is used moves to the young one; when that holds half of what is allowed, it
 * becomes the old one, and the old one goes. Every operation takes constant time: a map kept in the order of use, where entries are
 * removed at the front, leaves gaps there that each look at the first entry walks over.
 */
export class GenerationalCache<V> {
  readonly #halfBytes: number;
  #young = new Map<string, { readonly value: V; readonly bytes: number }>();
  #old = new Map<string, { readonly value: V; readonly bytes: number }>();
  #youngBytes = 0;

  constructor(maxBytes: number) {
    this.#halfBytes = maxBytes / 2;
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young) return young.value;
    const old = this.#old.get(key);
    if (!old) return undefined;
    this.#keep(key, old);
    return old.value;
  }

  /** `bytes`: what the entry takes, roughly; more than half of the bound is kept alone until the next one. */
  set(key: string, value: V, bytes: number): void {
    const known = this.#young.get(key);
    if (known) this.#youngBytes -= known.bytes;
    this.#keep(key, { value, bytes });
  }

  delete(key: string): void {
    const known = this.#young.get(key);
    if (known) this.#youngBytes -= known.bytes;
    this.#young.delete(key);
    this.#old.delete(key);
  }

  clear(): void {
    this.#young = new Map();
    this.#old = new Map();
    this.#youngBytes = 0;
  }

  #keep(key: string, entry: { readonly value: V; readonly bytes: number }): void {
    this.#young.set(key, entry);
    this.#youngBytes += entry.bytes;
    if (this.#youngBytes <= this.#halfBytes) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
  }
}
