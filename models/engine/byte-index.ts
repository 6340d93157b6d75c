/**
 * As `VectorIndex`, over items of 8-bit integers with one scale each: a quarter of the memory. A score differs from the exact one by the rounding of the
 * item, at most half its scale times the sum of the query's magnitudes.
 */
import { loadKernels, type Kernels } from "./kernels.ts";
import type { Neighbours } from "./vector-index.ts";

/** Bytes of items: an isolate has 128 MB for everything. 100,000 items of 64 dimensions take 7 MB. */
const MAX_BYTES = 96 << 20;
const PAGE_BYTES = 65_536;
const START = 64;
/** Integers of one SIMD register: an item's row is padded to whole ones. */
const LANES = 16;

export class ByteIndex {
  readonly count: number;
  readonly dimensions: number;
  readonly #limit: number;
  readonly #kernels: Kernels;
  readonly #stride: number;
  readonly #items: Int8Array;
  readonly #query: Int16Array;
  readonly #scales: Float32Array;
  readonly #scores: Float32Array;
  readonly #indices: Uint32Array;
  /** Largest integer of a query: the sum over all dimensions stays below 2^31. */
  readonly #queryRange: number;

  /**
   * @param items `count × dimensions`, row-major; rounded and copied
   * @param limit most neighbours that a query may ask for
   * @throws RangeError where they do not fit
   */
  constructor(items: Float32Array, dimensions: number, limit: number, kernels: WebAssembly.Module) {
    const count = items.length / dimensions;
    if (!Number.isInteger(count) || !(dimensions >= 1) || !(limit >= 1))
      throw new RangeError(`${items.length} numbers are not items of ${dimensions} dimensions, or a limit of ${limit}`);
    this.count = count;
    this.dimensions = dimensions;
    this.#limit = Math.min(limit, Math.max(1, count));
    this.#stride = Math.ceil(dimensions / LANES) * LANES;
    this.#queryRange = Math.min(32_767, Math.floor(2_147_483_647 / (127 * this.#stride)));
    const rows = count * this.#stride;
    if (rows > MAX_BYTES) throw new RangeError(`${rows} bytes of items; the limit is ${MAX_BYTES}`);
    const bytes = START + rows + 2 * this.#stride + 4 * count + 8 * this.#limit;
    const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });
    this.#kernels = loadKernels(kernels, memory);
    const { buffer } = memory;
    this.#items = new Int8Array(buffer, START, rows);
    this.#query = new Int16Array(buffer, START + rows, this.#stride);
    this.#scales = new Float32Array(buffer, START + rows + 2 * this.#stride, count);
    this.#scores = new Float32Array(buffer, this.#scales.byteOffset + 4 * count, this.#limit);
    this.#indices = new Uint32Array(buffer, this.#scores.byteOffset + 4 * this.#limit, this.#limit);
    for (let item = 0; item < count; item++) {
      const row = items.subarray(item * dimensions, (item + 1) * dimensions);
      const scale = largest(row) / 127;
      this.#scales[item] = scale;
      for (let at = 0; at < dimensions; at++) {
        this.#items[item * this.#stride + at] = scale === 0 ? 0 : Math.round((row[at] ?? 0) / scale);
      }
    }
  }

  /** Resident bytes. */
  get bytes(): number {
    return this.#items.buffer.byteLength;
  }

  /** The `k` items of the largest scores. The arrays are the caller's own. */
  topK(query: Float32Array, k: number): Neighbours {
    if (query.length !== this.dimensions || !(k >= 0) || (k > this.#limit && this.#limit < this.count))
      throw new RangeError(`a query of ${query.length} numbers for ${k} of ${this.count} items`);
    const limit = Math.min(k, this.#limit);
    if (limit === 0) return { indices: new Uint32Array(0), scores: new Float32Array(0) };
    const unit = largest(query) / this.#queryRange;
    for (let at = 0; at < query.length; at++) this.#query[at] = unit === 0 ? 0 : Math.round((query[at] ?? 0) / unit);
    const found = this.#kernels.topKBytes(
      this.#items.byteOffset,
      this.count,
      this.#stride / LANES,
      this.#query.byteOffset,
      this.#scales.byteOffset,
      limit,
      this.#scores.byteOffset,
      this.#indices.byteOffset,
    );
    const [scores, indices] = [this.#scores, this.#indices];
    const order = Uint32Array.from({ length: found }, (_, rank) => rank);
    order.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || (indices[a] ?? 0) - (indices[b] ?? 0));
    return {
      indices: order.map((rank) => indices[rank] ?? 0),
      scores: Float32Array.from(order, (rank) => (scores[rank] ?? 0) * unit),
    };
  }
}

function largest(values: Float32Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  if (!Number.isFinite(most)) throw new RangeError("a vector has a value that is not a finite number");
  return most;
}
