import type { Model } from "../../models/onnx/model.ts";
import type { TrainingSet } from "./training-set.ts";

/** What a trainer says while it works. */
export interface TrainingProgress {
  /** Rounds, epochs or steps done and planned. */
  readonly done: number;
  readonly total: number;
  /** What is being watched, e.g. `validation loss 0.0312`. */
  readonly note: string;
}

export interface Trained<Raw> {
  /** Ready to write; its first output is `score`. */
  readonly graph: Model;
  /** The trainer's own form, for parity checks and explanations. */
  readonly rawModel: Raw;
  /** Of the run itself, on the validation rows where there are any; never of the reported test slice. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** Same set, parameters and seed: the same graph, byte for byte, on any machine and any number of threads. */
export type Trainer<Parameters, Raw> = (
  trainingSet: TrainingSet,
  parameters: Parameters,
  seed: number,
  progress: (progress: TrainingProgress) => void,
  signal?: AbortSignal,
) => Promise<Trained<Raw>>;
