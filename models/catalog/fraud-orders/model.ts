/** The model that decides about orders; its versions are pinned to a feature service by hash. */
export const FRAUD_MODEL = "fraud-orders";
