import { seededRandom } from "../../../models/stats/random.ts";
import { gatherRows } from "../gather-rows.ts";
import { rocAuc } from "../../../models/stats/ranking-metrics.ts";
import type { LabelledRows, TrainingSet } from "../training-set.ts";
import type { GbdtParametersInput } from "./parameters.ts";
import { fitGbdt } from "./train-gbdt.ts";
import { type GbdtModel, leafOf } from "./tree.ts";

/**
 * Chooses tree size and number of rounds on the training rows alone; what a report is made on is never seen.
 *
 * `random` (rows of one distribution): each candidate is fitted on most rows and stopped by log-loss on the rest; the
 * winner's rounds are scaled to the full data. `last` (rows in order of time): each candidate is fitted on the rows before
 * several boundaries and ranked by ROC AUC on those after. Log-loss would not do there: where the world moves, it punishes
 * confidence, picks next to no trees, and loses the order of rows, which lasts longer than probabilities do.
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

/** Categories that say something on their own: a hundred rows, and an order smoothed by fifty. */
const STEADY = { nodeFeatureFraction: 0.7, categorySmoothing: 50, minRowsPerCategory: 100 };

/**
 * From small and slow to large: what 10,000 to 1,000,000 rows with tens of features want. With every row in every tree for data whose
 * patterns are fine and whose labels are clean, with draws of rows where they are not.
 */
export const CANDIDATES: readonly GbdtParametersInput[] = [
  { leaves: 4, rowFraction: 0.8, nodeFeatureFraction: 0.6 },
  { leaves: 8, rowFraction: 0.8, nodeFeatureFraction: 0.6 },
  { leaves: 16, rowFraction: 0.8, nodeFeatureFraction: 0.6 },
  { leaves: 31, rowFraction: 0.8, nodeFeatureFraction: 0.5 },
  { leaves: 16, minRowsPerLeaf: 100, l2: 20, rowFraction: 0.7, nodeFeatureFraction: 0.3 },
  { leaves: 8, ...STEADY },
  { leaves: 16, ...STEADY },
  { leaves: 31, ...STEADY },
];

const PATIENCE = 40;
const MAX_ROUNDS = 2000;

export async function tuneGbdt(set: TrainingSet, options: TuneOptions): Promise<TuneResult> {
  return options.holdout === "last" ? tuneOverTime(set, options) : tuneAtRandom(set, options);
}

async function tuneAtRandom(set: TrainingSet, options: TuneOptions): Promise<TuneResult> {
  const inner = holdBack(set, options);
  const trials: Trial[] = [];
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
  const best = leastLoss(trials);
  const rounds = Math.max(1, Math.round(best.rounds / (1 - options.holdoutShare)));
  return { parameters: { ...options.base, ...best.candidate, trees: Math.min(rounds, 10_000) }, trials };
}

export interface Trial {
  readonly candidate: GbdtParametersInput;
  /** Log-loss on the rows held back; over time, 1 - ROC AUC, mean over boundaries. */
  readonly loss: number;
  readonly rounds: number;
}

function leastLoss(trials: readonly Trial[]): Trial {
  return trials.reduce((a, b) => (b.loss < a.loss ? b : a));
}

/** Rounds at which a candidate is looked at. */
const CHECKPOINTS = [50, 100, 150, 200, 300, 400];
/** Shares of the rows, in order of time: learn before the first, look from there to the second. */
const BOUNDARIES: readonly (readonly [number, number])[] = [
  [0.8, 1],
  [0.7, 0.9],
  [0.6, 0.8],
  [0.5, 0.7],
];
/** More rows than this tell enough with one boundary. */
const MANY_ROWS = 100_000;

async function tuneOverTime(set: TrainingSet, options: TuneOptions): Promise<TuneResult> {
  const rows = set.train.labels.length;
  const parts = (rows > MANY_ROWS ? BOUNDARIES.slice(0, 1) : BOUNDARIES)
    .map(([learn, look]) => ({
      train: gatherRows(set.train, rowRange(0, Math.round(rows * learn))),
      test: gatherRows(set.train, rowRange(Math.round(rows * learn), Math.round(rows * look))),
    }))
    .filter(({ train, test }) => new Set(train.labels).size === 2 && new Set(test.labels).size === 2);
  const trials: Trial[] = [];
  for (const [i, candidate] of options.candidates.entries()) {
    const aucs = CHECKPOINTS.map(() => 0);
    for (const { train, test } of parts) {
      const parameters = {
        ...options.base,
        ...candidate,
        trees: CHECKPOINTS.at(-1) ?? 100,
        calibration: "none" as const,
      };
      const fitted = { features: set.features, train, validation: null };
      const { model } = await fitGbdt(
        fitted,
        parameters,
        options.seed,
        options.signal ? { signal: options.signal } : {},
      );
      for (const [c, scores] of scoresAt(model, test, CHECKPOINTS).entries()) {
        aucs[c] = (aucs[c] ?? 0) + rocAuc(test.labels, scores) / parts.length;
      }
    }
    trials.push(...CHECKPOINTS.map((rounds, c) => ({ candidate, rounds, loss: 1 - (aucs[c] ?? 0) })));
    options.progress?.(i + 1, options.candidates.length);
  }
  const best = leastLoss(trials);
  return { parameters: { ...options.base, ...best.candidate, trees: best.rounds }, trials };
}

function rowRange(from: number, to: number): Uint32Array {
  return Uint32Array.from({ length: to - from }, (_, i) => from + i);
}

/** Raw scores after so many rounds, for each of ascending numbers of rounds. */
function scoresAt(model: GbdtModel, rows: LabelledRows, checkpoints: readonly number[]): Float64Array[] {
  const scores = new Float64Array(rows.labels.length);
  const taken: Float64Array[] = [];
  for (const [t, tree] of model.trees.entries()) {
    for (let row = 0; row < scores.length; row++) {
      scores[row] = (scores[row] ?? 0) + (tree.leafValue[leafOf(tree, rows.columns, row)] ?? 0);
    }
    if (checkpoints.includes(t + 1)) taken.push(scores.slice());
  }
  while (taken.length < checkpoints.length) taken.push(scores);
  return taken;
}

function holdBack(set: TrainingSet, { holdoutShare, seed }: TuneOptions): TrainingSet {
  const rows = set.train.labels.length;
  const random = seededRandom(seed);
  const keys = Float64Array.from({ length: rows }, random);
  const order = rowRange(0, rows).sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0));
  const boundary = Math.max(1, Math.min(rows - 1, Math.round(rows * (1 - holdoutShare))));
  return {
    features: set.features,
    train: gatherRows(set.train, order.slice(0, boundary).sort()),
    validation: gatherRows(set.train, order.slice(boundary).sort()),
  };
}
