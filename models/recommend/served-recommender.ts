/** What a recommender leaves for the edge. Items are catalogue indices; arrays are owned by the holder and never changed. */
export type ServedRecommender = ServedPart | ServedBlend;
export type ServedPart = ServedScores | ServedNeighbours | ServedEmbeddings | ServedRepeat | ServedSessions;

/** How a history becomes a weighted profile; see `profile.ts`. */
export interface ProfileRule {
  /** Weight of an item n distinct items before the newest: stepDecay^n, in (0, 1]. */
  readonly stepDecay: number;
  /** Age at which a weight has halved; Infinity for none. */
  readonly halfLifeSeconds: number;
}

/** One score for every item, the same for everyone. */
export interface ServedScores {
  readonly kind: "scores";
  readonly items: number;
  readonly scores: Float32Array;
}

/** For each item the others it speaks for: the score of j is the sum over the profile of weight times list entry. */
export interface ServedNeighbours {
  readonly kind: "neighbours";
  readonly items: number;
  readonly profile: ProfileRule;
  /** `items + 1` offsets. */
  readonly start: Int32Array;
  readonly neighbour: Int32Array;
  readonly weight: Float32Array;
}

/** Item vectors and the system a history is folded in with: (gram + sum w q qᵀ + ridge I) p = sum w q. */
export type ServedEmbeddings = FloatEmbeddings | ByteEmbeddings;

interface EmbeddingSystem {
  readonly kind: "embeddings";
  readonly items: number;
  readonly dimensions: number;
  /** dimensions x dimensions, the weight of the unobserved applied. */
  readonly gram: Float32Array;
  /** ridge = level * (sum of profile weights + offset)^power. */
  readonly ridge: { readonly level: number; readonly offset: number; readonly power: number };
  readonly profile: ProfileRule;
}

/** As they are trained. */
export interface FloatEmbeddings extends EmbeddingSystem {
  /** items x dimensions. */
  readonly vectors: Float32Array;
  readonly scales?: undefined;
  readonly moments?: undefined;
}

/** As they are published, in a quarter of the memory; see `byte-embeddings.ts`. */
export interface ByteEmbeddings extends EmbeddingSystem {
  /** items x dimensions; a value is the integer times its item's scale. */
  readonly vectors: Int8Array;
  /** One per item, 0 or above. */
  readonly scales: Float32Array;
  /** Mean of the item vectors, then the mean of their products, dimensions x dimensions: what all scores of a user deviate by follows from them. */
  readonly moments: Float32Array;
}

/** Own purchases again: nothing but the rule is stored. */
export interface ServedRepeat {
  readonly kind: "repeat";
  readonly items: number;
  readonly halfLifeSeconds: number;
}

/** Past sessions to compare the current one with. */
export interface ServedSessions {
  readonly kind: "sessions";
  readonly items: number;
  readonly rule: SessionRule;
  /** Offsets of the sessions into `item`. */
  readonly start: Int32Array;
  readonly item: Int32Array;
  /** Seconds of each session's last event, NaN if unknown. */
  readonly lastTime: Float64Array;
}

/** How neighbour sessions are found and how they vote; see `session-scorer.ts`. */
export interface SessionRule {
  /** Neighbour sessions that vote. */
  readonly neighbours: number;
  /** Most recent sessions that share an item, compared at most. */
  readonly sampled: number;
  /** Weight of an item one step before the newest of the current session, in (0, 1]. */
  readonly decay: number;
  /** Half-life of a neighbour session by its age; Infinity for none. */
  readonly halfLifeSeconds: number;
  /** How a vote fades with each step from the shared item in the neighbour; 1 for not at all. */
  readonly distanceDecay: number;
  /** Exponent of inverse popularity on the shared items; 0 for none. */
  readonly rarity: number;
}

/** How scores of different parts are made comparable within one request; see `blend-scale.ts`. */
export type BlendScale = "deviation" | "maximum" | "rank";

/** The weighted sum of several parts over one catalogue. */
export interface ServedBlend {
  readonly kind: "blend";
  readonly items: number;
  readonly scale: BlendScale;
  readonly parts: readonly { readonly weight: number; readonly part: ServedPart }[];
}

/** Bytes of the arrays: what holding it costs an isolate, and what a manifest states. */
export function servedBytes(served: ServedRecommender): number {
  if (served.kind === "blend") return served.parts.reduce((sum, { part }) => sum + servedBytes(part), 0);
  let bytes = 0;
  for (const value of Object.values(served)) if (ArrayBuffer.isView(value)) bytes += value.byteLength;
  return bytes;
}
