import { byteEmbeddings } from "../../../../models/recommend/byte-embeddings.ts";
import { openScorer } from "../../../../models/recommend/scorer.ts";
import type { FloatEmbeddings, ProfileRule } from "../../../../models/recommend/served-recommender.ts";
import { type FittedRecommender, type Recommender, reused, setting } from "../recommender.ts";
import { interactionMatrix } from "../sparse-matrix.ts";
import { type IalsModel, trainIals } from "./train-ials.ts";

function served(model: IalsModel, profile: ProfileRule): FloatEmbeddings {
  const { unobserved, regularisationPower } = model.parameters;
  return {
    kind: "embeddings",
    items: model.items,
    dimensions: model.d,
    vectors: model.itemFactors,
    gram: model.itemGram,
    ridge: { level: model.userRidge, offset: unobserved * model.items, power: regularisationPower },
    profile,
  };
}

/** Scores by folding a history into the item space, as the edge does; served in 8 bits. */
export function ialsRecommender(model: IalsModel, profile: ProfileRule): FittedRecommender {
  const embeddings = served(model, profile);
  return { ...openScorer(embeddings), serve: () => byteEmbeddings(embeddings) };
}

/** iALS; see `train-ials.ts` for the objective. */
export const ials: Recommender = {
  name: "ials",
  description: "implicit matrix factorisation by alternating least squares",
  search: {
    regularisation: [0.01, 0.003, 0.006, 0.02],
    unobserved: [0.1, 0.2, 0.4],
    power: [0.8, 0.6, 1],
    decay: [1, 0.98, 0.8],
    factors: [64, 128],
    sweeps: [8, 16],
  },
  fit: async (log, parameters, context) => {
    const settings = {
      factors: setting(parameters, "factors"),
      sweeps: setting(parameters, "sweeps"),
      unobserved: setting(parameters, "unobserved"),
      regularisation: setting(parameters, "regularisation"),
      regularisationPower: setting(parameters, "power"),
    };
    const make = (): Promise<IalsModel> => trainIals(interactionMatrix(log), settings, context);
    const model = await reused(context, JSON.stringify(settings), make);
    return ialsRecommender(model, { stepDecay: setting(parameters, "decay"), halfLifeSeconds: Infinity });
  },
};
