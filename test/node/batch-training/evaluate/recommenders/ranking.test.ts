import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildCases, type Case } from "../../../../../batch-training/evaluate/recommenders/cases.ts";
import { fitBlend } from "../../../../../batch-training/evaluate/recommenders/fit-blend.ts";
import { topItems } from "../../../../../batch-training/evaluate/recommenders/top-items.ts";
import {
  blendQuality,
  learnWeights,
  type PoolCase,
  serveBlend,
} from "../../../../../batch-training/train/recommenders/blend.ts";
import type { FittedRecommender } from "../../../../../batch-training/train/recommenders/recommender.ts";
import { trainingLog } from "../../../../../batch-training/train/recommenders/training-log.ts";
import { rescale } from "../../../../../models/recommend/blend-scale.ts";
import { EMPTY_HISTORY, type History } from "../../../../../models/recommend/history.ts";
import { openScorer } from "../../../../../models/recommend/scorer.ts";
import type { ServedPart } from "../../../../../models/recommend/served-recommender.ts";
import { interactions } from "../../../../support/interaction-logs.ts";

const historyOf = (...items: number[]): History => ({
  items: Int32Array.from(items),
  times: new Float64Array(items.length),
  values: new Float32Array(items.length).fill(1),
});

function question(fields: Partial<Case>): Case {
  const relevant = fields.relevant ?? new Set<number>();
  return {
    history: EMPTY_HISTORY,
    at: Number.NaN,
    relevant,
    relevantCount: relevant.size,
    idealCount: relevant.size,
    candidates: null,
    cluster: 0,
    known: 0,
    ...fields,
  };
}

describe("the best k items", () => {
  it("are what sorting by score gives, the lower index among equals, NaN left out", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(Number.NaN)), { maxLength: 60 }),
        fc.integer({ min: 1, max: 15 }),
        fc.array(fc.nat(59), { maxLength: 10 }),
        (scores, k, history) => {
          const list = topItems(Float32Array.from(scores), question({ history: historyOf(...history) }), {
            k,
            exclude: "history",
          });
          const naive = scores
            .map((score, item) => ({ score, item }))
            .filter(({ score, item }) => !Number.isNaN(score) && !history.includes(item))
            .sort((a, b) => b.score - a.score || a.item - b.item)
            .slice(0, k);
          expect([...list]).toEqual(naive.map(({ item }) => item));
        },
      ),
    );
  });

  it("leave out nothing, the item in view, or all of the history", () => {
    const scores = Float32Array.of(5, 4, 3, 2, 1);
    const asked = question({ history: historyOf(0, 1) });
    const list = (exclude: "nothing" | "last" | "history"): number[] => [...topItems(scores, asked, { k: 3, exclude })];
    expect([list("nothing"), list("last"), list("history")]).toEqual([
      [0, 1, 2],
      [0, 2, 3],
      [2, 3, 4],
    ]);
  });

  it("rank only the candidates where some are given, a tie counting against the relevant one", () => {
    const asked = question({ relevant: new Set([2]), candidates: Int32Array.of(2, 4, 0) });
    expect([...topItems(Float32Array.of(1, 9, 1, 9, 1), asked, { k: 3, exclude: "history" })]).toEqual([0, 4, 2]);
  });
});

describe("the questions of a split", () => {
  // User 0 trained on items 10, 11; user 1 is new; item 99 is outside the catalogue.
  const source = interactions([
    [0, 10, 1],
    [0, 11, 2],
    [2, 10, 1],
    [0, 10, 3],
    [0, 99, 4],
    [0, 12, 5],
    [1, 10, 6],
    [2, 12, 0],
  ]);
  const log = trainingLog(source, Int32Array.of(0, 1, 2, 7));
  const test = Int32Array.of(3, 4, 5, 6);
  const index = (item: number): number => log.sourceItem.indexOf(item);

  it("ask for later items, new ones only if so ruled; items outside the catalogue count as missed", () => {
    const [all, stranger] = buildCases(source, test, { next: false, newOnly: false, log });
    expect(all?.relevant).toEqual(new Set([index(10), index(12)]));
    expect([all?.relevantCount, all?.known, stranger?.known]).toEqual([3, 2, 0]);
    const fresh = buildCases(source, test, { next: false, newOnly: true, log });
    expect(fresh.map((one) => [...one.relevant])).toEqual([[index(12)], [index(10)]]);
    expect(fresh.map((one) => one.relevantCount)).toEqual([2, 1]);
  });

  it("ask for each next item of a sequence, with everything before it as the history", () => {
    const cases = buildCases(source, test, { next: true, newOnly: false, log });
    expect(cases.map((one) => [...one.history.items])).toEqual([
      [index(10), index(11)],
      [index(10), index(11), index(10)],
      [index(10), index(11), index(10), -1],
    ]);
    expect(cases.map((one) => [...one.relevant])).toEqual([[index(10)], [], [index(12)]]);
  });

  it("keep only users with candidates, the relevant item among them once", () => {
    const candidates = new Map([[0, [11, 12, 98]]]);
    const cases = buildCases(source, Int32Array.of(5, 6), { next: false, newOnly: true, candidates, log });
    expect(cases.length).toBe(1);
    expect([...(cases[0]?.candidates ?? [])]).toEqual([index(12), index(11), -1]);
  });
});

