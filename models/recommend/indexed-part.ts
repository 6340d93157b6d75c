import { byteEmbeddings, scoreDeviation } from "./byte-embeddings.ts";
import { solveFoldIn } from "./fold-in.ts";
import type { History } from "./history.ts";
import { type Profile, profileOf } from "./profile.ts";
import { scoreVectors } from "./scorer.ts";
import type { ByteEmbeddings, ServedEmbeddings, ServedPart, ServedRecommender } from "./served-recommender.ts";

/**
 * Embeddings of which only the head is in memory: the vectors of the most popular items, because items are numbered by falling popularity. They are
 * scored exactly here; the others lie in a vector index, which is asked for the best of them. In a visitor's own vector only items of
 * the head count: the others still count in every other part.
 */
export interface IndexedPart {
  /** `items` are those of the catalogue, `vectors` and `scales` those of the head. */
  readonly part: ByteEmbeddings;
  /** Items of the head. */
  readonly held: number;
}

/** What a vector index found for a visitor among the items beyond the head. */
export interface IndexSearch {
  /** The visitor's vector that it was asked with. */
  readonly user: Float64Array;
  readonly items: Int32Array;
  readonly scores: Float32Array;
}

/** Items whose vectors the arrays hold. */
export function vectorsHeld({ vectors, dimensions }: ServedEmbeddings): number {
  return vectors.length / dimensions;
}

/** The embeddings that a vector index is about: the first ones; null for a recommender without, or with no item beyond the head. */
export function embeddingsBeyond(served: ServedRecommender, headItems: number): ServedEmbeddings | null {
  const parts = served.kind === "blend" ? served.parts.map(({ part }) => part) : [served];
  const found = parts.find((part) => part.kind === "embeddings");
  return found?.kind === "embeddings" && found.items > headItems ? found : null;
}

/** The recommender with the head of its embeddings alone; `head` is null where it stays whole. */
export function cutHead(
  served: ServedRecommender,
  headItems: number,
): { readonly served: ServedRecommender; readonly head: ServedPart | null } {
  const found = embeddingsBeyond(served, headItems);
  if (found === null) return { served, head: null };
  const whole = byteEmbeddings(found);
  const head: ByteEmbeddings = {
    ...whole,
    vectors: whole.vectors.subarray(0, headItems * whole.dimensions),
    scales: whole.scales.subarray(0, headItems),
  };
  if (served.kind !== "blend") return { served: head, head };
  const parts = served.parts.map(({ weight, part }) => ({ weight, part: part === found ? head : part }));
  return { served: { ...served, parts }, head };
}

export function indexedPart(part: ServedPart): IndexedPart | null {
  return part.kind === "embeddings" && part.scales !== undefined ? { part, held: vectorsHeld(part) } : null;
}

/** Scores the head exactly and takes the scores of the rest from a vector index. */
export class IndexedScorer {
  readonly #part: ByteEmbeddings;
  readonly #held: number;
  readonly #dot: ((user: Float64Array) => Float32Array) | null;

  /** @param dot scores the head in the kernels' memory */
  constructor({ part, held }: IndexedPart, dot: ((user: Float64Array) => Float32Array) | null) {
    this.#part = part;
    this.#held = held;
    this.#dot = dot;
  }

  /** The vector of a visitor, null for one of whom nothing in the head is known. @param at seconds */
  userOf(history: History, at: number): Float64Array | null {
    const profile = within(profileOf(history.items, history.times, at, this.#part.profile), this.#held);
    return profile.items.length === 0 ? null : solveFoldIn(this.#part, profile);
  }

  /**
   * @param found what the index says; without it the head alone has scores
   * @returns how far the scores of all items deviate for this user, found or not; null where nothing is known of the visitor
   */
  score(history: History, at: number, found: IndexSearch | null, out: Float32Array): number | null {
    const user = found?.user ?? this.userOf(history, at);
    if (user === null) return null;
    out.fill(0);
    if (this.#dot !== null) out.set(this.#dot(user));
    else scoreVectors(this.#part, user, out.subarray(0, this.#held));
    if (found !== null) {
      for (const [place, item] of found.items.entries()) {
        if (item >= this.#held && item < out.length) out[item] = found.scores[place] ?? 0;
      }
    }
    return scoreDeviation(this.#part, user);
  }
}

function within({ items, weights }: Profile, held: number): Profile {
  const known = Array.from(items.keys()).filter((place) => (items[place] ?? held) < held);
  if (known.length === items.length) return { items, weights };
  return {
    items: Int32Array.from(known, (place) => items[place] ?? 0),
    weights: Float32Array.from(known, (place) => weights[place] ?? 0),
  };
}
