/** The models that `edgewise train --model NAME` and training jobs know. */
import { FRAUD_MODEL } from "../../models/catalog/fraud-orders/model.ts";
import { fraudModel } from "./fraud/fraud-model.ts";
import { RECOMMENDER_MODEL } from "../../models/catalog/product-recommendations/model.ts";
import type { AnyModelDefinition } from "./model-definition.ts";
import { recommendModel } from "./recommend/recommend-model.ts";
import type { LogSource, ModelRegistry } from "./sources.ts";

/** What a model may be made from. */
export interface ModelSources {
  readonly log: LogSource;
  readonly registry: ModelRegistry;
  /** How long after a fact its label may still arrive. */
  readonly maturityMs: number;
}

export const MODELS: Readonly<Record<string, (sources: ModelSources) => AnyModelDefinition>> = {
  [FRAUD_MODEL]: fraudModel,
  [RECOMMENDER_MODEL]: recommendModel,
};

/** null where no model has the name. */
export function modelNamed(name: string, sources: ModelSources): AnyModelDefinition | null {
  return Object.hasOwn(MODELS, name) ? (MODELS[name]?.(sources) ?? null) : null;
}
