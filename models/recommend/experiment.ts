import type { Arm } from "../contract/recommendation-arms.ts";
import { placeInExperiment } from "../stats/assignment.ts";

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
