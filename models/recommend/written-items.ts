/** Which places of a score array were written, while they are few. */
export class WrittenItems {
  readonly #items: Int32Array;
  #count = 0;
  #overflown = false;

  /** @param most notes that are kept */
  constructor(most: number) {
    this.#items = new Int32Array(most);
  }

  get bytes(): number {
    return this.#items.byteLength;
  }

  clear(): void {
    this.#count = 0;
    this.#overflown = false;
  }

  /** An item may be noted again. */
  note(item: number): void {
    if (this.#count < this.#items.length) this.#items[this.#count++] = item;
    else this.#overflown = true;
  }

  /** The items noted, ascending, each once, until the next `clear`; null where they were too many. */
  ascending(): Int32Array | null {
    if (this.#overflown) return null;
    const noted = this.#items.subarray(0, this.#count).sort();
    let distinct = 0;
    for (const item of noted) if (distinct === 0 || noted[distinct - 1] !== item) noted[distinct++] = item;
    return noted.subarray(0, distinct);
  }
}

/** For whoever fills the whole array anyway. */
export const NOT_NOTED = new WrittenItems(0);
