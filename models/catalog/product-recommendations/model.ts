/** The model that recommends products: kind `retrieval`, see models/recommend/bundle.ts. */
export const RECOMMENDER_MODEL = "product-recommendations";
