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
const MAX_DELETED = 100;
const MAX_READ = 20;
const MAX_METADATA_BYTES = 10_240;
const MAX_TOP_K = 100;
const MAX_TOP_K_WITH_VALUES = 20;
const MAX_ID_BYTES = 64;
const MAX_NAMESPACE_BYTES = 64;

interface Entry {
  readonly namespace: string;
  readonly values: Float32Array;
  readonly metadata: VectorizeVector["metadata"];
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
  /** Makes the next calls of a method fail, or never answer. */
  readonly conditions = new Map<keyof VectorizeBinding, "throws" | "hangs">();
  queries = 0;

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

  get size(): number {
    return this.#entries.size;
  }

  async describe(): Promise<VectorizeIndexInfo> {
    await this.#condition("describe");
    return {
      vectorCount: this.#entries.size,
      dimensions: this.#dimensions,
      processedUpToDatetime: 0,
      // The types say a number; the service answers a UUID.
      processedUpToMutation: this.#processed as unknown as number,
    };
  }

  async upsert(vectors: VectorizeVector[]): Promise<VectorizeAsyncMutation> {
    await this.#condition("upsert");
    if (vectors.length > MAX_UPSERT)
      throw new Error(`VECTOR_UPSERT_ERROR: ${vectors.length} vectors; at most ${MAX_UPSERT}`);
    const upsert = vectors.map(({ id, values, namespace = "", metadata }): [string, Entry] => {
      if (new TextEncoder().encode(id).byteLength > MAX_ID_BYTES)
        throw new Error(`VECTOR_UPSERT_ERROR: id too long: ${id}`);
      if (new TextEncoder().encode(namespace).byteLength > MAX_NAMESPACE_BYTES)
        throw new Error("VECTOR_UPSERT_ERROR: namespace");
      if (values.length !== this.#dimensions) throw new Error(`VECTOR_UPSERT_ERROR: ${values.length} dimensions`);
      if (JSON.stringify(metadata ?? {}).length > MAX_METADATA_BYTES) throw new Error("VECTOR_UPSERT_ERROR: metadata");
      return [id, { namespace, values: Float32Array.from(values), metadata }];
    });
    this.batches.push(vectors.length);
    return this.#enqueue((id) => ({ id, upsert }));
  }

  async deleteByIds(ids: string[]): Promise<VectorizeAsyncMutation> {
    await this.#condition("deleteByIds");
    if (ids.length > MAX_DELETED)
      throw new Error(`VECTOR_DELETE_ERROR (code = 40007): max id count is ${MAX_DELETED}, got ${ids.length}`);
    return this.#enqueue((id) => ({ id, remove: ids }));
  }

  async getByIds(ids: string[]): Promise<VectorizeVector[]> {
    await this.#condition("getByIds");
    if (ids.length > MAX_READ) throw new Error(`VECTOR_GET_ERROR (code = 40007): max id count is ${MAX_READ}`);
    return ids.flatMap((id): VectorizeVector[] => {
      const entry = this.#entries.get(id);
      if (!entry) return [];
      const { namespace, values, metadata } = entry;
      return [{ id, namespace, values, ...(metadata && { metadata }) }];
    });
  }

  async query(vector: VectorFloatArray | number[], options: VectorizeQueryOptions = {}): Promise<VectorizeMatches> {
    this.queries++;
    await this.#condition("query");
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
    return { matches, count: matches.length };
  }

  #condition(method: keyof VectorizeBinding): Promise<void> {
    const condition = this.conditions.get(method);
    if (condition === "throws") return Promise.reject(new Error(`VECTORIZE_ERROR: ${method} is broken`));
    return condition === "hangs" ? new Promise(() => {}) : Promise.resolve();
  }

  #enqueue(make: (id: string) => Mutation): VectorizeAsyncMutation {
    const mutation = make(`00000000-0000-4000-8000-${String(++this.#count).padStart(12, "0")}`);
    this.#queue.push(mutation);
    return { mutationId: mutation.id };
  }
}
