/**
 * Exact search for the items of the largest dot product with a query, over all items: what a candidate list is made from
 * where the catalogue fits one isolate. Items lie as float32 in the kernels' memory, or in a plain array without them.
 */
import { loadKernels, type Kernels } from "./kernels.ts";

/** Bytes of items: an isolate has 128 MB for everything. 100,000 items of 64 dimensions take 26 MB. */
const MAX_BYTES = 96 << 20;
const PAGE_BYTES = 65_536;
/** The first bytes stay free, so that address 0 means "none". */
const START = 64;

export interface Neighbours {
  /** Positions of the items, best first; equal scores in the order of the positions. */
  readonly indices: Uint32Array;
  readonly scores: Float32Array;
}

export class VectorIndex {
  readonly count: number;
  readonly dimensions: number;
  readonly #limit: number;
  readonly #kernels: Kernels | null;
  /** Floats of one item, padded to whole SIMD lanes. */
  readonly #stride: number;
  readonly #items: Float32Array;
  readonly #query: Float32Array;
  readonly #scores: Float32Array;
  readonly #indices: Uint32Array;
  readonly #order: Uint32Array;

  /**
   * @param items `count × dimensions`, row-major; copied
   * @param limit most neighbours that a query may ask for
   * @throws RangeError where they do not fit
   */
  constructor(items: Float32Array, dimensions: number, limit: number, kernels: WebAssembly.Module | null) {
    const count = items.length / dimensions;
    if (!Number.isInteger(count) || !(dimensions >= 1) || !(limit >= 1))
      throw new RangeError(`${items.length} numbers are not items of ${dimensions} dimensions, or a limit of ${limit}`);
    this.count = count;
    this.dimensions = dimensions;
    this.#limit = Math.min(limit, Math.max(1, count));
    this.#stride = Math.ceil(dimensions / 4) * 4;
    const padded = Math.ceil(count / 4) * 4;
    const floats = padded * this.#stride;
    if (floats * 4 > MAX_BYTES) throw new RangeError(`${floats * 4} bytes of items; the limit is ${MAX_BYTES}`);
    const bytes = START + 4 * (floats + this.#stride + 2 * this.#limit);
    let buffer = new ArrayBuffer(0);
    if (kernels === null) {
      this.#kernels = null;
      buffer = new ArrayBuffer(bytes);
    } else {
      const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });
      this.#kernels = loadKernels(kernels, memory);
      buffer = memory.buffer;
    }
    this.#items = new Float32Array(buffer, START, floats);
    this.#query = new Float32Array(buffer, START + 4 * floats, this.#stride);
    this.#scores = new Float32Array(buffer, this.#query.byteOffset + this.#query.byteLength, this.#limit);
    this.#indices = new Uint32Array(buffer, this.#scores.byteOffset + this.#scores.byteLength, this.#limit);
    this.#order = new Uint32Array(this.#limit);
    for (let item = 0; item < count; item++)
      this.#items.set(items.subarray(item * dimensions, (item + 1) * dimensions), item * this.#stride);
  }

  /** Resident bytes. */
  get bytes(): number {
    return this.#items.buffer.byteLength;
  }

  /** The `k` best items, fewer where scores are not a number. The arrays are the caller's own. */
  topK(query: Float32Array, k: number): Neighbours {
    if (query.length !== this.dimensions || !(k >= 0) || (k > this.#limit && this.#limit < this.count))
      throw new RangeError(`a query of ${query.length} numbers for ${k} of ${this.count} items`);
    const limit = Math.min(k, this.#limit);
    this.#query.set(query);
    const found = limit === 0 ? 0 : this.#search(limit);
    const order = this.#order.subarray(0, found).map((_, rank) => rank);
    const [scores, indices] = [this.#scores, this.#indices];
    order.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || (indices[a] ?? 0) - (indices[b] ?? 0));
    return {
      indices: order.map((rank) => indices[rank] ?? 0),
      scores: Float32Array.from(order, (rank) => scores[rank] ?? 0),
    };
  }

  /** Leaves the best in `#scores` and `#indices`, in no order; returns how many. */
  #search(limit: number): number {
    if (this.#kernels === null) return this.#searchPlain(limit);
    return this.#kernels.topK(
      this.#items.byteOffset,
      Math.ceil(this.count / 4) * 4,
      this.count,
      this.#stride / 4,
      this.#query.byteOffset,
      limit,
      this.#scores.byteOffset,
      this.#indices.byteOffset,
    );
  }

  /** Insertion into a sorted list: few items of a large set ever enter. */
  #searchPlain(limit: number): number {
    let found = 0;
    for (let item = 0; item < this.count; item++) {
      let score = 0;
      for (let at = 0, from = item * this.#stride; at < this.dimensions; at++)
        score += (this.#items[from + at] ?? 0) * (this.#query[at] ?? 0);
      score = Math.fround(score);
      if (Number.isNaN(score) || (found === limit && score <= (this.#scores[limit - 1] ?? 0))) continue;
      let place = found < limit ? found++ : limit - 1;
      for (; place > 0 && (this.#scores[place - 1] ?? 0) < score; place--) {
        this.#scores[place] = this.#scores[place - 1] ?? 0;
        this.#indices[place] = this.#indices[place - 1] ?? 0;
      }
      this.#scores[place] = score;
      this.#indices[place] = item;
    }
    return found;
  }
}
