import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lambdaRankGroup } from "../../../../../batch-training/train/gbdt/lambda-rank.ts";
import { fitGbdt } from "../../../../../batch-training/train/gbdt/train-gbdt.ts";
import { rawScores } from "../../../../../batch-training/train/gbdt/tree.ts";
import type { LabelledRows } from "../../../../../batch-training/train/training-set.ts";
import { minimalStandard } from "../../../../support/minimal-standard.ts";
import { numericSet } from "../../../../support/tabular-data.ts";

/** DCG of grades in the order of a list, every place counted. */
const dcg = (grades: readonly number[]): number =>
  grades.reduce((sum, grade, rank) => sum + (2 ** grade - 1) / Math.log2(rank + 2), 0);

/** The definition, word for word: for every pair the lists before and after the two change places are written down and measured. */
function naiveGradients(scores: readonly number[], grades: readonly number[], truncation: number) {
  const order = scores.map((_, row) => row).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  const gradeAt = (rows: readonly number[]): number[] => rows.map((row) => grades[row] ?? 0);
  const ideal = dcg(grades.toSorted((a, b) => b - a).slice(0, truncation));
  const [g, h] = [scores.map(() => 0), scores.map(() => 0)];
  for (const [i, a] of order.entries()) {
    for (const [j, b] of order.entries()) {
      if ((grades[a] ?? 0) <= (grades[b] ?? 0) || Math.min(i, j) >= truncation || ideal === 0) continue;
      const swapped = order.with(i, b).with(j, a);
      const delta = Math.abs(dcg(gradeAt(swapped)) - dcg(gradeAt(order))) / ideal;
      const wrong = 1 / (1 + Math.exp((scores[a] ?? 0) - (scores[b] ?? 0)));
      g[a] = (g[a] ?? 0) - wrong * delta;
      g[b] = (g[b] ?? 0) + wrong * delta;
      for (const row of [a, b]) h[row] = (h[row] ?? 0) + wrong * (1 - wrong) * delta;
    }
  }
  return { g, h };
}

describe("the gradients of LambdaRank", () => {
  it("are those of lists written down before and after every swap", () => {
    const rows = fc.array(fc.tuple(fc.integer({ min: -8, max: 8 }), fc.nat(4)), { minLength: 1, maxLength: 14 });
    fc.assert(
      fc.property(
        rows,
        fc.integer({ min: 1, max: 16 }),
        fc.double({ min: 0.1, max: 3, noNaN: true }),
        (list, truncation, weight) => {
          // Quarters are the same in float32 and float64; equal scores occur.
          const scores = list.map(([score]) => score / 4);
          const grades = list.map(([, grade]) => grade);
          const pairs = new Float32Array(2 * list.length);
          const group = { begin: 0, scores: Float64Array.from(scores), labels: Float32Array.from(grades) };
          lambdaRankGroup(group, truncation, weight, pairs);
          const { g, h } = naiveGradients(scores, grades, truncation);
          for (const row of list.keys()) {
            expect(pairs[2 * row]).toBeCloseTo(weight * (g[row] ?? 0), 5);
            expect(pairs[2 * row + 1]).toBeCloseTo(weight * (h[row] ?? 0), 5);
          }
        },
      ),
    );
  });
});

/** Five columns of 32 values each, grades 0 to 4, lists of twenty. */
function referenceRows(draw: () => number, rows: number): LabelledRows {
  const columns = Array.from({ length: 5 }, () => new Float32Array(rows));
  const labels = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const [a = 0, b = 0, c = 0, d = 0] = columns.map((column) => (column[row] = Math.floor(32 * draw()) / 32));
    const relevance = 0.5 * a + 0.3 * b * c + 0.2 * d + 0.3 * (draw() - 0.5);
    labels[row] = Math.min(4, Math.max(0, Math.floor(relevance * 5)));
  }
  return { columns, labels, weights: null, groups: new Int32Array(rows / 20).fill(20) };
}

/**
 * Raw scores of six rows by LightGBM 4.7.0 (Python, one thread): lambdarank, 7 leaves, rate 0.1, 20 rows a leaf, l2 1, lambdarank_norm off (what
 * Burges 2010 has), on the same rows; values fall into 32 bins on both sides.
 */
const LIGHTGBM: readonly (readonly [truncation: number, trees: number, scores: readonly number[]])[] = [
  [
    30,
    1,
    [
      0.07096749033598958, -0.14865851064563868, -0.09917300219796185, -0.14865851064563868, 0.15314835416599648,
      0.017855871893625568,
    ],
  ],
  [
    30,
    20,
    [
      0.3273469314597481, -2.1836831101343113, -1.539287356642204, -2.1836831101343113, 0.5866961347589824,
      -1.197258391946649,
    ],
  ],
  [
    5,
    1,
    [
      0.14931759884208462, -0.1515281683468032, -0.10683730395990765, -0.1515281683468032, 0.14931759884208462,
      -0.10683730395990765,
    ],
  ],
  [
    5,
    20,
    [
      0.656688126416005, -2.19140280227461, -2.1467119378877144, -2.19140280227461, 0.4542279280206576,
      -1.9028962559884623,
    ],
  ],
];

describe("boosted trees with LambdaRank", () => {
  const draw = minimalStandard(4242);
  const [train, test] = [referenceRows(draw, 4_000), referenceRows(draw, 1_000)];

  it.each(LIGHTGBM)("score as LightGBM's do: truncation %i, %i trees", async (rankTruncation, trees, expected) => {
    const parameters = { trees, leaves: 7, learningRate: 0.1, minRowsPerLeaf: 20, l2: 1, threads: 1 };
    const { model } = await fitGbdt(numericSet(train), { ...parameters, objective: "lambdarank", rankTruncation }, 1);
    const scores = rawScores(model, test.columns, 1_000);
    // The first tree is the same but for float sums; differences of a near-tie in a split add up over twenty.
    for (const [row, score] of expected.entries())
      expect(Math.abs((scores[row] ?? 0) - score)).toBeLessThan(trees === 1 ? 1e-5 : 1e-4);
  });
});
