import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  brierScore,
  calibrationBins,
  expectedCalibrationError,
  logLoss,
} from "../../../../models/stats/probability-metrics.ts";
import { averagePrecision, precisionRecallAt, rocAuc } from "../../../../models/stats/ranking-metrics.ts";

/**
 * 400 rows from the minimal standard generator (x' = 48271 x mod 2^31 - 1, x0 = 12345), three draws a, b, c a row:
 * score = 0.9 floor(50 a) / 50 + 0.02 (so that scores tie), label = b < score, weight = 0.25 + c.
 * Expected values: scikit-learn 1.9.1 with numpy 2.4.6 on the same rows.
 */
function referenceRows(): { labels: number[]; scores: number[]; weights: number[] } {
  let state = 12_345;
  const draw = (): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  const labels: number[] = [];
  const scores: number[] = [];
  const weights: number[] = [];
  for (let i = 0; i < 400; i++) {
    const [a, b, c] = [draw(), draw(), draw()];
    const score = (Math.floor(a * 50) / 50) * 0.9 + 0.02;
    labels.push(b < score ? 1 : 0);
    scores.push(score);
    weights.push(0.25 + c);
  }
  return { labels, scores, weights };
}

const { labels, scores, weights } = referenceRows();

describe("metrics equal scikit-learn's", () => {
  it.each([
    ["ROC AUC", rocAuc, 0.8400569111832994, 0.8258793038352048],
    ["average precision", averagePrecision, 0.7972197869378219, 0.8015258817697485],
    ["log-loss", logLoss, 0.4960080928678699, 0.5134374242887277],
    ["Brier score", brierScore, 0.16277008, 0.17035535215862174],
  ])("%s, with ties, without and with weights", (_, metric, plain, weighted) => {
    expect(metric(labels, scores)).toBeCloseTo(plain, 12);
    expect(metric(labels, scores, weights)).toBeCloseTo(weighted, 12);
  });

  it("expected calibration error over ten uniform bins, and its bins", () => {
    expect(expectedCalibrationError(labels, scores)).toBeCloseTo(0.04229, 12);
    const first = calibrationBins(labels, scores, 10, "uniform")[0];
    expect(first?.positiveRate).toBeCloseTo(0.027777777777777776, 12);
    expect(first?.meanProbability).toBeCloseTo(0.051, 12);
  });
});

describe("metrics", () => {
  it("ROC AUC is the share of positive-negative pairs in order, ties half, by definition", () => {
    const row = fc.record({ label: fc.constantFrom(0, 1), score: fc.integer({ min: 0, max: 5 }) });
    fc.assert(
      fc.property(fc.array(row, { minLength: 2, maxLength: 40 }), (rows) => {
        const positives = rows.filter((r) => r.label === 1);
        const negatives = rows.filter((r) => r.label === 0);
        fc.pre(positives.length > 0 && negatives.length > 0);
        let pairs = 0;
        for (const p of positives) {
          for (const q of negatives) pairs += p.score > q.score ? 1 : p.score === q.score ? 0.5 : 0;
        }
        const own = rocAuc(
          rows.map((r) => r.label),
          rows.map((r) => r.score),
        );
        expect(own).toBeCloseTo(pairs / positives.length / negatives.length, 12);
      }),
    );
  });

  it("a class that is absent gives NaN, never a number to be believed", () => {
    expect(rocAuc([0, 0], [0.1, 0.2])).toBeNaN();
    expect(rocAuc([1, 1], [0.1, 0.2])).toBeNaN();
    expect(averagePrecision([0, 0], [0.1, 0.2])).toBeNaN();
  });

  it("certain and wrong costs log-loss a finite 36 nats, a NaN score is refused", () => {
    expect(logLoss([1], [0])).toBeCloseTo(36.04, 2);
    expect(() => rocAuc([0, 1], [0.5, Number.NaN])).toThrow(/score 1 is NaN/);
  });

  it("precision and recall at k count the top k, or all rows where there are fewer", () => {
    expect(precisionRecallAt([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1], 2)).toEqual({ precision: 0.5, recall: 0.5 });
    expect(precisionRecallAt([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1], 10)).toEqual({ precision: 0.5, recall: 1 });
  });

  it("quantile bins hold equal counts, so that a rare class shows its calibration", () => {
    const bins = calibrationBins(labels, scores, 8, "quantile");
    expect(bins.map((bin) => bin.count)).toEqual(Array.from({ length: 8 }, () => 50));
  });
});
