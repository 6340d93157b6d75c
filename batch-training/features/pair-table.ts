/** Numbers texts, known by pairs of hashes, in the order of their first appearance: an open-addressing table of typed arrays. */
export class PairTable {
  size = 0;
  #slots: Int32Array;
  #a: Float64Array;
  #b: Float64Array;

  constructor(expected = 1_024) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(16, expected)));
    this.#slots = new Int32Array(capacity * 2).fill(-1);
    this.#a = new Float64Array(capacity);
    this.#b = new Float64Array(capacity);
  }

  /** The number of a pair, given now if it is new. */
  add(a: number, b: number): number {
    const slot = this.#find(a, b);
    const known = this.#slots[slot] as number;
    if (known >= 0) return known;
    if (this.size === this.#a.length) {
      this.#grow();
      return this.add(a, b);
    }
    this.#a[this.size] = a;
    this.#b[this.size] = b;
    this.#slots[slot] = this.size;
    return this.size++;
  }

  /** The number of a pair; -1: unknown. */
  get(a: number, b: number): number {
    return this.#slots[this.#find(a, b)] as number;
  }

  #find(a: number, b: number): number {
    const mask = this.#slots.length - 1;
    // The low 32 bits of each, mixed: sequences of small numbers must not pile up.
    let slot = Math.imul((a | 0) ^ Math.imul(b | 0, 0x9e37_79b1), 0x85eb_ca6b);
    slot = (slot ^ (slot >>> 15)) & mask;
    for (;;) {
      const at = this.#slots[slot] as number;
      if (at < 0 || (this.#a[at] === a && this.#b[at] === b)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    const a = new Float64Array(this.#a.length * 2);
    const b = new Float64Array(this.#b.length * 2);
    a.set(this.#a);
    b.set(this.#b);
    this.#a = a;
    this.#b = b;
    this.#slots = new Int32Array(a.length * 2).fill(-1);
    for (let at = 0; at < this.size; at++) this.#slots[this.#find(a[at] as number, b[at] as number)] = at;
  }
}
