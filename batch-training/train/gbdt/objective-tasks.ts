import type { Executor } from "./executor.ts";
import { lambdaRankGroup, normalisedGain, type RankedGroup } from "./lambda-rank.ts";
import { CHUNK_ROWS } from "./layout.ts";

/**
 * Gradients and losses of the objectives, chunk by chunk. Logistic and squared go straight to fixed point in the kernel;
 * softmax and LambdaRank write float32 pairs and their largest values first, and are scaled in a second pass.
 */

export function computeGradients(executor: Executor, task: number): void {
  switch (executor.parameters.objective) {
    case "logistic":
    case "squared":
      return kernelGradients(executor, task);
    case "softmax":
      return softmaxGradients(executor, task);
    case "lambdarank":
      return rankGradients(executor, task);
  }
}

function kernelGradients({ layout, kernel, doubles, parameters }: Executor, task: number): void {
  const compute = parameters.objective === "logistic" ? kernel.gradientsLogistic : kernel.gradientsSquared;
  const begin = task * CHUNK_ROWS;
  const end = Math.min(begin + CHUNK_ROWS, layout.trainRows);
  const [gScale, hScale] = [doubles[layout.search / 8 + 8] ?? 0, doubles[layout.search / 8 + 9] ?? 0];
  compute(layout.scores, layout.labels, layout.weights, begin, end, gScale, hScale, layout.grads);
}

export function quantiseGradients({ layout, kernel, doubles }: Executor, task: number): void {
  const begin = task * CHUNK_ROWS;
  const end = Math.min(begin + CHUNK_ROWS, layout.trainRows);
  const [gScale, hScale] = [doubles[layout.search / 8 + 8] ?? 0, doubles[layout.search / 8 + 9] ?? 0];
  for (let output = 0; output < layout.outputs; output++) {
    kernel.quantisePairs(layout.grads + output * layout.gradStride, begin, end, gScale, hScale);
  }
}

function weightOf({ layout, floats }: Executor, row: number): number {
  return layout.weights === 0 ? 1 : (floats[layout.weights / 4 + row] ?? 0);
}

export function findLargestResidual(executor: Executor, task: number): void {
  const { layout, doubles, floats } = executor;
  const begin = task * CHUNK_ROWS;
  const end = Math.min(begin + CHUNK_ROWS, layout.trainRows);
  let largest = 0;
  for (let row = begin; row < end; row++) {
    const residual = (doubles[layout.scores / 8 + row] ?? 0) - (floats[layout.labels / 4 + row] ?? 0);
    largest = Math.max(largest, Math.abs(weightOf(executor, row) * residual));
  }
  doubles[layout.partialSums / 8 + task * 2] = largest;
}

/** Class probabilities of a row into `out`. */
function softmaxRow({ layout, doubles }: Executor, row: number, out: Float64Array): void {
  let largest = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < out.length; k++) {
    const score = doubles[layout.scores / 8 + k * layout.rowsTotal + row] ?? 0;
    out[k] = score;
    largest = Math.max(largest, score);
  }
  let sum = 0;
  for (let k = 0; k < out.length; k++) sum += out[k] = Math.exp((out[k] ?? 0) - largest);
  for (let k = 0; k < out.length; k++) out[k] = (out[k] ?? 0) / sum;
}

/** g = w (p_k - y_k), h = w K / (K - 1) p_k (1 - p_k): the diagonal bound of Friedman 2001, as LightGBM has it. */
function softmaxGradients(executor: Executor, task: number): void {
  const { layout, floats, doubles } = executor;
  const classes = layout.outputs;
  const factor = classes / (classes - 1);
  const p = new Float64Array(classes);
  const begin = task * CHUNK_ROWS;
  const end = Math.min(begin + CHUNK_ROWS, layout.trainRows);
  let [largestG, largestH] = [0, 0];
  for (let row = begin; row < end; row++) {
    softmaxRow(executor, row, p);
    const weight = weightOf(executor, row);
    const label = floats[layout.labels / 4 + row] ?? 0;
    for (let k = 0; k < classes; k++) {
      const probability = p[k] ?? 0;
      const g = weight * (probability - (label === k ? 1 : 0));
      const h = weight * factor * probability * (1 - probability);
      const at = (layout.grads + k * layout.gradStride) / 4 + row * 2;
      floats[at] = g;
      floats[at + 1] = h;
      largestG = Math.max(largestG, Math.abs(g));
      largestH = Math.max(largestH, h);
    }
  }
  doubles[layout.partialSums / 8 + task * 2] = largestG;
  doubles[layout.partialSums / 8 + task * 2 + 1] = largestH;
}

