/**
 * Who made a list. `control`: popularity and the catalogue, filtered like every list, so that what the recommender changes can be told. `outside`: not part
 * of the comparison, because nobody is named, personalisation was refused, or nothing was trained yet.
 */
export const ARMS = ["recommender", "control", "outside"] as const;
export type Arm = (typeof ARMS)[number];
