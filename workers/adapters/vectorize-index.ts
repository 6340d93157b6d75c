import type { Vectorize, VectorizeAsyncMutation } from "@cloudflare/workers-types";
import { hex, sha256 } from "../../models/contract/sha256.ts";
import {
  checkQuery,
  checkVector,
  type StoredVector,
  type VectorMatch,
  type VectorSearch,
} from "../../models/engine/vector-search.ts";
import type { VectorIndexConfig } from "../config.ts";

/** Vectors of one call from a Worker (developers.cloudflare.com/vectorize/platform/limits). */
export const VECTORS_PER_CALL = 1_000;
/** Ids of one deletion: the service refuses more (VECTOR_DELETE_ERROR 40007), which its documents do not say. */
export const IDS_PER_DELETION = 100;
const MAX_DIMENSIONS = 1_536;
/** Mutations of this isolate that are remembered. */
const MAX_MUTATIONS = 10_000;

/** What is used of the binding: `Vectorize` has it. */
export type VectorizeBinding = Pick<Vectorize, "describe" | "query" | "upsert" | "deleteByIds" | "getByIds">;

/** A write as any isolate can ask about it: the mutation, and one vector of it, with a mark of its content; without one it is gone. */
interface Ticket {
  readonly mutation: string;
  readonly id: string;
  readonly mark: string | null;
}

/**
 * The port over Vectorize, for catalogues that do not fit an isolate. The index is made with the metric `dot-product`. Ids are found without
 * values and metadata, because only then does it give more than twenty matches; what they stand for is looked up in isolate memory.
 *
 * Mutations are processed in their order. Of one that is not the newest processed, nobody but the isolate that wrote it knows whether it came before; so the last
 * vector of each write carries a mark as metadata, by which every isolate finds out.
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

  /** Null where the index is as it was configured. */
  async objection(): Promise<string | null> {
    const { dimensions } = await this.#binding.describe();
    if (dimensions === undefined || dimensions === this.dimensions) return null;
    return `the Vectorize index has ${dimensions} dimensions and VECTOR_DIMENSIONS says ${this.dimensions}: set it to ${dimensions}, or bind another index`;
  }

  async upsert(namespace: string, vectors: readonly StoredVector[]): Promise<string> {
    for (const vector of vectors) checkVector(vector, this.dimensions);
    const last = vectors.at(-1);
    if (!last) return "";
    const mark = markOf(last.values);
    let mutation = "";
    for (let from = 0; from < vectors.length; from += VECTORS_PER_CALL) {
      const batch = vectors.slice(from, from + VECTORS_PER_CALL).map((vector) => {
        const { id, values } = vector;
        return { id, values, namespace, ...(vector === last && { metadata: { mark } }) };
      });
      mutation = this.#wrote(await this.#binding.upsert(batch));
    }
    return JSON.stringify({ mutation, id: last.id, mark } satisfies Ticket);
  }

  /** Ids are of the whole index: give an id to one namespace only. */
  async remove(_namespace: string, ids: readonly string[]): Promise<string> {
    const last = ids.at(-1);
    if (last === undefined) return "";
    let mutation = "";
    for (let from = 0; from < ids.length; from += IDS_PER_DELETION) {
      mutation = this.#wrote(await this.#binding.deleteByIds(ids.slice(from, from + IDS_PER_DELETION)));
    }
    return JSON.stringify({ mutation, id: last, mark: null } satisfies Ticket);
  }

  async visible(ticket: string): Promise<boolean> {
    if (ticket === "") return true;
    const { mutation, id, mark } = JSON.parse(ticket) as Ticket;
    const newest = String((await this.#binding.describe()).processedUpToMutation);
    if (newest === mutation) return true;
    const [processed, written] = [this.#mutations.indexOf(newest), this.#mutations.indexOf(mutation)];
    if (processed >= 0 && written >= 0) return processed >= written;
    const [stored] = await this.#binding.getByIds([id]);
    return mark === null ? stored === undefined : stored?.metadata?.["mark"] === mark;
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
    if (this.#mutations.length > MAX_MUTATIONS) this.#mutations.shift();
    return mutationId;
  }
}

/** The same values have the same mark, so that a write that is repeated answers for the first one too. */
function markOf(values: Float32Array): string {
  return hex(sha256(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))).slice(0, 16);
}

/** The deployment's index; null where embeddings are searched in the isolate. @param binding Wrangler's generated type is that of the first, deprecated generation of indexes */
export function vectorizeIndex(binding: object | undefined, config: VectorIndexConfig | null): VectorizeIndex | null {
  if (config === null || binding === undefined) return null;
  return new VectorizeIndex(binding as VectorizeBinding, config.dimensions);
}
