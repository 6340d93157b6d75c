import { placeInExperiment } from "../stats/assignment.ts";

/**
 * Who made a list. `control`: popularity and the catalogue, filtered like every list, so that what the recommender changes can be told. `outside`: not part
 * of the comparison, because nobody is named, personalisation was refused, or nothing was trained yet.
 */
export const ARMS = ["recommender", "control", "outside"] as const;
export type Arm = (typeof ARMS)[number];

const EXPERIMENT = "recommendation-control";

/**
 * The arm of a visitor: stable while the share stays, whatever the model version. A larger share moves visitors from the recommender to the
 * control and none back.
 * @param unit the key of a visitor's history; null: nobody is named
 * @param controlShare 0 to 1
 */
export function armOf(unit: string | null, controlShare: number): Arm {
  if (unit === null) return "outside";
  return placeInExperiment(EXPERIMENT, unit) < controlShare ? "control" : "recommender";
}
