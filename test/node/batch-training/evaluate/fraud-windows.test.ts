import { describe, expect, it } from "vitest";
import { DAY_MS, fraudWindow } from "../../../../batch-training/evaluate/fraud-windows.ts";
import type { TrainingRows } from "../../../../batch-training/features/build-training-rows.ts";
import { minimalStandard } from "../../../support/minimal-standard.ts";

/** 3,000 transactions over 21 days from the minimal standard generator (seed 777): customer, fraud, one unused draw. */
function generated(): { rows: TrainingRows; customers: Uint32Array } {
  const draw = minimalStandard(777);
  const customers = new Uint32Array(3000);
  const labels = new Float32Array(3000);
  const asOf = new Float64Array(3000);
  for (let i = 0; i < 3000; i++) {
    const [a, b] = [draw(), draw(), draw()];
    customers[i] = Math.floor((a ?? 0) * 150);
    labels[i] = (b ?? 1) < 0.04 ? 1 : 0;
    asOf[i] = Math.floor((i * 21) / 3000) * DAY_MS + 5000;
  }
  const rows: TrainingRows = {
    featureNames: ["id"],
    serviceHash: "",
    rows: 3000,
    columns: [Float32Array.from({ length: 3000 }, (_, i) => i)],
    labels,
    orderIds: [],
    subjects: [],
    asOf,
    labelledAt: new Float64Array(0),
    immature: 0,
    events: 0,
  };
  return { rows, customers };
}

describe("the Handbook's windows", () => {
  // Expected: get_train_test_set of the Handbook's shared functions on the same rows, pandas 3.1.1.
  it.each([
    [0, 7, 7, 7, 1000, 672, 1_658_556, 23],
    [2, 5, 7, 4, 714, 455, 1_033_945, 15],
    [1, 7, 3, 5, 1000, 506, 967_236, 17],
  ])(
    "start %i, %i + %i + %i days: the book's own rows",
    (start, trainDays, delayDays, testDays, train, test, ids, frauds) => {
      const { rows, customers } = generated();
      const window = fraudWindow(rows, customers, { trainStart: start * DAY_MS, trainDays, delayDays, testDays });
      const sum = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);
      expect(window.train.labels.length).toBe(train);
      expect(window.test.labels.length).toBe(test);
      expect(sum(window.test.columns[0] ?? [])).toBe(ids);
      expect(sum(window.test.labels)).toBe(frauds);
      expect(Math.min(...window.testDays)).toBe(trainDays + delayDays);
    },
  );
});
