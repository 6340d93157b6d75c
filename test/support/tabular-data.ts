import type { LabelledRows, TrainingSet } from "../../batch-training/train/training-set.ts";
import { SeededRandom } from "./seeded-random.ts";

/**
 * Generated binary classification data with interactions, heavy tails, whole numbers and missing values: column f is
 * normal, log-normal or 0..19 by f mod 3; 5 % of every fourth column is missing.
 */
export function generateRows(rows: number, features: number, seed: number): LabelledRows {
  const random = new SeededRandom(seed);
  const columns = Array.from({ length: features }, () => new Float32Array(rows));
  const labels = new Float32Array(rows);
  const values = new Float64Array(features);
  for (let row = 0; row < rows; row++) {
    for (let f = 0; f < features; f++) {
      const kind = f % 3;
      values[f] = kind === 0 ? random.normal() : kind === 1 ? Math.exp(random.normal()) : random.below(20);
    }
    const at = (f: number): number => values[f % features] ?? 0;
    const margin =
      -2 +
      0.8 * at(0) +
      0.6 * at(0) * at(3) +
      0.4 * Math.log(at(1) + 1e-3) -
      0.3 * Math.abs(at(6)) +
      (at(2) > 14 ? 0.9 : 0) +
      0.5 * Math.sin(2 * at(9)) +
      (at(5) % 3 === 0 ? 0.7 : 0);
    labels[row] = random.next() < 1 / (1 + Math.exp(-margin)) ? 1 : 0;
    for (let f = 0; f < features; f++) {
      const column = columns[f];
      if (column) column[row] = f % 4 === 0 && random.next() < 0.05 ? Number.NaN : (values[f] ?? 0);
    }
  }
  return { columns, labels, weights: null, groups: null };
}

export function numericSet(train: LabelledRows, validation: LabelledRows | null = null): TrainingSet {
  return { features: train.columns.map((_, f) => ({ name: `f${f}`, kind: "numeric" })), train, validation };
}
