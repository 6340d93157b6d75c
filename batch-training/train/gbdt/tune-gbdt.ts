import { seededRandom } from "../../../models/stats/random.ts";
import { gatherRows } from "../gather-rows.ts";
import type { TrainingSet } from "../training-set.ts";
import type { GbdtParametersInput } from "./parameters.ts";
import { fitGbdt } from "./train-gbdt.ts";

/**
 * Chooses tree size and number of rounds on the training rows alone: each candidate is fitted on the earlier part and
 * stopped on a slice held back from it; the winner's rounds, scaled to the full data, are what the final fit uses. What a
 * report is made on is never seen.
 */
export interface TuneOptions {
  /** `last`: hold back the last rows (they are in order of time). `random`: rows drawn by the seed. */
  readonly holdout: "last" | "random";
  readonly holdoutShare: number;
  readonly candidates: readonly GbdtParametersInput[];
  readonly base: GbdtParametersInput;
  readonly seed: number;
  readonly signal?: AbortSignal;
  readonly progress?: (done: number, total: number) => void;
}

export interface TuneResult {
  readonly parameters: GbdtParametersInput;
  readonly trials: readonly {
    readonly candidate: GbdtParametersInput;
    readonly loss: number;
    readonly rounds: number;
  }[];
}

/** From small and slow to large: what 10,000 to 1,000,000 rows with tens of features want. */
export const CANDIDATES: readonly GbdtParametersInput[] = [
  { leaves: 4, rowFraction: 0.8, nodeFeatureFraction: 0.6 },
  { leaves: 8, rowFraction: 0.8, nodeFeatureFraction: 0.6 },
  { leaves: 16, rowFraction: 0.8, nodeFeatureFraction: 0.6 },
  { leaves: 31, rowFraction: 0.8, nodeFeatureFraction: 0.5 },
  { leaves: 16, minRowsPerLeaf: 100, l2: 20, rowFraction: 0.7, nodeFeatureFraction: 0.3 },
];

const PATIENCE = 40;
const MAX_ROUNDS = 2000;

export async function tuneGbdt(set: TrainingSet, options: TuneOptions): Promise<TuneResult> {
  const inner = holdBack(set, options);
  const trials: { candidate: GbdtParametersInput; loss: number; rounds: number }[] = [];
  for (const [i, candidate] of options.candidates.entries()) {
    const parameters = {
      trees: MAX_ROUNDS,
      ...options.base,
      ...candidate,
      earlyStoppingRounds: PATIENCE,
      calibration: "none" as const,
    };
    const fit = await fitGbdt(inner, parameters, options.seed, options.signal ? { signal: options.signal } : {});
    trials.push({ candidate, loss: Math.min(...fit.validationLosses), rounds: fit.model.trees.length });
    options.progress?.(i + 1, options.candidates.length);
  }
  const best = trials.reduce((a, b) => (b.loss < a.loss ? b : a));
  const rounds = Math.max(1, Math.round(best.rounds / (1 - options.holdoutShare)));
  return { parameters: { ...options.base, ...best.candidate, trees: Math.min(rounds, 10_000) }, trials };
}

function holdBack(set: TrainingSet, { holdout, holdoutShare, seed }: TuneOptions): TrainingSet {
  const rows = set.train.labels.length;
  const order = Uint32Array.from({ length: rows }, (_, row) => row);
  if (holdout === "random") {
    const random = seededRandom(seed);
    const keys = Float64Array.from({ length: rows }, random);
    order.sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0));
  }
  const boundary = Math.max(1, Math.min(rows - 1, Math.round(rows * (1 - holdoutShare))));
  return {
    features: set.features,
    train: gatherRows(set.train, order.slice(0, boundary).sort()),
    validation: gatherRows(set.train, order.slice(boundary).sort()),
  };
}
