/**
 * Finds an earlier row with the same user, item and time: open addressing with linear probing over row numbers, because a `Map` with
 * composite keys stops at 2^24 entries and takes ten times the memory.
 */
export class RowIndex {
  #slots = new Int32Array(1024).fill(-1);
  #count = 0;
  readonly #hashes: number[] = [];
  readonly #bits = new DataView(new ArrayBuffer(8));

  /**
   * @param same tells whether the row with the given number equals the new one.
   * @returns the earlier row's number, or -1 after `row` has been recorded.
   */
  find(
    row: number,
    key: { readonly user: number; readonly item: number; readonly time: number },
    same: (earlier: number) => boolean,
  ): number {
    const hash = this.#hash(key.user, key.item, key.time);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let earlier = this.#slots[slot] ?? -1; earlier >= 0; earlier = this.#slots[slot] ?? -1) {
      if (this.#hashes[earlier] === hash && same(earlier)) return earlier;
      slot = (slot + 1) & mask;
    }
    this.#slots[slot] = row;
    this.#hashes[row] = hash;
    if (++this.#count * 2 > this.#slots.length) this.#grow();
    return -1;
  }

  #hash(user: number, item: number, time: number): number {
    this.#bits.setFloat64(0, time);
    let h = Math.imul(user, 0x9e3779b1) ^ Math.imul(item, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 15) ^ this.#bits.getInt32(0), 0xc2b2ae35);
    h = Math.imul(h ^ (h >>> 13) ^ this.#bits.getInt32(4), 0x27d4eb2f);
    return (h ^ (h >>> 16)) >>> 1;
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(-1);
    const mask = slots.length - 1;
    for (const row of this.#slots) {
      if (row < 0) continue;
      let slot = (this.#hashes[row] ?? 0) & mask;
      while ((slots[slot] ?? -1) >= 0) slot = (slot + 1) & mask;
      slots[slot] = row;
    }
    this.#slots = slots;
  }
}
