/** Bits per page; a page is 2 KiB. */
const PAGE_BITS = 16_384;

/** 65,536 pages: 128 MiB at most, enough for a billion consecutive ids, or for files whose ids lie far apart. */
const MAX_PAGES = 65_536;

/** Remembers which whole numbers have been seen, in a bit each where they are dense. */
export class TransactionIds {
  readonly #pages = new Map<number, Uint32Array>();

  /** False when the id was there before. @throws {RangeError} when the ids are too many and too far apart to be remembered */
  add(id: number): boolean {
    const number = Math.floor(id / PAGE_BITS);
    let page = this.#pages.get(number);
    if (page === undefined) {
      if (this.#pages.size >= MAX_PAGES)
        throw new RangeError("the TRANSACTION_ID values are too far apart to find duplicates in bounded memory");
      page = new Uint32Array(PAGE_BITS / 32);
      this.#pages.set(number, page);
    }
    const bit = id % PAGE_BITS;
    const word = page[bit >> 5] ?? 0;
    const mask = 1 << (bit & 31);
    if ((word & mask) !== 0) return false;
    page[bit >> 5] = word | mask;
    return true;
  }
}
