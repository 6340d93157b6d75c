import { describe, expect, it } from "vitest";
import { fitPart, PARTS, RIVALS } from "../../../../../batch-training/pipeline/recommend/parts.ts";
import { trainingBefore } from "../../../../../batch-training/pipeline/recommend/training-logs.ts";
import { shopLog } from "../../../../../batch-training/pipeline/recommend/shop-log.ts";
import { openScorer } from "../../../../../models/recommend/scorer.ts";
import { simulatedShopEvents } from "../../../../support/simulated-shop-events.ts";

const log = shopLog(simulatedShopEvents({ seed: "parts", scale: 0.05, days: 40 }));
const training = trainingBefore(log, log.until, 1_800);
const options = { neighbours: 10, seed: 1, threads: 1 };

describe("a part that learns from the most popular items alone", () => {
  for (const plan of [PARTS["ease-recency"], RIVALS["ease"]]) {
    if (plan === undefined) throw new Error("EASE is a part and a rival");
    it(`speaks of them, and of no other: ${plan.model.name}`, async () => {
      const items = training.items.ids.length;
      const most = Math.floor(items / 3);
      const [whole, cut] = [
        await fitPart(plan, training, options),
        await fitPart({ ...plan, mostItems: most }, training, options),
      ];
      expect([whole.items, cut.items]).toEqual([items, items]);
      if (cut.kind !== "neighbours") throw new Error(`neighbours are expected, not ${cut.kind}`);
      expect(cut.neighbour.length).toBeGreaterThan(0);
      expect(cut.neighbour.every((item) => item < most)).toBe(true);
      expect(cut.start.length).toBe(items + 1);
      expect(cut.start.subarray(most).every((at) => at === cut.neighbour.length)).toBe(true);
      const scores = new Float32Array(items);
      const history = {
        items: Int32Array.of(0, items - 1),
        times: Float64Array.of(1, 2),
        values: Float32Array.of(1, 1),
      };
      openScorer(cut).score(history, 3, scores);
      expect(scores.subarray(0, most).some((score) => score !== 0)).toBe(true);
      expect(scores.subarray(most).every((score) => score === 0)).toBe(true);
    });
  }

  it("is the same part where the catalogue has no more items than that", async () => {
    const plan = PARTS["ease-recency"];
    if (plan === undefined) throw new Error("EASE is a part");
    const { mostItems: _, ...unbounded } = plan;
    expect(await fitPart(plan, training, options)).toEqual(await fitPart(unbounded, training, options));
  });
});

describe("neighbours of a large catalogue", () => {
  it("are fewer, so that what is published stays below the size of a file", async () => {
    const plan = PARTS["sequential-rules"];
    if (plan === undefined) throw new Error("sequential rules are a part");
    const items = 400_000;
    const { byVisit } = training;
    const large = {
      ...training,
      byVisit: { ...byVisit, items, sourceItem: new Int32Array(items), knownBy: new Int32Array(items) },
    };
    const [few, many] = [await fitPart(plan, large, options), await fitPart(plan, training, options)];
    if (few.kind !== "neighbours" || many.kind !== "neighbours") throw new Error("neighbours are expected");
    const most = (start: Int32Array): number =>
      start.reduce((largest, at, item) => Math.max(largest, at - (start[item - 1] ?? 0)), 0);
    expect([most(few.start), most(many.start)]).toEqual([1, 10]);
  });
});