/** Groups [from, to) of a task; validation groups follow the training groups. */
function groupsOf(executor: Executor, task: number, first: number, count: number): [number, number] {
  const tasks = executor.argument(0);
  return [first + Math.floor((count * task) / tasks), first + Math.floor((count * (task + 1)) / tasks)];
}

function groupAt({ layout, words, doubles, floats }: Executor, group: number): RankedGroup {
  const begin = words[layout.groupStarts / 4 + group] ?? 0;
  const end = words[layout.groupStarts / 4 + group + 1] ?? 0;
  return {
    begin,
    scores: doubles.subarray(layout.scores / 8 + begin, layout.scores / 8 + end),
    labels: floats.subarray(layout.labels / 4 + begin, layout.labels / 4 + end),
  };
}

function rankGradients(executor: Executor, task: number): void {
  const { layout, floats, doubles } = executor;
  const [from, to] = groupsOf(executor, task, 0, layout.trainGroups);
  let [largestG, largestH] = [0, 0];
  for (let group = from; group < to; group++) {
    const ranked = groupAt(executor, group);
    // Groups are weighed by their first row: pairs span rows, so weights are of groups.
    const weight = weightOf(executor, ranked.begin);
    const pairs = floats.subarray(
      layout.grads / 4 + ranked.begin * 2,
      layout.grads / 4 + (ranked.begin + ranked.labels.length) * 2,
    );
    lambdaRankGroup(ranked, executor.parameters.rankTruncation, weight, pairs);
    for (let i = 0; i < pairs.length; i += 2) {
      largestG = Math.max(largestG, Math.abs(pairs[i] ?? 0));
      largestH = Math.max(largestH, pairs[i + 1] ?? 0);
    }
  }
  doubles[layout.partialSums / 8 + task * 2] = largestG;
  doubles[layout.partialSums / 8 + task * 2 + 1] = largestH;
}

/** Sum of the weighted loss of a chunk of validation rows (or groups), and of the weights. */
export function computeLoss(executor: Executor, task: number): void {
  const { layout, doubles } = executor;
  let sum = 0;
  let weights = 0;
  if (executor.parameters.objective === "lambdarank") {
    const [from, to] = groupsOf(executor, task, layout.trainGroups, layout.validationGroups);
    for (let group = from; group < to; group++) {
      const ranked = groupAt(executor, group);
      const weight = weightOf(executor, ranked.begin);
      sum += weight * (1 - normalisedGain(ranked, NDCG_DEPTH));
      weights += weight;
    }
  } else {
    const begin = layout.trainRows + task * CHUNK_ROWS;
    const end = Math.min(begin + CHUNK_ROWS, layout.rowsTotal);
    const p = new Float64Array(layout.outputs);
    for (let row = begin; row < end; row++) {
      const weight = weightOf(executor, row);
      sum += weight * rowLoss(executor, row, p);
      weights += weight;
    }
  }
  doubles[layout.partialSums / 8 + task * 2] = sum;
  doubles[layout.partialSums / 8 + task * 2 + 1] = weights;
}

/** Ranking is stopped on 1 - NDCG at this depth. */
const NDCG_DEPTH = 10;

function rowLoss(executor: Executor, row: number, p: Float64Array): number {
  const { layout, doubles, floats, parameters } = executor;
  const label = floats[layout.labels / 4 + row] ?? 0;
  if (parameters.objective === "softmax") {
    softmaxRow(executor, row, p);
    return -Math.log(Math.max(p[label] ?? 0, Number.MIN_VALUE));
  }
  const score = doubles[layout.scores / 8 + row] ?? 0;
  if (parameters.objective === "squared") return (score - label) ** 2;
  // log(1 + exp(-m)) without overflow, m the margin of the right class.
  const margin = label > 0 ? score : -score;
  return Math.log1p(Math.exp(-Math.abs(margin))) + Math.max(0, -margin);
}
