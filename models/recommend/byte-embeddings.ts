import type { ByteEmbeddings, ServedEmbeddings } from "./served-recommender.ts";

/** Largest integer of a value: the range is symmetric, so that a vector and its opposite round alike. */
const RANGE = 127;

/**
 * Embeddings of 8-bit integers with a scale per item: the largest value of an item becomes 127. A score differs from the exact one by at most half the
 * item's scale times the sum of the user's magnitudes. Those of 8 bits stay as they are.
 * @throws RangeError for a value that is not finite
 */
export function byteEmbeddings(embeddings: ServedEmbeddings): ByteEmbeddings {
  if (embeddings.scales !== undefined) return embeddings;
  const { items, dimensions, vectors: exact } = embeddings;
  const vectors = new Int8Array(items * dimensions);
  const scales = new Float32Array(items);
  for (let item = 0; item < items; item++) {
    const from = item * dimensions;
    let most = 0;
    for (let at = from; at < from + dimensions; at++) most = Math.max(most, Math.abs(exact[at] ?? 0));
    if (!Number.isFinite(most)) throw new RangeError(`the vector of item ${item} has a value that is not finite`);
    const scale = Math.fround(most / RANGE);
    scales[item] = scale;
    // A scale that vanishes in float32 belongs to a vector of nothing.
    if (scale === 0) continue;
    for (let at = from; at < from + dimensions; at++) {
      vectors[at] = Math.max(-RANGE, Math.min(RANGE, Math.round((exact[at] ?? 0) / scale)));
    }
  }
  return { ...embeddings, vectors, scales, moments: momentsOf(vectors, scales, dimensions) };
}

/** Means of the values and of their products over all items, in float64 until they are stored. */
function momentsOf(vectors: Int8Array, scales: Float32Array, dimensions: number): Float32Array {
  const sums = new Float64Array(dimensions * (dimensions + 1));
  const row = new Float64Array(dimensions);
  for (const [item, scale] of scales.entries()) {
    for (let at = 0; at < dimensions; at++) row[at] = scale * (vectors[item * dimensions + at] ?? 0);
    for (let a = 0; a < dimensions; a++) {
      const value = row[a] ?? 0;
      sums[a] = (sums[a] ?? 0) + value;
      const to = dimensions * (1 + a);
      for (let b = 0; b < dimensions; b++) sums[to + b] = (sums[to + b] ?? 0) + value * (row[b] ?? 0);
    }
  }
  return Float32Array.from(sums, (sum) => sum / Math.max(1, scales.length));
}

/** How far the scores of all items lie from their mean for a user, without scoring one: sqrt(uᵀ E[qqᵀ] u - (uᵀ E[q])²). */
export function scoreDeviation({ moments, dimensions }: ByteEmbeddings, user: Float64Array): number {
  let [mean, square] = [0, 0];
  for (let a = 0; a < dimensions; a++) {
    const value = user[a] ?? 0;
    mean += value * (moments[a] ?? 0);
    let sum = 0;
    for (let b = 0; b < dimensions; b++) sum += (moments[dimensions * (1 + a) + b] ?? 0) * (user[b] ?? 0);
    square += value * sum;
  }
  return Math.sqrt(Math.max(0, square - mean * mean));
}
