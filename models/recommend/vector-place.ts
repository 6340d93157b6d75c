import { hex, sha256 } from "../contract/sha256.ts";
import type { StoredVector } from "../engine/vector-search.ts";
import { encodeUtf8 } from "../onnx/utf8.ts";
import { readVector } from "./fold-in.ts";
import type { ServedEmbeddings } from "./served-recommender.ts";

/** Letters of a namespace: 128 bits of a hash, so that with an item's number an id stays below 64 bytes. */
const NAMESPACE_LETTERS = 32;

/** Where a version's vectors lie in a vector index: versions and tenants never meet, because each has a namespace of its own. */
export function vectorNamespace(tenant: string, model: string, version: string): string {
  return hex(sha256(encodeUtf8(`${tenant}\n${model}\n${version}`))).slice(0, NAMESPACE_LETTERS);
}

/** Ids are of the whole index, so they begin with their namespace. */
export function vectorId(namespace: string, item: number): string {
  return `${namespace}-${item}`;
}

/** The item that an id stands for; -1 for one of another namespace, or none. */
export function itemOfVector(namespace: string, id: string): number {
  if (!id.startsWith(`${namespace}-`)) return -1;
  const digits = id.slice(namespace.length + 1);
  return /^(0|[1-9]\d{0,8})$/.test(digits) ? Number(digits) : -1;
}

/**
 * Vectors of the items `from` to `to` as an index of `dimensions` stores them: missing dimensions are 0, which changes no dot product, so that one index
 * serves models of different widths.
 */
export function storedVectors(
  part: ServedEmbeddings,
  place: { readonly namespace: string; readonly from: number; readonly to: number; readonly dimensions: number },
): StoredVector[] {
  const row = new Float64Array(part.dimensions);
  return Array.from({ length: Math.max(0, place.to - place.from) }, (_, at) => {
    readVector(part, place.from + at, row);
    return { id: vectorId(place.namespace, place.from + at), values: padded(row, place.dimensions) };
  });
}

/** @throws RangeError for a vector that is wider than the index */
export function padded(vector: Float64Array, dimensions: number): Float32Array {
  if (vector.length > dimensions)
    throw new RangeError(`a vector of ${vector.length} dimensions; the index has ${dimensions}`);
  const values = new Float32Array(dimensions);
  values.set(vector);
  return values;
}
