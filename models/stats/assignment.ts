import { hashText } from "../sharding/virtual-shards.ts";

/**
 * Where a unit (a visitor's pseudonym) stands in an experiment: uniform over [0, 1), the same on every machine and for ever, and independent between
 * experiments of different names, so that one experiment does not split the arms of another. No lookup, no state.
 *
 * FNV-1a with the finaliser of MurmurHash3 over both names; `test/node/stats/assignment.test.ts` holds its uniformity and independence
 * (Kohavi, Tang and Xu 2020, ch. 14: an assignment by a hash without avalanche correlates experiments).
 */
export function placeInExperiment(experiment: string, unit: string): number {
  return hashText(`${experiment}\n${unit}`) / 2 ** 32;
}
