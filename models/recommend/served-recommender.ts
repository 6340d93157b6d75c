/** What a recommender leaves for the edge. Items are catalogue indices; arrays are owned by the holder and never changed. */
export type ServedRecommender = ServedScores | ServedNeighbours | ServedEmbeddings | ServedRepeat | ServedSessions;

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
export interface ServedEmbeddings {
  readonly kind: "embeddings";
  readonly items: number;
  readonly dimensions: number;
  /** items x dimensions. */
  readonly vectors: Float32Array;
  /** dimensions x dimensions, the weight of the unobserved applied. */
  readonly gram: Float32Array;
  /** ridge = regularisation * (entries + offset)^power. */
  readonly ridge: { readonly regularisation: number; readonly offset: number; readonly power: number };
  readonly profile: ProfileRule;
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
  /** Offsets of the sessions into `item`. */
  readonly start: Int32Array;
  readonly item: Int32Array;
  /** Seconds of each session's last event. */
  readonly lastTime: Float64Array;
}

/** Bytes of the arrays: what holding it costs an isolate, and what a manifest states. */
export function servedBytes(served: ServedRecommender): number {
  let bytes = 0;
  for (const value of Object.values(served)) if (ArrayBuffer.isView(value)) bytes += value.byteLength;
  return bytes;
}
