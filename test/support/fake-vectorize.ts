import type {
  VectorFloatArray,
  VectorizeAsyncMutation,
  VectorizeIndexInfo,
  VectorizeMatches,
  VectorizeQueryOptions,
  VectorizeVector,
} from "@cloudflare/workers-types";
import type { VectorizeBinding } from "../../workers/adapters/vectorize-index.ts";

const MAX_UPSERT = 1_000;
const MAX_TOP_K = 100;
const MAX_TOP_K_WITH_VALUES = 20;
const MAX_ID_BYTES = 64;
const MAX_NAMESPACE_BYTES = 64;

interface Entry {
  readonly namespace: string;
  readonly values: Float32Array;
}

type Mutation =
  | { readonly id: string; readonly upsert: readonly (readonly [string, Entry])[] }
  | { readonly id: string; readonly remove: readonly string[] };

/**
 * Vectorize with metric `dot-product` as its documents have it: its limits are errors, and writes are seen only once they are processed, which the test does
 * with `process`. Search is exact. Ids belong to the whole index.
 */
export class FakeVectorize implements VectorizeBinding {
  readonly #dimensions: number;
  readonly #entries = new Map<string, Entry>();
  readonly #queue: Mutation[] = [];
  #processed = "";
  #count = 0;
  /** Vectors of each write, in order. */
  readonly batches: number[] = [];

  constructor(dimensions: number) {
    if (dimensions > 1_536) throw new Error("VECTOR_ERROR: at most 1536 dimensions");
    this.#dimensions = dimensions;
  }

  /** Does what was asked for, up to so many mutations. */
  process(mutations = Number.POSITIVE_INFINITY): void {
    for (let done = 0; done < mutations; done++) {
      const next = this.#queue.shift();
      if (!next) return;
      if ("upsert" in next) for (const [id, entry] of next.upsert) this.#entries.set(id, entry);
      else for (const id of next.remove) this.#entries.delete(id);
      this.#processed = next.id;
    }
  }

  describe(): Promise<VectorizeIndexInfo> {
    return Promise.resolve({
      vectorCount: this.#entries.size,
      dimensions: this.#dimensions,
      processedUpToDatetime: 0,
      // The types say a number; the service answers a UUID.
      processedUpToMutation: this.#processed as unknown as number,
    });
  }

  upsert(vectors: VectorizeVector[]): Promise<VectorizeAsyncMutation> {
    if (vectors.length > MAX_UPSERT)
      throw new Error(`VECTOR_UPSERT_ERROR: ${vectors.length} vectors; at most ${MAX_UPSERT}`);
    const upsert = vectors.map(({ id, values, namespace = "" }): [string, Entry] => {
      if (new TextEncoder().encode(id).byteLength > MAX_ID_BYTES)
        throw new Error(`VECTOR_UPSERT_ERROR: id too long: ${id}`);
      if (new TextEncoder().encode(namespace).byteLength > MAX_NAMESPACE_BYTES)
        throw new Error("VECTOR_UPSERT_ERROR: namespace");
      if (values.length !== this.#dimensions) throw new Error(`VECTOR_UPSERT_ERROR: ${values.length} dimensions`);
      return [id, { namespace, values: Float32Array.from(values) }];
    });
    this.batches.push(vectors.length);
    return Promise.resolve(this.#enqueue((id) => ({ id, upsert })));
  }

  deleteByIds(ids: string[]): Promise<VectorizeAsyncMutation> {
    if (ids.length > MAX_UPSERT) throw new Error(`VECTOR_DELETE_ERROR: ${ids.length} ids`);
    return Promise.resolve(this.#enqueue((id) => ({ id, remove: ids })));
  }

  query(vector: VectorFloatArray | number[], options: VectorizeQueryOptions = {}): Promise<VectorizeMatches> {
    const { topK = 5, namespace = "", returnValues, returnMetadata } = options;
    const rich = returnValues === true || (returnMetadata !== undefined && returnMetadata !== "none");
    if (topK > (rich ? MAX_TOP_K_WITH_VALUES : MAX_TOP_K)) throw new Error(`VECTOR_QUERY_ERROR: topK ${topK}`);
    if (vector.length !== this.#dimensions) throw new Error(`VECTOR_QUERY_ERROR: ${vector.length} dimensions`);
    const matches = [...this.#entries]
      .filter(([, entry]) => entry.namespace === namespace)
      .map(([id, { values }]) => ({
        id,
        score: Math.fround(values.reduce((sum, value, at) => sum + value * (vector[at] ?? 0), 0)),
      }))
      .sort((a, b) => b.score - a.score)
      .slice(0, topK);
    return Promise.resolve({ matches, count: matches.length });
  }

  #enqueue(make: (id: string) => Mutation): VectorizeAsyncMutation {
    const mutation = make(`00000000-0000-4000-8000-${String(++this.#count).padStart(12, "0")}`);
    this.#queue.push(mutation);
    return { mutationId: mutation.id };
  }
}
