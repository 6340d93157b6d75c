import { availableParallelism } from "node:os";
import { z } from "zod";
import { TrainingError } from "../training-set.ts";

/**
 * What a run of the trainer may choose. Names follow LightGBM where a meaning is shared. Everything that changes the
 * trees is here and in the seed; `threads` is not among it: any number gives the same bytes.
 */
export const gbdtParametersSchema = z.strictObject({
  objective: z.enum(["logistic", "squared", "softmax", "lambdarank"]).default("logistic"),
  /**
   * `boosted`: each tree corrects those before it. `forest`: each stands alone on its own draw of rows and features and the model is their
   * mean (Breiman 2001); with the squared objective and labels 0 and 1 that is a probability. Early stopping has no meaning there.
   */
  ensemble: z.enum(["boosted", "forest"]).default("boosted"),
  /** Boosting rounds at most; early stopping may keep fewer. */
  trees: z.int().min(1).max(10_000).default(200),
  learningRate: z.number().positive().max(1).default(0.1),
  /** Leaves per tree at most. */
  leaves: z.int().min(2).max(2048).default(31),
  /** Splits on a path at most; 0 is unlimited. */
  maxDepth: z.int().min(0).max(64).default(0),
  /** Value bins per feature; missing has its own beside them. */
  maxBins: z.int().min(2).max(255).default(255),
  minRowsPerLeaf: z.int().min(1).max(1_000_000).default(20),
  /** Least sum of hessians in a leaf. */
  minHessianPerLeaf: z.number().min(0).default(1e-3),
  /** Least gain of a split, in the units of the loss (twice the loss reduction). */
  minGain: z.number().min(0).default(0),
  l1: z.number().min(0).default(0),
  l2: z.number().min(0).default(1),
  /** Features whose rise must never lower (1) or raise (-1) the score, by name. Numeric ones only. */
  monotone: z.record(z.string(), z.union([z.literal(1), z.literal(-1)])).default({}),
  /** Categorical splits: added to `l2`, to the hessian in the order of categories, most categories listed on a side. */
  categoryL2: z.number().min(0).default(10),
  categorySmoothing: z.number().min(0).default(10),
  maxCategoriesPerSplit: z.int().min(1).max(254).default(32),
  /** Rows of a category in a node below which it is never listed. */
  minRowsPerCategory: z.int().min(1).default(10),
  /** Share of rows drawn for each tree. */
  rowFraction: z.number().positive().max(1).default(1),
  /** Share of features offered to each tree (at least one). */
  featureFraction: z.number().positive().max(1).default(1),
  /** Share of those features searched in each node, drawn anew per node as in a random forest. */
  nodeFeatureFraction: z.number().positive().max(1).default(1),
  /**
   * Logistic only. `balanced` weighs the rare class by the ratio of the classes, a number weighs class 1 by itself,
   * `none` leaves the rows alone. Weighted training shifts probabilities: calibrate.
   */
  classWeight: z.union([z.enum(["none", "balanced"]), z.number().positive().max(1e6)]).default("none"),
  /** Logistic only, instead of class weights: negatives dropped, or synthetic positives added (`resample.ts`). */
  resample: z.enum(["none", "under-sample", "smote"]).default("none"),
  /** Positives per negative after resampling. */
  resampleRatio: z.number().positive().max(1).default(1),
  /** Stop after so many rounds without a better validation metric; 0 never stops. Needs validation rows. */
  earlyStoppingRounds: z.int().min(0).max(10_000).default(0),
  /** LambdaRank: ranks whose order matters. */
  rankTruncation: z.int().min(1).max(1000).default(30),
  /** Models fitted with seeds of their own and averaged, into one ensemble. */
  bags: z.int().min(1).max(50).default(1),
  /** Fitted on the validation rows and folded into the graph. Logistic only. */
  calibration: z.enum(["none", "platt", "isotonic"]).default("none"),
  /** Histogram memory at most, MiB: past it, histograms of waiting leaves are dropped and rebuilt when needed. */
  histogramMegabytes: z.int().min(1).max(2048).default(256),
  /** Threads; 0 takes what the machine offers. */
  threads: z.int().min(0).max(256).default(0),
});

export type GbdtParameters = z.infer<typeof gbdtParametersSchema>;
export type GbdtParametersInput = z.input<typeof gbdtParametersSchema>;

/** @throws TrainingError `invalid_parameters` that names each wrong field. */
export function parseGbdtParameters(input: GbdtParametersInput): GbdtParameters {
  const parsed = gbdtParametersSchema.safeParse(input);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join(".") || "parameters"}: ${issue.message}`);
    throw new TrainingError("invalid_parameters", `the training parameters are not valid: ${issues.join("; ")}`);
  }
  return parsed.data;
}

export function threadCount(parameters: GbdtParameters): number {
  return parameters.threads === 0 ? Math.min(availableParallelism(), 256) : parameters.threads;
}
