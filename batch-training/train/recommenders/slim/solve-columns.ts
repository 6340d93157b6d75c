import type { SparseMatrix } from "../sparse-matrix.ts";

export interface SlimInput {
  /** XᵀX, sparse. */
  readonly gram: SparseMatrix;
  readonly l1: number;
  readonly l2: number;
  /** Items that may speak for a target: the ones most similar to it. */
  readonly candidates: number;
  readonly rounds: number;
}

export interface SlimTask {
  readonly begin: number;
  readonly end: number;
}

/** The weights of targets `begin` to `end`: entry e says `source[e]` speaks for `target[e]`. */
export interface SlimColumns {
  readonly target: Int32Array;
  readonly source: Int32Array;
  readonly weight: Float32Array;
}

/** Rounds of coordinate descent end when no weight moved by more than this. */
const TOLERANCE = 5e-4;

export function slimExecutor(input: SlimInput): (task: SlimTask) => SlimColumns {
  const { gram } = input;
  const n = gram.rows;
  const diagonal = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let at = gram.start[i] ?? 0; at < (gram.start[i + 1] ?? 0); at++) {
      if (gram.column[at] === i) diagonal[i] = gram.value[at] ?? 0;
    }
  }
  const place = new Int32Array(n).fill(-1);
  return (task) => {
    const target: number[] = [];
    const source: number[] = [];
    const weight: number[] = [];
    for (let j = task.begin; j < task.end; j++) {
      const chosen = chooseCandidates(gram, diagonal, j, input.candidates);
      const solution = solveColumn(input, { chosen, diagonal, place });
      for (const [index, w] of solution.entries()) {
        if (w <= 0) continue;
        target.push(j);
        source.push(chosen.items[index] ?? 0);
        weight.push(w);
      }
    }
    return { target: Int32Array.from(target), source: Int32Array.from(source), weight: Float32Array.from(weight) };
  };
}

interface Candidates {
  readonly items: Int32Array;
  /** XᵀX between each of them and the target. */
  readonly together: Float64Array;
}

function chooseCandidates(gram: SparseMatrix, diagonal: Float64Array, target: number, count: number): Candidates {
  const entries: { item: number; together: number; similarity: number }[] = [];
  for (let at = gram.start[target] ?? 0; at < (gram.start[target + 1] ?? 0); at++) {
    const item = gram.column[at] ?? 0;
    if (item === target) continue;
    const together = gram.value[at] ?? 0;
    entries.push({ item, together, similarity: together / Math.sqrt(diagonal[item] ?? 1) });
  }
  entries.sort((a, b) => b.similarity - a.similarity || a.item - b.item);
  const kept = entries.slice(0, count);
  return {
    items: Int32Array.from(kept, (entry) => entry.item),
    together: Float64Array.from(kept, (entry) => entry.together),
  };
}

/**
 * min over w >= 0 of ½ |x_target - X w|² + ½ l2 |w|² + l1 |w|₁ by cyclic coordinate descent on the Gram matrix (Friedman, Hastie, Tibshirani
 * 2010). `rest` holds X_cᵀ (x_target - X w) for each candidate c.
 */
function solveColumn(
  input: SlimInput,
  { chosen, diagonal, place }: { chosen: Candidates; diagonal: Float64Array; place: Int32Array },
): Float64Array {
  const { l1, l2, rounds } = input;
  const count = chosen.items.length;
  const weights = new Float64Array(count);
  const rest = chosen.together.slice();
  const together = candidateGram(input.gram, chosen.items, place);
  for (let round = 0; round < rounds; round++) {
    let moved = 0;
    for (let c = 0; c < count; c++) {
      const own = diagonal[chosen.items[c] ?? 0] ?? 0;
      const before = weights[c] ?? 0;
      const after = Math.max(0, (rest[c] ?? 0) + own * before - l1) / (own + l2);
      const change = after - before;
      if (change === 0) continue;
      weights[c] = after;
      moved = Math.max(moved, Math.abs(change));
      const row = c * count;
      for (let other = 0; other < count; other++)
        rest[other] = (rest[other] ?? 0) - change * (together[row + other] ?? 0);
    }
    if (moved < TOLERANCE) break;
  }
  return weights;
}

/** XᵀX among the candidates, dense. */
function candidateGram(gram: SparseMatrix, items: Int32Array, place: Int32Array): Float64Array {
  const count = items.length;
  const dense = new Float64Array(count * count);
  for (const [index, item] of items.entries()) place[item] = index;
  for (const [index, item] of items.entries()) {
    for (let at = gram.start[item] ?? 0; at < (gram.start[item + 1] ?? 0); at++) {
      const other = place[gram.column[at] ?? 0] ?? -1;
      if (other >= 0) dense[index * count + other] = gram.value[at] ?? 0;
    }
  }
  for (const item of items) place[item] = -1;
  return dense;
}
