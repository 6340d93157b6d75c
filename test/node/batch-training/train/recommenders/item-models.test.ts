import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RECOMMENDERS } from "../../../../../batch-training/train/recommenders/catalog.ts";
import { DualEase, solveDual } from "../../../../../batch-training/train/recommenders/ease-dual.ts";
import { ease, easeWeights } from "../../../../../batch-training/train/recommenders/ease.ts";
import { similarityLists } from "../../../../../batch-training/train/recommenders/item-knn.ts";
import { type ItemLists, strongest } from "../../../../../batch-training/train/recommenders/item-lists.ts";
import { windowCounts } from "../../../../../batch-training/train/recommenders/popularity.ts";
import { defaults } from "../../../../../batch-training/train/recommenders/recommender.ts";
import { ruleLists } from "../../../../../batch-training/train/recommenders/sequential-rules.ts";
import { slimLists } from "../../../../../batch-training/train/recommenders/slim/slim.ts";
import { interactionMatrix } from "../../../../../batch-training/train/recommenders/sparse-matrix.ts";
import { historyOf } from "../../../../../batch-training/train/recommenders/training-log.ts";
import { EMPTY_HISTORY, type History } from "../../../../../models/recommend/history.ts";
import { decodeServed, encodeServed } from "../../../../../models/recommend/served-file.ts";
import { openScorer } from "../../../../../models/recommend/scorer.ts";
import { logOf, type Row, tasteRows } from "../../../../support/interaction-logs.ts";

const DAY = 86_400;
const context = { seed: 1, threads: 1 };

/** Eight users by six items, as in the reference computations. */
const X = [
  [1, 1, 0, 0, 1, 0],
  [0, 1, 1, 0, 0, 1],
  [1, 0, 1, 1, 0, 0],
  [0, 0, 1, 1, 1, 0],
  [1, 1, 1, 0, 0, 0],
  [0, 1, 0, 1, 0, 1],
  [1, 0, 0, 1, 1, 1],
  [0, 1, 1, 0, 1, 0],
];
const log = logOf(X.flatMap((row, user) => row.flatMap((x, item): Row[] => (x === 1 ? [[user, item]] : []))));
const matrix = interactionMatrix(log);
/** The log renumbers items by popularity; this puts a figure back to its column of X. */
const place = (column: number): number => log.sourceItem.indexOf(column);

/** numpy 2.4.6: P = inv(XᵀX + 2 I), B = P / -diag(P), diagonal 0. */
const EASE_REFERENCE = [
  [0, 0.166666667, 0.115711253, 0.197321429, 0.173287838, -0.005681818],
  [0.161832805, 0, 0.352441614, -0.148214286, 0.161832805, 0.269480519],
  [0.106263709, 0.333333333, 0, 0.1875, 0.106263709, -0.058441558],
  [0.215452108, -0.166666667, 0.222929936, 0, 0.215452108, 0.311688312],
  [0.173287838, 0.166666667, 0.115711253, 0.197321429, 0, -0.005681818],
  [-0.006824275, 0.333333333, -0.076433121, 0.342857143, -0.006824275, 0],
];

/** scikit-learn 1.9.1: ElasticNet(positive, no intercept) with l1 = 0.5 and l2 = 1.5 on each column. */
const SLIM_REFERENCE = [
  [0, 0.091441112, 0.07266436, 0.138258961, 0.135884737, 0],
  [0.126699685, 0, 0.314878893, 0, 0.126699685, 0.194244604],
  [0.077532643, 0.293343087, 0, 0.107534748, 0.077532643, 0],
  [0.172084647, 0, 0.162629758, 0, 0.172084647, 0.237410072],
  [0.135884737, 0.091441112, 0.07266436, 0.138258961, 0, 0],
  [0, 0.227505486, 0, 0.247988296, 0, 0],
];

function dense(lists: ItemLists): number[][] {
  const rows = Array.from({ length: lists.items }, () => Array.from({ length: lists.items }, () => 0));
  for (let item = 0; item < lists.items; item++) {
    for (let at = lists.start[item] ?? 0; at < (lists.start[item + 1] ?? 0); at++) {
      rows[item]?.splice(lists.neighbour[at] ?? 0, 1, lists.weight[at] ?? 0);
    }
  }
  return rows;
}

const itemHistory = (...items: number[]): History => ({
  items: Int32Array.from(items),
  times: new Float64Array(items.length).fill(Number.NaN),
  values: new Float32Array(items.length).fill(1),
});

