import { readFileSync } from "node:fs";
import { join } from "node:path";

/** One training job as files, so that every contender reads the same bytes: float32, column after column. */
export interface TrainingTask {
  readonly trainRows: number;
  readonly testRows: number;
  readonly features: number;
  readonly trees: number;
  readonly leaves: number;
  readonly bins: number;
  readonly learningRate: number;
  readonly l2: number;
  readonly minRowsPerLeaf: number;
  readonly threads: number;
}

/** What a contender prints: seconds include binning, not reading; peak memory is of the whole process, data included. */
export interface TrainingOutcome {
  readonly seconds: number;
  readonly peakBytes: number;
  readonly version: string;
}

export const FILES = {
  task: "task.json",
  trainColumns: "train.f32",
  trainLabels: "train-labels.f32",
  testColumns: "test.f32",
  testLabels: "test-labels.f32",
  scores: "scores.f64",
} as const;

export function readTask(folder: string): TrainingTask {
  return JSON.parse(readFileSync(join(folder, FILES.task), "utf8")) as TrainingTask;
}

export function readFloats(folder: string, file: string): Float32Array {
  const bytes = readFileSync(join(folder, file));
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

export function columnsOf(values: Float32Array, features: number): Float32Array[] {
  const rows = values.length / features;
  return Array.from({ length: features }, (_, f) => values.subarray(f * rows, (f + 1) * rows));
}
