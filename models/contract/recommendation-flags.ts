/** Why a list is less than it could be. The list still holds; the flag says which part was missing. */
export const RECOMMENDATION_FLAGS = {
  "no-model": "no version is promoted; popularity and the catalogue answered",
  "model-refused": "the promoted version failed verification; the previous one, or popularity, answered",
  "model-stale": "the promoted version is not loadable yet; the previous one, or popularity, answered",
  "history-missing": "what is known of the visitor could not be read in time",
  "history-stale": "what is known of the visitor is a copy more than a minute old",
  "catalogue-stale":
    "changes of products could not be read in time; the products are those of the model, or of some minutes ago",
  "vectors-missing":
    "the vector index could not be searched in time; embeddings of the most popular products, and every other source, answered",
  precomputed:
    "the list was computed earlier for this visitor; withdrawn, sold-out and excluded products are taken out",
  "not-personalised": "the visitor has not consented to personalisation",
  "filters-relaxed": "no product passed every filter of the request",
  "nothing-eligible": "every product is withdrawn, excluded by the request or dismissed by the visitor",
  "catalogue-empty": "no product is known yet",
} as const;
export type RecommendationFlag = keyof typeof RECOMMENDATION_FLAGS;

/** Flags of an answer that is not the recommender's own: counted as fallbacks. */
export const FALLBACK_FLAGS: readonly RecommendationFlag[] = [
  "no-model",
  "model-refused",
  "history-missing",
  "precomputed",
];
