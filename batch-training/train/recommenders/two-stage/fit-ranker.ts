import { writeModel } from "../../../../models/onnx/write-model.ts";
import { exportGbdt } from "../../gbdt/export-onnx.ts";
import type { GbdtParametersInput } from "../../gbdt/parameters.ts";
import { fitGbdt } from "../../gbdt/train-gbdt.ts";

/** Candidates of several requests with their outcomes; requests lie one after the other. */
export interface RankingRows {
  readonly names: readonly string[];
  /** rows x features. */
  readonly values: Float32Array;
  /** Grade of each row, 0 for not relevant. */
  readonly labels: Float32Array;
  /** Rows of each request. */
  readonly groups: Int32Array;
}

export interface Ranker {
  /** The trees as ONNX: `features` to `score`, higher is better within a request. */
  readonly onnx: Uint8Array;
  readonly names: readonly string[];
}

/**
 * Small trees, many rows a leaf and half of the features a tree: a thousand requests teach a ranker little that is not noise. Chosen on
 * validation months of Online Retail; the other data sets are ranked with the same.
 */
export const RANKER_PARAMETERS: GbdtParametersInput = {
  objective: "lambdarank",
  trees: 200,
  learningRate: 0.05,
  leaves: 7,
  minRowsPerLeaf: 100,
  l2: 10,
  featureFraction: 0.5,
  rowFraction: 0.7,
  rankTruncation: 15,
};

/** Boosted trees with LambdaRank over the candidates (Burges 2010), as the graph that is served. */
export async function fitRanker(
  rows: RankingRows,
  options: { readonly seed: number; readonly threads: number; readonly parameters?: GbdtParametersInput },
): Promise<Ranker> {
  const { names, values, labels } = rows;
  const width = names.length;
  const columns = names.map((_, feature) =>
    Float32Array.from({ length: labels.length }, (_, row) => values[row * width + feature] ?? Number.NaN),
  );
  const fit = await fitGbdt(
    {
      features: names.map((name) => ({ name, kind: "numeric" })),
      train: { columns, labels, weights: null, groups: rows.groups },
      validation: null,
    },
    { ...(options.parameters ?? RANKER_PARAMETERS), threads: options.threads },
    options.seed,
  );
  return { onnx: writeModel(exportGbdt(fit.model)), names };
}

/** Several sets of rows with the same features as one. */
export function joinRows(parts: readonly RankingRows[]): RankingRows {
  const total = (length: (part: RankingRows) => number): number => parts.reduce((sum, part) => sum + length(part), 0);
  const values = new Float32Array(total((part) => part.values.length));
  const labels = new Float32Array(total((part) => part.labels.length));
  let value = 0;
  let label = 0;
  for (const part of parts) {
    values.set(part.values, value);
    labels.set(part.labels, label);
    value += part.values.length;
    label += part.labels.length;
  }
  return {
    names: parts[0]?.names ?? [],
    values,
    labels,
    groups: Int32Array.from(parts.flatMap((part) => [...part.groups])),
  };
}
