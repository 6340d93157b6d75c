import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Case } from "../../../../../batch-training/evaluate/recommenders/cases.ts";
import { fitTwoStage, openTwoStage } from "../../../../../batch-training/evaluate/recommenders/fit-two-stage.ts";
import { SplitError } from "../../../../../batch-training/evaluate/recommenders/split.ts";
import { topItems } from "../../../../../batch-training/evaluate/recommenders/top-items.ts";
import type { FittedRecommender } from "../../../../../batch-training/train/recommenders/recommender.ts";
import { itemStatistics } from "../../../../../batch-training/train/recommenders/two-stage/item-statistics.ts";
import {
  PART_CANDIDATES,
  RankingFeatures,
} from "../../../../../batch-training/train/recommenders/two-stage/ranking-features.ts";
import { seededRandom } from "../../../../../models/stats/random.ts";
import { logOf, type Row } from "../../../../support/interaction-logs.ts";

const DAY = 86_400;
const context = { seed: 1, threads: 1 };
const rank = { k: 3, exclude: "history" } as const;

// Item 0 sold to everybody long ago, item 1 of late and twice to user 0; the log numbers items by popularity: 0, 1, 2.
const log = logOf([
  [0, 0, 0],
  [1, 0, DAY],
  [2, 0, 2 * DAY],
  [0, 1, 90 * DAY],
  [1, 1, 99 * DAY],
  [0, 1, 100 * DAY],
  [0, 2, 50 * DAY],
]);
const history = {
  items: Int32Array.of(0, 2, 1, 1),
  times: Float64Array.of(0, 50 * DAY, 90 * DAY, 100 * DAY),
  values: new Float32Array(4).fill(1),
};

describe("what a ranker sees", () => {
  const features = new RankingFeatures(["a"], itemStatistics(log));
  const asked = { history, at: 105 * DAY, scores: [Float32Array.of(1, 4, 2)] };
  const candidates = features.candidates(asked, () => false);
  const values = new Float32Array(candidates.items.length * features.names.length);
  features.encode(asked, candidates, values);
  const value = (item: number, name: string): number =>
    values[item * features.names.length + features.names.indexOf(name)] ?? Number.NaN;

  it("is every item that a part or a window of popularity has near its top, ascending", () => {
    expect([...candidates.items]).toEqual([0, 1, 2]);
    expect([...features.candidates(asked, (item) => item === 1).items]).toEqual([0, 2]);
  });

  it("is the part's score as a share of its best one among the candidates, and its place", () => {
    expect([0, 1, 2].map((item) => value(item, "a:score"))).toEqual([0.25, 1, 0.5]);
    expect([0, 1, 2].map((item) => value(item, "a:place"))).toEqual([2, 0, 1]);
    const silent = { ...asked, scores: [new Float32Array(3)] };
    features.encode(
      silent,
      features.candidates(silent, () => false),
      values.slice(),
    );
    const given = features.given(asked, Int32Array.of(2, 0));
    expect([...(given.places[0] ?? [])]).toEqual([0, 1]);
    expect(PART_CANDIDATES).toBeGreaterThan(3);
  });

  it("is how an item sold: shares of windows, first and last sale, buyers who came back", () => {
    // Over the last 14 days only item 1 sold: all of three items' shares.
    expect([0, 1, 2].map((item) => value(item, "popularity_14d"))).toEqual([0, 3, 0]);
    expect(value(0, "popularity")).toBeCloseTo((3 / 6) * 3, 6);
    expect([value(0, "item_age_days"), value(0, "item_idle_days")]).toEqual([100, 98]);
    expect([value(0, "item_repeat_share"), value(1, "item_repeat_share")]).toEqual([0, 0.5]);
  });

  it("is what the user did: counts, days since, and whether the next purchase is due", () => {
    expect([value(1, "own_events"), value(1, "own_idle_days"), value(1, "own_due")]).toEqual([2, 5, 0.5]);
    expect([value(0, "own_events"), value(0, "own_due")]).toEqual([1, Number.NaN]);
    expect(value(0, "user_items")).toBe(3);
    expect(value(2, "user_idle_days")).toBe(5);
  });

  it("has no infinities, for strangers and items outside the catalogue either", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1, max: 2 }), { maxLength: 6 }), fc.boolean(), (items, timed) => {
        const times = Float64Array.from(items, (_, event) => (timed ? event * DAY : Number.NaN));
        const past = { items: Int32Array.from(items), times, values: new Float32Array(items.length).fill(1) };
        const strange = { history: past, at: timed ? 99 * DAY : Number.NaN, scores: [Float32Array.of(0, 1, 2)] };
        const given = features.given(strange, Int32Array.of(0, -1, 2));
        const out = new Float32Array(3 * features.names.length);
        features.encode(strange, given, out);
        expect(out.every((x) => Number.isNaN(x) || Number.isFinite(x))).toBe(true);
      }),
    );
  });
});

