import type { ParityMetrics } from "../../../models/stats/group-fairness.ts";

/** What a model that gives probabilities must show. */
export interface GatePolicy {
  /** What champion and baselines are compared on. */
  readonly metric: "averagePrecision" | "rocAuc";
  /** Fewer positives in the slice than this say nothing about a rare class. */
  readonly minPositives: number;
  readonly minRows: number;
  /** The challenger's metric minus the champion's must be above this. */
  readonly minGain: number;
  /** How far below the champion's, or a baseline's, the lower end of the paired difference may lie. */
  readonly tolerance: number;
  /** Largest expected calibration error over ten equal-count bins. */
  readonly maxCalibrationError: number;
  /**
   * How much worse than champion or baseline the metric of a declared slice may be. Worse by more, with the whole interval of the paired
   * difference below zero, is a regression.
   */
  readonly sliceBand: number;
  /** Slices with fewer positives or rows are reported and not judged. */
  readonly minSlicePositives: number;
  /** `report` writes group metrics down, `require` refuses outside the four-fifths band. */
  readonly fairness: "report" | "require";
  /** Which ratios must lie in the band where it is required. */
  readonly fairRatios: readonly (keyof ParityMetrics)[];
  /** Score from which a row counts as selected, for group metrics. */
  readonly decisionThreshold: number;
  readonly replicates: number;
}

export const DEFAULT_GATE_POLICY: GatePolicy = {
  metric: "averagePrecision",
  minPositives: 30,
  minRows: 500,
  minGain: 0,
  tolerance: 0.02,
  maxCalibrationError: 0.05,
  sliceBand: 0.1,
  minSlicePositives: 15,
  fairness: "report",
  fairRatios: ["demographicParityRatio", "equalOpportunityRatio", "equalisedOddsRatio"],
  decisionThreshold: 0.5,
  replicates: 300,
};