describe("EASE", () => {
  it("has the weights of the closed form computed with numpy", async () => {
    const weights = await easeWeights(matrix, { lambda: 2, userPower: 0, itemPower: 0 }, 1);
    for (let i = 0; i < 6; i++) {
      for (let j = 0; j < 6; j++) {
        expect(weights[place(i) * 6 + place(j)]).toBeCloseTo(EASE_REFERENCE[i]?.[j] ?? Number.NaN, 6);
      }
    }
  });

  it.each([
    [0, 0],
    [0.25, 0.3],
  ])("gives the same scores from the users' side (powers %d and %d)", async (userPower, itemPower) => {
    const wide = interactionMatrix(logOf(tasteRows({ users: 25, items: 80, perUser: 10, seed: 3 })));
    const settings = { lambda: 3, userPower, itemPower };
    const rule = { stepDecay: 0.9, halfLifeSeconds: Infinity };
    const weights = await easeWeights(wide, settings, 1);
    const dual = new DualEase(await solveDual(wide, settings, 1), rule);
    const out = new Float32Array(wide.columns);
    dual.score(itemHistory(4, 0, 7), Number.NaN, out);
    for (let j = 0; j < wide.columns; j++) {
      const w = (i: number): number => weights[i * wide.columns + j] ?? 0;
      expect(out[j]).toBeCloseTo(w(7) + 0.9 * w(0) + 0.81 * w(4), 5);
    }
  });

  it("refuses a ridge of 0", async () => {
    await expect(ease.fit(log, { lambda: 0 }, context)).rejects.toThrow(/lambda must be above 0/);
  });
});

describe("SLIM", () => {
  it.each([1, 2])("has the weights of scikit-learn's non-negative elastic net (%i threads)", async (threads) => {
    const settings = { l1: 0.5, l2: 1.5, candidates: 6, rounds: 500 };
    const rows = dense(await slimLists(matrix, settings, { seed: 1, threads }));
    for (let i = 0; i < 6; i++) {
      for (let j = 0; j < 6; j++) {
        // Rounds end when no weight moves by 5e-4.
        expect(rows[place(i)]?.[place(j)]).toBeCloseTo(SLIM_REFERENCE[i]?.[j] ?? Number.NaN, 3);
      }
    }
  });

  it("does not depend on the number of threads", async () => {
    const wide = interactionMatrix(logOf(tasteRows({ users: 60, items: 640, perUser: 30, seed: 5 })));
    const settings = { l1: 0.5, l2: 5, candidates: 50, rounds: 20 };
    const one = await slimLists(wide, settings, { seed: 1, threads: 1 });
    const two = await slimLists(wide, settings, { seed: 1, threads: 2 });
    expect(two).toEqual(one);
    expect(one.weight.length).toBeGreaterThan(100);
  });
});

describe("item-kNN", () => {
  it("has the cosine of binary columns: numpy's first row", () => {
    const row = dense(similarityLists(matrix, { neighbours: 10, shrinkage: 0, power: 0.5 }))[place(0)];
    const cosine = [0, 0.447214, 0.447214, 0.5, 0.5, 0.288675];
    for (let j = 1; j < 6; j++) expect(row?.[place(j)]).toBeCloseTo(cosine[j] ?? Number.NaN, 6);
  });

  it("shrinks: a pair seen together twice by 4 and 5 users is 2 / (sqrt(20) + 10)", () => {
    const row = dense(similarityLists(matrix, { neighbours: 10, shrinkage: 10, power: 0.5 }))[place(0)];
    expect(row?.[place(1)]).toBeCloseTo(2 / (Math.sqrt(20) + 10), 6);
  });

  it("keeps only the strongest neighbours", () => {
    const lists = similarityLists(matrix, { neighbours: 2, shrinkage: 0, power: 0.5 });
    const kept = [...lists.neighbour.subarray(lists.start[place(0)], lists.start[place(0) + 1])];
    expect(new Set(kept)).toEqual(new Set([place(3), place(4)]));
    expect(kept.length).toBe(2);
  });
});