describe("a blend", () => {
  const pool = (scores: number[][], relevant: number[]): PoolCase => ({
    scores: Float32Array.from(scores.flat()),
    items: scores[0]?.length ?? 0,
    relevant: Uint8Array.from(scores[0] ?? [], (_, item) => (relevant.includes(item) ? 1 : 0)),
    idealCount: relevant.length,
  });
  // Each part alone ranks the relevant item second; their sum ranks it first.
  const complementary = [
    pool(
      [
        [3, 2, 0],
        [0, 2, 3],
      ],
      [1],
    ),
  ];

  it("beats its parts where they know different things", () => {
    const learned = learnWeights(complementary, 2, 3);
    expect(blendQuality(complementary, [1, 0], 3)).toBeCloseTo(1 / Math.log2(3), 12);
    expect(learned.value).toBe(1);
    expect(learned.weights.every((weight) => weight > 0)).toBe(true);
  });

  it("gives no weight to noise and is never worse than the best part", () => {
    const pools = Array.from({ length: 30 }, (_, i) =>
      pool(
        [
          [9, 1, 2, 3],
          [(i * 7) % 5, (i * 3) % 5, (i * 11) % 7, (i * 5) % 3],
        ],
        [0],
      ),
    );
    expect(learnWeights(pools, 2, 2)).toMatchObject({ weights: [1, 0], value: 1 });
  });

  it("does not change when a part's scores are multiplied by a number, on any scale", () => {
    const base = [3, -1, 0, 2, 7, 0.5];
    for (const scale of ["deviation", "maximum", "rank"] as const) {
      const one = Float32Array.from(base);
      const ten = Float32Array.from(base, (x) => 10 * x);
      rescale(one, scale);
      rescale(ten, scale);
      for (const [i, x] of one.entries()) expect(ten[i]).toBeCloseTo(x, 5);
    }
  });

  it("counts a part without an opinion as nothing instead of dividing by 0", () => {
    for (const scale of ["deviation", "maximum", "rank"] as const) {
      const flat = new Float32Array(4);
      rescale(flat, scale);
      expect([...flat]).toEqual([0, 0, 0, 0]);
    }
  });

  it("is served as it is measured: scaled, weighted, added up; parts without weight are not shipped", () => {
    const scores = (...values: number[]): ServedPart => ({
      kind: "scores",
      items: values.length,
      scores: Float32Array.from(values),
    });
    const parts = [scores(4, 2, 0), scores(9, 9, 9), scores(0, 5, 10)];
    const served = serveBlend(parts, { weights: [1, 0, 0.5], scale: "maximum" });
    expect(served.parts.length).toBe(2);
    const out = new Float32Array(3);
    openScorer(served).score(EMPTY_HISTORY, Number.NaN, out);
    expect([...out]).toEqual([1, 0.75, 0.5]);
  });

  it("is learned from models: the one that knows the answer gets the weight", () => {
    const fixed = (scores: number[]): FittedRecommender => ({
      score: (_history, _at, out) => out.set(scores),
      serve: () => ({ kind: "scores", items: 4, scores: Float32Array.from(scores) }),
    });
    const cases = [question({ relevant: new Set([2]) })];
    const learned = fitBlend([{ parts: [fixed([4, 3, 2, 1]), fixed([0, 0, 1, 0])], cases, items: 4 }], {
      k: 2,
      exclude: "history",
    });
    expect(learned).toMatchObject({ weights: [0, 1], value: 1 });
  });

  it("learns nothing from items that may not be shown", () => {
    const own: FittedRecommender = {
      score: (history, _at, out) => {
        out.fill(0);
        for (const item of history.items) out[item] = 1;
      },
      serve: () => ({ kind: "repeat", items: 4, halfLifeSeconds: Infinity }),
    };
    const cases = [question({ history: historyOf(2), relevant: new Set([2]) })];
    expect(fitBlend([{ parts: [own], cases, items: 4 }], { k: 2, exclude: "history" }).value).toBe(0);
  });
});
