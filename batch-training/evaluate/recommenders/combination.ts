import type { Parameters } from "../../train/recommenders/recommender.ts";
import type { Case } from "./cases.ts";

/** What is made of the parts of a run: a blend, a second stage. */
export interface Combination {
  readonly name: string;
  readonly parameters: Parameters;
  /** Mean NDCG@k on validation cases. */
  readonly validation: number;
  /** Positions of the parts it needs. */
  readonly uses: readonly number[];
  /** Bytes it adds to those of its parts. */
  readonly bytes: number;
  readonly fitSeconds: number;
  /** @param scores for each part a score for every item; @param out one place per item, NaN for what is not to be shown. */
  readonly score: (question: Case, scores: readonly Float32Array[], out: Float32Array) => void;
}