describe("sequential rules", () => {
  const options = { steps: 2, neighbours: 10, normalise: 0, gapSeconds: DAY };

  it("count what followed, 1 / distance, in time and not in file order", () => {
    const sequence = logOf([
      [0, 3, 300],
      [0, 1, 100],
      [0, 2, 200],
    ]);
    const at = (item: number): number => sequence.sourceItem.indexOf(item);
    const rows = dense(ruleLists(sequence, options));
    expect([rows[at(1)]?.[at(2)], rows[at(1)]?.[at(3)], rows[at(2)]?.[at(3)]]).toEqual([1, 0.5, 1]);
    expect(rows[at(3)]).toEqual([0, 0, 0]);
  });

  it("do not reach over a gap, over more steps, or from an item to itself", () => {
    const sequence = logOf([
      [0, 1, 0],
      [0, 2, 2 * DAY],
      [0, 2, 2 * DAY + 1],
      [0, 3, 2 * DAY + 2],
      [0, 4, 2 * DAY + 3],
    ]);
    const at = (item: number): number => sequence.sourceItem.indexOf(item);
    const rows = dense(ruleLists(sequence, options));
    expect(rows[at(1)]).toEqual([0, 0, 0, 0]);
    expect(rows[at(2)]?.[at(2)]).toBe(0);
    // 2 -> 4 at distance 2 from the second 2 only; 2 -> 3 at distances 1 and 2.
    expect([rows[at(2)]?.[at(3)], rows[at(2)]?.[at(4)]]).toEqual([1.5, 0.5]);
  });
});

describe("popularity", () => {
  it("counts users, not events, within the window before the last event", () => {
    const shop = logOf([
      [0, 1, 0],
      [1, 1, 10 * DAY],
      [1, 1, 10 * DAY + 5],
      [2, 2, 10 * DAY],
      [0, 2, 9.5 * DAY],
    ]);
    const at = (item: number): number => shop.sourceItem.indexOf(item);
    expect([windowCounts(shop, Infinity)[at(1)], windowCounts(shop, Infinity)[at(2)]]).toEqual([2, 2]);
    expect([windowCounts(shop, 1)[at(1)], windowCounts(shop, 1)[at(2)]]).toEqual([1, 2]);
  });
});

describe("every model", () => {
  const shop = logOf(tasteRows({ users: 40, items: 48, perUser: 12, seed: 9 }));
  const alone = logOf([
    [0, 0, 1],
    [1, 0, 2],
    [2, 1, 3],
  ]);

  it.each(RECOMMENDERS.map((model) => [model.name, model] as const))("%s", async (_name, model) => {
    const fitted = await model.fit(shop, defaults(model), context);
    const out = new Float32Array(shop.items).fill(Number.NaN);
    const known = historyOf(shop, 3);

    // The same log and seed give the same scores.
    fitted.score(known, 20_000, out);
    const again = new Float32Array(shop.items);
    (await model.fit(shop, defaults(model), context)).score(known, 20_000, again);
    expect(again).toEqual(out);
    expect(out.every((score) => Number.isFinite(score))).toBe(true);

    // The served form, uncut, is the model: up to its rounding where it is embeddings of 8 bits.
    const served = new Float32Array(shop.items);
    const form = fitted.serve(shop.items);
    openScorer(form).score(known, 20_000, served);
    const digits = form.kind === "embeddings" ? 1 : 5;
    for (const [item, score] of served.entries()) expect(score).toBeCloseTo(out[item] ?? Number.NaN, digits);

    // Nobody known, nothing known, and events of items outside the catalogue: finite scores, the latter without effect.
    fitted.score(EMPTY_HISTORY, Number.NaN, out);
    expect(out.every((score) => Number.isFinite(score))).toBe(true);
    const mixed = itemHistory(-1, 5, -1);
    fitted.score(mixed, Number.NaN, out);
    fitted.score(itemHistory(5), Number.NaN, again);
    for (const [item, score] of again.entries()) expect(out[item]).toBeCloseTo(score, 3);

    // An empty catalogue has no scores, and that is no error.
    const nothing = await model.fit(logOf([]), defaults(model), context);
    const none = new Float32Array(0);
    nothing.score(itemHistory(-1), Number.NaN, none);
    openScorer(decodeServed(encodeServed(nothing.serve(10)))).score(EMPTY_HISTORY, Number.NaN, none);

    // Users with one interaction each are enough to train on.
    const tiny = await model.fit(alone, defaults(model), context);
    const few = new Float32Array(alone.items);
    tiny.score(itemHistory(0), Number.NaN, few);
    expect(few.every((score) => Number.isFinite(score))).toBe(true);
  });
});

describe("cutting a row", () => {
  it("keeps what sorting by absolute weight would, ties to the lower index", () => {
    const weight = fc.oneof(fc.constant(0), fc.integer({ min: -4, max: 4 }));
    fc.assert(
      fc.property(
        fc.array(weight, { maxLength: 40 }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(39),
        (row, count, except) => {
          const naive = [...row.keys()]
            .filter((item) => row[item] !== 0 && item !== except)
            .sort((a, b) => Math.abs(row[b] ?? 0) - Math.abs(row[a] ?? 0) || a - b)
            .slice(0, count);
          expect(strongest(Float32Array.from(row), count, except)).toEqual(naive);
        },
      ),
    );
  });
});
