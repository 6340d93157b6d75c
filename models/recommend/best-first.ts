/** Items of a catalogue are fewer: 2,000,000 of a model and 50,000 that came after it. */
const ITEMS = 2 ** 21;
const LARGEST = 2 ** 31 - 1;

/**
 * Orders candidates by score, the lower item first among equals. A candidate becomes one whole number below 2^53, made of the bits of its score and
 * its item, so that the engine's own sort of numbers can do it: several times quicker than one that asks a function about each pair.
 */
export class BestFirst {
  readonly #keys: Float64Array;
  readonly #score = new Float32Array(1);
  readonly #bits = new Int32Array(this.#score.buffer);
  #size = 0;

  constructor(most: number) {
    this.#keys = new Float64Array(most);
  }

  /** @param score a float32, not NaN */
  add(item: number, score: number): void {
    // -0 becomes 0.
    this.#score[0] = score + 0;
    const bits = this.#bits[0] ?? 0;
    // Negative floats count down as their bits count up.
    const rising = bits < 0 ? bits ^ LARGEST : bits;
    this.#keys[this.#size++] = (LARGEST - rising) * ITEMS + item;
  }

  /** The items added, best first. */
  items(): Int32Array {
    const keys = this.#keys.subarray(0, this.#size).sort();
    const items = new Int32Array(keys.length);
    for (let place = 0; place < items.length; place++) items[place] = (keys[place] ?? 0) % ITEMS;
    return items;
  }
}
