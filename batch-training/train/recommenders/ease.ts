import { profileOf } from "../../../models/recommend/profile.ts";
import type { ProfileRule } from "../../../models/recommend/served-recommender.ts";
import { DualEase, solveDual } from "./ease-dual.ts";
import { columnCounts, denseGram, normalised } from "./gram.ts";
import { cutLists, denseToLists } from "./item-lists.ts";
import { invertSymmetric } from "./linear-algebra/invert.ts";
import { type FittedRecommender, type Recommender, reused, setting } from "./recommender.ts";
import { interactionMatrix, type PairSummary, type SparseMatrix } from "./sparse-matrix.ts";

/** Largest system that is inverted: 20,000 x 20,000 floats are 1.6 GB, and the work grows with the cube. */
export const MAX_EASE_SIZE = 20_000;

export interface EaseSettings {
  /** Ridge; the only setting of plain EASE. */
  readonly lambda: number;
  /** Exponents of the degree normalisation of users and items; 0 for none. */
  readonly userPower: number;
  readonly itemPower: number;
}

/**
 * The item-item weights of EASE (Steck 2019, "Embarrassingly shallow autoencoders for sparse data"): with P = (XᵀX + lambda I)⁻¹,
 * B_ij = -P_ij / P_jj and a diagonal of 0. Where X was normalised the weights are brought back to the scale of plain histories.
 * @returns items x items, row i what item i says about the others
 */
export async function easeWeights(
  matrix: SparseMatrix,
  settings: EaseSettings,
  threads: number,
): Promise<Float32Array> {
  const n = matrix.columns;
  const weights = denseGram(normalised(matrix, settings.userPower, settings.itemPower));
  for (let i = 0; i < n; i++) weights[i * n + i] = (weights[i * n + i] ?? 0) + settings.lambda;
  await invertSymmetric(weights, n, threads);
  const scale = columnCounts(matrix).map((count) => Math.max(1, count) ** settings.itemPower);
  const diagonal = Float64Array.from({ length: n }, (_, i) => weights[i * n + i] ?? 1);
  for (let i = 0; i < n; i++) {
    const from = 1 / (scale[i] ?? 1);
    for (let j = 0; j < n; j++) {
      const at = i * n + j;
      weights[at] = i === j ? 0 : (-(weights[at] ?? 0) / (diagonal[j] ?? 1)) * from * (scale[j] ?? 1);
    }
  }
  return weights;
}

/** A solved system; how histories are weighted comes later. */
type EaseSolution = (rule: ProfileRule) => FittedRecommender;

function denseSolution(weights: Float32Array, items: number): EaseSolution {
  const rowOf = (item: number): Float32Array => weights.subarray(item * items, (item + 1) * items);
  return (rule) => ({
    score: (history, at, out) => {
      out.fill(0);
      const profile = profileOf(history.items, history.times, at, rule);
      for (const [place, item] of profile.items.entries()) {
        const w = profile.weights[place] ?? 0;
        const row = rowOf(item);
        for (let j = 0; j < items; j++) out[j] = (out[j] ?? 0) + w * (row[j] ?? 0);
      }
    },
    serve: (neighbours) => cutLists(denseToLists(rowOf, items, neighbours), neighbours, rule),
  });
}

async function solveEase(matrix: SparseMatrix, settings: EaseSettings, threads: number): Promise<EaseSolution> {
  if (!(settings.lambda > 0)) throw new RangeError("lambda must be above 0");
  const smaller = Math.min(matrix.rows, matrix.columns);
  if (smaller > MAX_EASE_SIZE) {
    throw new RangeError(
      `EASE inverts a matrix of ${smaller} rows here; ${MAX_EASE_SIZE} is the limit: keep the more popular items`,
    );
  }
  // With fewer users than items the same weights follow from a system of the users' size.
  if (matrix.rows * 2 < matrix.columns) {
    const system = await solveDual(matrix, settings, threads);
    return (rule) => new DualEase(system, rule);
  }
  return denseSolution(await easeWeights(matrix, settings, threads), matrix.columns);
}

/** Plain EASE: binary entries, one setting. */
export const ease: Recommender = {
  name: "ease",
  description: "closed-form item-item ridge with zero diagonal",
  search: { lambda: [200, 50, 100, 400, 800, 1600] },
  fit: async (log, parameters, context) => {
    const settings = { lambda: setting(parameters, "lambda"), userPower: 0, itemPower: 0 };
    const solution = await solveEase(interactionMatrix(log), settings, context.threads);
    return solution({ stepDecay: 1, halfLifeSeconds: Infinity });
  },
};

/**
 * EASE on a degree-normalised matrix, with a profile in which older items count less. `share` is the ridge as a share of
 * the mean diagonal of the normalised XᵀX, so that one range fits every normalisation.
 */
export const easeNormalised: Recommender = {
  name: "ease-normalised",
  description: "EASE with degree normalisation and recency decay",
  search: {
    share: [10, 4, 25],
    itemPower: [0, 0.2],
    userPower: [0, 0.25],
    decay: [1, 0.98, 0.8],
    halfLifeDays: [0, 60],
  },
  fit: async (log, parameters, context) => {
    const userPower = setting(parameters, "userPower");
    const itemPower = setting(parameters, "itemPower");
    const share = setting(parameters, "share");
    const solution = await reused(context, `${userPower} ${itemPower} ${share}`, () => {
      const matrix = interactionMatrix(log);
      const { value } = normalised(matrix, userPower, itemPower);
      const energy = value.reduce((sum, x) => sum + x * x, 0) / Math.max(1, matrix.columns);
      return solveEase(matrix, { lambda: share * (energy === 0 ? 1 : energy), userPower, itemPower }, context.threads);
    });
    const days = setting(parameters, "halfLifeDays");
    return solution({
      stepDecay: setting(parameters, "decay"),
      halfLifeSeconds: days === 0 ? Infinity : days * 86_400,
    });
  },
};

/** Least weight of an old entry: what was bought long ago still says what goes together. */
const LEAST_WEIGHT = 0.02;

/**
 * EASE on entries that fade with the age of a user's latest event with the item, and a profile that fades too: what goes together lately.
 * `share` is the ridge as a share of the mean diagonal of the weighted XᵀX; 0 days stand for no fading.
 */
export const easeRecency: Recommender = {
  name: "ease-recency",
  description: "EASE with entries and profile that fade with age",
  search: {
    share: [25, 10, 60],
    matrixDays: [90, 0, 180, 45],
    halfLifeDays: [60, 0, 120],
  },
  fit: async (log, parameters, context) => {
    const share = setting(parameters, "share");
    const days = setting(parameters, "matrixDays");
    const solution = await reused(context, `${share} ${days}`, () => {
      const weight = (pair: PairSummary): number => {
        const age = (log.lastTime - pair.latest) / 86_400;
        return days === 0 || Number.isNaN(age) ? 1 : Math.max(LEAST_WEIGHT, 2 ** (-age / days));
      };
      const matrix = interactionMatrix(log, weight);
      const energy = matrix.value.reduce((sum, x) => sum + x * x, 0) / Math.max(1, matrix.columns);
      const lambda = share * (energy === 0 ? 1 : energy);
      return solveEase(matrix, { lambda, userPower: 0, itemPower: 0 }, context.threads);
    });
    const fade = setting(parameters, "halfLifeDays");
    return solution({ stepDecay: 1, halfLifeSeconds: fade === 0 ? Infinity : fade * 86_400 });
  },
};
