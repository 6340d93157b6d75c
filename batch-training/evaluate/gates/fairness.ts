/** Group fairness of decisions at a threshold: parity as differences and ratios with bootstrap intervals, and the four-fifths band. */
import {
  type FairnessInput,
  FOUR_FIFTHS,
  groupRates,
  type GroupRates,
  type ParityIntervals,
  parityIntervals,
  type ParityMetrics,
} from "../../../models/stats/group-fairness.ts";
import { seededRandom } from "../../../models/stats/random.ts";
import { figures, type Gate, gate, LEVEL, type Units } from "./gate.ts";
import type { GatePolicy } from "./policy.ts";

export interface FairnessGateInput {
  readonly labels: ArrayLike<number>;
  readonly challenger: ArrayLike<number>;
  readonly groups: { readonly title: string; readonly of: ArrayLike<number>; readonly names: readonly string[] };
  readonly units: Units | null;
  readonly seed: number;
}

export interface FairnessReport {
  readonly gate: Gate;
  readonly rates: readonly GroupRates[];
  readonly parity: ParityIntervals;
}

const RATIO_NAMES: Readonly<Partial<Record<keyof ParityMetrics, string>>> = {
  demographicParityRatio: "selection ratio",
  equalOpportunityRatio: "true-positive ratio",
  equalisedOddsRatio: "equalised-odds ratio",
};

export function judgeFairness(input: FairnessGateInput, policy: GatePolicy): FairnessReport {
  const { labels, challenger, groups, units, seed } = input;
  const decisions = Uint8Array.from({ length: labels.length }, (_, row) =>
    (challenger[row] ?? 0) >= policy.decisionThreshold ? 1 : 0,
  );
  const fairness: FairnessInput = { labels, decisions, groups: groups.of, groupNames: groups.names };
  // Another stream than that of the quality gates, so that neither depends on what the other drew.
  const options = { replicates: policy.replicates, level: LEVEL, random: seededRandom(seed ^ 1), units };
  const parity = parityIntervals(fairness, options);
  return { gate: fair(groups.title, parity, policy), rates: groupRates(fairness), parity };
}

function fair(title: string, parity: ParityIntervals, policy: GatePolicy): Gate {
  // A ratio here is the least rate over the greatest, so only the lower end of the band can be left.
  const outside = policy.fairRatios.filter((name) => !(parity[name].value >= FOUR_FIFTHS.low));
  const described = policy.fairRatios.map((name) => `${RATIO_NAMES[name] ?? name} ${figures(parity[name])}`).join(", ");
  const where =
    outside.length === 0 ? "inside" : policy.fairness === "require" ? "outside" : "outside (reported, not required)";
  const text = `groups by ${title}: ${described}; ${where} the band ${FOUR_FIFTHS.low} to ${FOUR_FIFTHS.high}`;
  const worst = outside[0] ?? policy.fairRatios[0] ?? "demographicParityRatio";
  return gate("fair", title, outside.length === 0 || policy.fairness === "report", parity[worst], text);
}
