import { hashText } from "../sharding/virtual-shards.ts";
import { ServedFileError } from "./array-file.ts";

/** Many short ASCII strings in two arrays: a hundred thousand ids cost their letters and 4 bytes each, and no object. */
export interface PackedStrings {
  /** All letters, one string after another. */
  readonly letters: Uint8Array;
  /** `count + 1` offsets into `letters`. */
  readonly start: Int32Array;
}

/** Longest string, in letters: an identifier of the contract. */
const MAX_LETTERS = 128;

/** @throws ServedFileError for a string that is not printable ASCII or too long */
export function packStrings(strings: readonly string[]): PackedStrings {
  const start = new Int32Array(strings.length + 1);
  for (const [index, text] of strings.entries()) {
    if (text.length > MAX_LETTERS || !/^[ -~]*$/.test(text)) {
      throw new ServedFileError(`"${text.slice(0, 64)}" is not printable ASCII of at most ${MAX_LETTERS} letters`);
    }
    start[index + 1] = (start[index] ?? 0) + text.length;
  }
  const letters = new Uint8Array(start[strings.length] ?? 0);
  for (const [index, text] of strings.entries()) {
    const from = start[index] ?? 0;
    for (let at = 0; at < text.length; at++) letters[from + at] = text.charCodeAt(at);
  }
  return { letters, start };
}

export function unpackString(packed: PackedStrings, index: number): string {
  let text = "";
  const to = packed.start[index + 1] ?? 0;
  for (let at = packed.start[index] ?? 0; at < to; at++) text += String.fromCharCode(packed.letters[at] ?? 0);
  return text;
}

/** Position of a string among packed ones: open addressing over a table of at least twice as many places. */
export class PackedLookup {
  readonly #packed: PackedStrings;
  /** Index + 1 of the string at each place; 0: free. */
  readonly #places: Int32Array;
  readonly #mask: number;

  /** @throws ServedFileError where two strings are equal */
  constructor(packed: PackedStrings) {
    const count = packed.start.length - 1;
    let size = 16;
    while (size < count * 2) size *= 2;
    this.#packed = packed;
    this.#places = new Int32Array(size);
    this.#mask = size - 1;
    for (let index = 0; index < count; index++) {
      const text = unpackString(packed, index);
      const place = this.#placeOf(text);
      if ((this.#places[place] ?? 0) !== 0) throw new ServedFileError(`"${text}" occurs twice`);
      this.#places[place] = index + 1;
    }
  }

  get bytes(): number {
    return this.#places.byteLength;
  }

  /** -1 where it is not among them. */
  indexOf(text: string): number {
    return (this.#places[this.#placeOf(text)] ?? 0) - 1;
  }

  /** The place that holds the string, or the free one where it would be put. */
  #placeOf(text: string): number {
    let place = hashText(text) & this.#mask;
    for (;;) {
      const index = (this.#places[place] ?? 0) - 1;
      if (index < 0 || this.#equals(index, text)) return place;
      place = (place + 1) & this.#mask;
    }
  }

  #equals(index: number, text: string): boolean {
    const { letters, start } = this.#packed;
    const from = start[index] ?? 0;
    if ((start[index + 1] ?? 0) - from !== text.length) return false;
    for (let at = 0; at < text.length; at++) if (letters[from + at] !== text.charCodeAt(at)) return false;
    return true;
  }
}
