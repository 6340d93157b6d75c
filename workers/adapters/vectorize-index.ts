import type { Vectorize, VectorizeAsyncMutation } from "@cloudflare/workers-types";
import {
  checkQuery,
  checkVector,
  type StoredVector,
  type VectorMatch,
  type VectorSearch,
} from "../../models/engine/vector-search.ts";

/** Vectors of one call from a Worker (developers.cloudflare.com/vectorize/platform/limits). */
const VECTORS_PER_CALL = 1_000;
/** Ids of one deletion. */
const IDS_PER_CALL = 1_000;
const MAX_DIMENSIONS = 1_536;

/** What is used of the binding: `Vectorize` has it. */
export type VectorizeBinding = Pick<Vectorize, "describe" | "query" | "upsert" | "deleteByIds">;

/**
 * The port over Vectorize, for catalogues that do not fit an isolate. The index is made with the metric `dot-product`. Ids are found without
 * values and metadata, because only then does it give more than twenty matches; what they stand for is looked up in isolate memory.
 */
export class VectorizeIndex implements VectorSearch {
  readonly dimensions: number;
  readonly #binding: VectorizeBinding;
  /** Mutations of this isolate in order, the newest last, so that one that is processed tells of all before it. */
  readonly #mutations: string[] = [];

  constructor(binding: VectorizeBinding, dimensions: number) {
    if (!(dimensions >= 1 && dimensions <= MAX_DIMENSIONS))
      throw new RangeError(`${dimensions} dimensions; Vectorize has up to ${MAX_DIMENSIONS}`);
    this.#binding = binding;
    this.dimensions = dimensions;
  }

  async upsert(namespace: string, vectors: readonly StoredVector[]): Promise<string> {
    for (const vector of vectors) checkVector(vector, this.dimensions);
    let ticket = this.#mutations.at(-1) ?? "";
    for (let from = 0; from < vectors.length; from += VECTORS_PER_CALL) {
      const batch = vectors.slice(from, from + VECTORS_PER_CALL).map(({ id, values }) => ({ id, values, namespace }));
      ticket = this.#wrote(await this.#binding.upsert(batch));
    }
    return ticket;
  }

  /** Ids are of the whole index: give an id to one namespace only. */
  async remove(_namespace: string, ids: readonly string[]): Promise<string> {
    let ticket = this.#mutations.at(-1) ?? "";
    for (let from = 0; from < ids.length; from += IDS_PER_CALL) {
      ticket = this.#wrote(await this.#binding.deleteByIds(ids.slice(from, from + IDS_PER_CALL)));
    }
    return ticket;
  }

  async visible(ticket: string): Promise<boolean> {
    if (ticket === "") return true;
    const { processedUpToMutation } = await this.#binding.describe();
    if (String(processedUpToMutation) === ticket) return true;
    const processed = this.#mutations.indexOf(String(processedUpToMutation));
    return processed >= 0 && processed >= this.#mutations.indexOf(ticket);
  }

  async query(namespace: string, vector: Float32Array, k: number): Promise<VectorMatch[]> {
    checkQuery(vector, this.dimensions, k);
    const { matches } = await this.#binding.query(vector, {
      topK: k,
      namespace,
      returnValues: false,
      returnMetadata: "none",
    });
    return matches.map(({ id, score }) => ({ id, score }));
  }

  #wrote({ mutationId }: VectorizeAsyncMutation): string {
    this.#mutations.push(mutationId);
    return mutationId;
  }
}
