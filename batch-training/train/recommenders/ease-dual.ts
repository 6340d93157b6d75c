import type { History } from "../../../models/recommend/history.ts";
import { profileOf } from "../../../models/recommend/profile.ts";
import type { ProfileRule } from "../../../models/recommend/served-recommender.ts";
import type { EaseSettings } from "./ease.ts";
import { columnCounts, denseGram, normalised } from "./gram.ts";
import { cutLists, denseToLists } from "./item-lists.ts";
import { invertSymmetric } from "./linear-algebra/invert.ts";
import type { FittedRecommender } from "./recommender.ts";
import { type SparseMatrix, transpose } from "./sparse-matrix.ts";

/** A solved dual system, before the rule that weights histories. */
export interface DualSystem {
  /** The normalised X, and its transpose. */
  readonly matrix: SparseMatrix;
  readonly byItem: SparseMatrix;
  /** (X Xᵀ + lambda I)⁻¹ */
  readonly m: Float32Array;
  readonly lambda: number;
  /** Popularity to the power of the normalisation. */
  readonly scale: Float64Array;
}

export async function solveDual(matrix: SparseMatrix, settings: EaseSettings, threads: number): Promise<DualSystem> {
  const scaled = normalised(matrix, settings.userPower, settings.itemPower);
  const byItem = transpose(scaled);
  const m = denseGram(byItem);
  for (let u = 0; u < scaled.rows; u++) m[u * scaled.rows + u] = (m[u * scaled.rows + u] ?? 0) + settings.lambda;
  await invertSymmetric(m, scaled.rows, threads);
  const scale = columnCounts(matrix).map((count) => Math.max(1, count) ** settings.itemPower);
  return { matrix: scaled, byItem, m, lambda: settings.lambda, scale };
}

/**
 * EASE where users are fewer than items. By the matrix inversion lemma (Woodbury) (XᵀX + lambda I)⁻¹ = (I - Xᵀ M X) / lambda with
 * M = (X Xᵀ + lambda I)⁻¹ of the users' size, so the items x items matrix is never formed: weights are made row by row.
 */
export class DualEase implements FittedRecommender {
  readonly #matrix: SparseMatrix;
  readonly #byItem: SparseMatrix;
  readonly #m: Float32Array;
  readonly #lambda: number;
  readonly #rule: ProfileRule;
  /** Popularity to the power of the normalisation. */
  readonly #scale: Float64Array;
  /** P_jj */
  readonly #diagonal: Float64Array;

  constructor(parts: DualSystem, rule: ProfileRule) {
    this.#matrix = parts.matrix;
    this.#byItem = parts.byItem;
    this.#m = parts.m;
    this.#rule = rule;
    this.#lambda = parts.lambda;
    this.#scale = parts.scale;
    const users = parts.matrix.rows;
    this.#diagonal = Float64Array.from({ length: parts.matrix.columns }, (_, item) => {
      let form = 0;
      const { start, column, value } = parts.byItem;
      for (let a = start[item] ?? 0; a < (start[item + 1] ?? 0); a++) {
        const row = (column[a] ?? 0) * users;
        for (let b = start[item] ?? 0; b < (start[item + 1] ?? 0); b++) {
          form += (value[a] ?? 0) * (value[b] ?? 0) * (parts.m[row + (column[b] ?? 0)] ?? 0);
        }
      }
      return (1 - form) / parts.lambda;
    });
  }

  score(history: History, at: number, out: Float32Array): void {
    const profile = profileOf(history.items, history.times, at, this.#rule);
    this.#apply(profile.items, profile.weights, out);
  }

  /** x B for the sparse row x. */
  #apply(items: Int32Array, weights: Float32Array, out: Float32Array): void {
    const users = this.#matrix.rows;
    const x = new Float32Array(this.#matrix.columns);
    const left = new Float64Array(users);
    for (const [place, item] of items.entries()) {
      const w = (weights[place] ?? 0) / (this.#scale[item] ?? 1);
      x[item] = w;
      for (let entry = this.#byItem.start[item] ?? 0; entry < (this.#byItem.start[item + 1] ?? 0); entry++) {
        const user = this.#byItem.column[entry] ?? 0;
        left[user] = (left[user] ?? 0) + w * (this.#byItem.value[entry] ?? 0);
      }
    }
    const middle = new Float64Array(users);
    for (let user = 0; user < users; user++) {
      const w = left[user] ?? 0;
      if (w === 0) continue;
      const row = user * users;
      for (let v = 0; v < users; v++) middle[v] = (middle[v] ?? 0) + w * (this.#m[row + v] ?? 0);
    }
    out.fill(0);
    for (let user = 0; user < users; user++) {
      const w = middle[user] ?? 0;
      for (let entry = this.#matrix.start[user] ?? 0; entry < (this.#matrix.start[user + 1] ?? 0); entry++) {
        const item = this.#matrix.column[entry] ?? 0;
        out[item] = (out[item] ?? 0) + w * (this.#matrix.value[entry] ?? 0);
      }
    }
    // x B = x - x P / diag(P) with x P = (x - out) / lambda.
    for (let item = 0; item < out.length; item++) {
      const own = x[item] ?? 0;
      const xp = (own - (out[item] ?? 0)) / this.#lambda;
      out[item] = (own - xp / (this.#diagonal[item] ?? 1)) * (this.#scale[item] ?? 1);
    }
  }

  serve(neighbours: number): ReturnType<FittedRecommender["serve"]> {
    const items = this.#matrix.columns;
    const row = new Float32Array(items);
    const rowOf = (item: number): Float32Array => {
      this.#apply(Int32Array.of(item), Float32Array.of(1), row);
      return row;
    };
    return cutLists(denseToLists(rowOf, items, neighbours), neighbours, this.#rule);
  }
}
