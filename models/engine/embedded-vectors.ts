import { ByteIndex } from "./byte-index.ts";
import { VectorIndex } from "./vector-index.ts";
import {
  checkQuery,
  checkVector,
  MAX_MATCHES,
  type StoredVector,
  type VectorMatch,
  type VectorSearch,
} from "./vector-search.ts";

export interface EmbeddedOptions {
  readonly dimensions: number;
  readonly kernels: WebAssembly.Module;
  /** `bytes`: 8-bit integers, a quarter of the memory, scores rounded. */
  readonly precision: "float" | "bytes";
  /** Bytes of all namespaces together; what does not fit is refused. */
  readonly maxBytes: number;
}

interface Namespace {
  readonly vectors: Map<string, Float32Array>;
  /** Made when first searched after a write. */
  index: { readonly ids: readonly string[]; readonly search: VectorIndex | ByteIndex } | null;
}

/** The port over memory: exact search with SIMD, seen at once. Bounded in bytes. */
export class EmbeddedVectors implements VectorSearch {
  readonly dimensions: number;
  readonly #options: EmbeddedOptions;
  readonly #namespaces = new Map<string, Namespace>();
  #writes = 0;

  constructor(options: EmbeddedOptions) {
    this.dimensions = options.dimensions;
    this.#options = options;
  }

  /** Bytes of the vectors, and of their index where it is made. */
  get bytes(): number {
    let bytes = 0;
    for (const { vectors, index } of this.#namespaces.values()) {
      bytes += vectors.size * this.dimensions * 4 + (index?.search.bytes ?? 0);
    }
    return bytes;
  }

  upsert(namespace: string, vectors: readonly StoredVector[]): Promise<string> {
    for (const vector of vectors) checkVector(vector, this.dimensions);
    const known = this.#namespaces.get(namespace) ?? { vectors: new Map<string, Float32Array>(), index: null };
    const added = vectors.filter(({ id }) => !known.vectors.has(id)).length;
    // The vectors and the index that is made of them.
    const grown = this.bytes + 2 * added * this.dimensions * 4;
    if (grown > this.#options.maxBytes) {
      throw new RangeError(
        `${grown} bytes of vectors; the limit is ${this.#options.maxBytes}. Use Vectorize for a catalogue of this size`,
      );
    }
    for (const { id, values } of vectors) known.vectors.set(id, values.slice());
    known.index = null;
    this.#namespaces.set(namespace, known);
    return Promise.resolve(String(++this.#writes));
  }

  remove(namespace: string, ids: readonly string[]): Promise<string> {
    const known = this.#namespaces.get(namespace);
    for (const id of ids) known?.vectors.delete(id);
    if (known) known.index = null;
    if (known?.vectors.size === 0) this.#namespaces.delete(namespace);
    return Promise.resolve(String(++this.#writes));
  }

  visible(ticket: string): Promise<boolean> {
    return Promise.resolve(Number(ticket) <= this.#writes);
  }

  query(namespace: string, vector: Float32Array, k: number): Promise<VectorMatch[]> {
    checkQuery(vector, this.dimensions, k);
    const known = this.#namespaces.get(namespace);
    if (!known) return Promise.resolve([]);
    known.index ??= this.#index(known.vectors);
    const { ids, search } = known.index;
    const { indices, scores } = search.topK(vector, Math.min(k, ids.length));
    return Promise.resolve(Array.from(indices, (index, rank) => ({ id: ids[index] ?? "", score: scores[rank] ?? 0 })));
  }

  #index(vectors: ReadonlyMap<string, Float32Array>): NonNullable<Namespace["index"]> {
    const { dimensions, kernels, precision } = this.#options;
    const items = new Float32Array(vectors.size * dimensions);
    for (const [at, values] of [...vectors.values()].entries()) items.set(values, at * dimensions);
    const search =
      precision === "float"
        ? new VectorIndex(items, dimensions, MAX_MATCHES, kernels)
        : new ByteIndex(items, dimensions, MAX_MATCHES, kernels);
    return { ids: [...vectors.keys()], search };
  }
}
