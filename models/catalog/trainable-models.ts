import { FRAUD_MODEL } from "./fraud-orders/model.ts";
import { RECOMMENDER_MODEL } from "./product-recommendations/model.ts";

/** Models that the pipeline knows how to train: a job for another name could end nowhere. */
export const TRAINABLE_MODELS: readonly string[] = [FRAUD_MODEL, RECOMMENDER_MODEL];
