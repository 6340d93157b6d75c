import { type Recommender, reused, setting } from "./recommender.ts";
import { type ItemLists, listRecommender, strongest } from "./item-lists.ts";
import { interactionMatrix, type SparseMatrix, transpose } from "./sparse-matrix.ts";

/** Users with more items than this are cut to their first ones when pairs are counted: a crawler would cost its square. */
const MAX_ITEMS_PER_USER = 5_000;

export interface SimilaritySettings {
  readonly neighbours: number;
  /** Added to the denominator: pairs seen together a few times only are held back (Bell and Koren 2007). */
  readonly shrinkage: number;
  /** Exponent of the popularity of the item spoken for; 0.5 is the cosine, less favours popular items. */
  readonly power: number;
}

/**
 * Similarity of items by the users they share, as lists: row i, entry j = c_ij / (n_i^(1-p) n_j^p + shrinkage), with c the users of both,
 * n the users of one, weighted by the entries of the matrix. p = 0.5 is the cosine of binary columns.
 */
export function similarityLists(matrix: SparseMatrix, settings: SimilaritySettings): ItemLists {
  const byItem = transpose(matrix);
  const items = matrix.columns;
  const norms = new Float64Array(items);
  for (let item = 0; item < items; item++) {
    for (let at = byItem.start[item] ?? 0; at < (byItem.start[item + 1] ?? 0); at++) {
      norms[item] = (norms[item] ?? 0) + (byItem.value[at] ?? 0) ** 2;
    }
  }
  const start = new Int32Array(items + 1);
  const neighbour: number[] = [];
  const weight: number[] = [];
  const row = new Float32Array(items);
  for (let item = 0; item < items; item++) {
    row.fill(0);
    for (let at = byItem.start[item] ?? 0; at < (byItem.start[item + 1] ?? 0); at++) {
      const user = byItem.column[at] ?? 0;
      const w = byItem.value[at] ?? 0;
      const from = matrix.start[user] ?? 0;
      const to = Math.min(matrix.start[user + 1] ?? 0, from + MAX_ITEMS_PER_USER);
      for (let other = from; other < to; other++) {
        const target = matrix.column[other] ?? 0;
        row[target] = (row[target] ?? 0) + w * (matrix.value[other] ?? 0);
      }
    }
    const own = (norms[item] ?? 0) ** (1 - settings.power);
    for (let target = 0; target < items; target++) {
      const together = row[target] ?? 0;
      if (together !== 0) row[target] = together / (own * (norms[target] ?? 0) ** settings.power + settings.shrinkage);
    }
    for (const target of strongest(row, settings.neighbours, item)) {
      neighbour.push(target);
      weight.push(row[target] ?? 0);
    }
    start[item + 1] = neighbour.length;
  }
  return { items, start, neighbour: Int32Array.from(neighbour), weight: Float32Array.from(weight) };
}

/**
 * Item-based nearest neighbours (Sarwar et al. 2001; Deshpande and Karypis 2004): cosine with shrinkage, and a profile in which older items
 * count less (`decay` per item; 1 for none).
 */
export const itemKnn: Recommender = {
  name: "item-knn",
  description: "cosine of items over users, shrinkage, recency decay",
  search: {
    neighbours: [100, 30],
    shrinkage: [0, 10, 50],
    power: [0.5, 0.3],
    decay: [1, 0.98, 0.8],
  },
  fit: async (log, parameters, context) => {
    const settings = {
      neighbours: setting(parameters, "neighbours"),
      shrinkage: setting(parameters, "shrinkage"),
      power: setting(parameters, "power"),
    };
    const lists = await reused(context, JSON.stringify(settings), () =>
      similarityLists(interactionMatrix(log), settings),
    );
    return listRecommender(lists, { stepDecay: setting(parameters, "decay"), halfLifeSeconds: Infinity });
  },
};
