import { ease, easeNormalised, easeRecency } from "./ease.ts";
import { ials } from "./ials/ials.ts";
import { itemKnn } from "./item-knn.ts";
import { ownCounts, ownRecency } from "./own-counts.ts";
import { popularity } from "./popularity.ts";
import type { Recommender } from "./recommender.ts";
import { sequentialRules } from "./sequential-rules.ts";
import { sessionKnn } from "./session-knn.ts";
import { slim } from "./slim/slim.ts";

/** Every model there is, baselines first. The blend is made of those that are fitted in a run. */
export const RECOMMENDERS: readonly Recommender[] = [
  popularity,
  ownCounts,
  ownRecency,
  itemKnn,
  sessionKnn,
  sequentialRules,
  ease,
  easeNormalised,
  easeRecency,
  slim,
  ials,
];