/** Two parts that each know half of the truth: the first is right about users with one event, the second about those with two. */
function complementary(count: number, seed: number) {
  const items = 60;
  const random = seededRandom(seed);
  const rows: Row[] = Array.from({ length: items }, (_, item) => [item, item]);
  const truth = (user: number): { right: number; wrong: number } => ({
    right: 2 + ((user * 7) % (items - 2)),
    wrong: 2 + ((user * 13 + 29) % (items - 2)),
  });
  const cases = Array.from({ length: count }, (_, index): Case => {
    const user = Math.floor(1_000 * random());
    const known = 1 + (index % 2);
    const past = Int32Array.from({ length: known }, (_, at) => at);
    return {
      history: { items: past, times: new Float64Array(known).fill(user), values: new Float32Array(known).fill(1) },
      at: user,
      relevant: new Set([truth(user).right]),
      relevantCount: 1,
      idealCount: 1,
      candidates: null,
      cluster: index >> 1,
      known,
    };
  });
  const part = (knows: number): FittedRecommender => ({
    score: (past, at, out) => {
      out.fill(0);
      const { right, wrong } = truth(at);
      out[past.items.length === knows ? right : wrong] = 1;
    },
    serve: () => ({ kind: "scores", items, scores: new Float32Array(items) }),
  });
  return { parts: [part(1), part(2)], cases, log: logOf(rows) };
}

describe("a second stage", () => {
  it("learns whom to believe when, and ranks above every part", async () => {
    const learning = complementary(200, 1);
    const learned = await fitTwoStage([learning], ["a", "b"], { ...rank, context, bags: 1 });
    expect(learned.validation).toBeGreaterThan(0.95);
    const asked = complementary(200, 2);
    const score = openTwoStage(learned.ranker, ["a", "b"], { ...rank, log: asked.log });
    const scores = asked.parts.map(() => new Float32Array(asked.log.items));
    const out = new Float32Array(asked.log.items);
    let hits = 0;
    for (const question of asked.cases) {
      for (const [index, part] of asked.parts.entries()) {
        part.score(question.history, question.at, scores[index] ?? out);
      }
      score(question, scores, out);
      const [first] = topItems(out, question, { ...rank, k: 1 });
      if (first !== undefined && question.relevant.has(first)) hits++;
    }
    expect(hits).toBeGreaterThan(190);
  });

  it("claims nothing on noise: its validation is by rankers that did not learn from those cases", async () => {
    const { cases, parts, log } = complementary(200, 3);
    const random = seededRandom(4);
    const noise = cases.map((one) => ({ ...one, relevant: new Set([2 + Math.floor(58 * random())]) }));
    const learned = await fitTwoStage([{ parts, cases: noise, log }], ["a", "b"], { ...rank, context, bags: 1 });
    // Three of some sixty places at random are worth 0.04.
    expect(learned.validation).toBeLessThan(0.12);
  });

  it("refuses to judge itself on what it learned from", async () => {
    const { cases, ...rest } = complementary(10, 5);
    const alone = { ...rest, cases: cases.slice(0, 1) };
    await expect(fitTwoStage([alone], ["a", "b"], { ...rank, context, bags: 1 })).rejects.toThrow(SplitError);
  });
});
