import { describe, expect, it } from "vitest";
import type { Case } from "../../../../../batch-training/evaluate/recommenders/cases.ts";
import { type CaseMetric, QualityTable } from "../../../../../batch-training/evaluate/recommenders/quality-table.ts";
import { interactionMatrix, transpose } from "../../../../../batch-training/train/recommenders/sparse-matrix.ts";
import { logOf, type Row } from "../../../../support/interaction-logs.ts";
import { minimalStandard } from "../../../../support/minimal-standard.ts";

const [USERS, ITEMS, CASES] = [50, 120, 60];

/**
 * Sixty lists of up to ten of 120 items, and what was relevant, drawn by a generator that any language repeats: users' items, then for each case
 * a key for every item, the length, relevance of every item, how many relevant items are outside the catalogue.
 */
function generated() {
  const draw = minimalStandard(20);
  const rows: Row[] = [];
  for (let user = 0; user < USERS; user++) {
    for (let item = 0; item < ITEMS; item++)
      if (draw() < 0.6 / (1 + item / 4) || item % USERS === user) rows.push([user, item]);
  }
  const log = logOf(rows);
  const index = new Map(Array.from(log.sourceItem, (item, at) => [item, at]));
  const indices = (items: readonly number[]): Int32Array => Int32Array.from(items, (item) => index.get(item) ?? -1);
  const questions = Array.from({ length: CASES }, (_, at): { question: Case; list: Int32Array } => {
    const keys = Array.from({ length: ITEMS }, draw);
    const order = Array.from(keys.keys()).sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0));
    const list = order.slice(0, [10, 10, 10, 6, 1][Math.floor(5 * draw())]);
    const drawn = Array.from(keys.keys()).filter((item) => draw() < ((keys[item] ?? 1) < 0.08 ? 0.4 : 0.02));
    const relevant = drawn.length === 0 ? [Math.floor(ITEMS * draw())] : drawn.slice(0, 8);
    const outside = Math.floor(3 * draw());
    draw();
    const user = at % USERS;
    const own = rows.flatMap(([who, item]) => (who === user ? [item] : []));
    const count = relevant.length + outside;
    return {
      list: indices(list),
      question: {
        history: { items: indices(own), times: new Float64Array(own.length), values: new Float32Array(own.length) },
        at: Number.NaN,
        relevant: new Set(indices(relevant)),
        relevantCount: count,
        idealCount: count,
        candidates: null,
        cluster: Math.floor(at / 3),
        known: at % 30,
      },
    };
  });
  return { log, questions };
}

describe("the quality of generated lists", () => {
  const { log, questions } = generated();
  const cases = questions.map(({ question }) => question);
  const table = new QualityTable(cases, { log, byItem: transpose(interactionMatrix(log)), k: 10 });
  for (const [at, { list }] of questions.entries()) table.add(at, list);
  const quality = table.finish(1);
  const figure = (metric: CaseMetric): number => quality.overall.metrics.get(metric)?.value ?? Number.NaN;

  it.each<[CaseMetric, number]>([
    ["hit-rate", 0.7833333333333333],
    ["recall", 0.336170634920635],
    ["precision", 0.25],
    ["ndcg", 0.3243094776182756],
    ["map", 0.19295155160829766],
    ["mrr", 0.5051851851851852],
  ])("has the %s of ranx 0.3.21 and of pytrec_eval (trec_eval 9), which agree", (metric, expected) => {
    // No case has more than ten relevant items: beyond them ours divides the average precision by k, theirs by all.
    expect(Math.max(...cases.map(({ relevantCount }) => relevantCount))).toBeLessThanOrEqual(10);
    expect(figure(metric)).toBeCloseTo(expected, 10);
  });

  it("has novelty, diversity, popularity, its lift, coverage and Gini as NumPy 2.4 computes their definitions", () => {
    expect(figure("novelty")).toBeCloseTo(3.915601872629573, 10);
    expect(figure("diversity")).toBeCloseTo(0.6974258531741185, 10);
    expect(figure("popularity")).toBeCloseTo(0.09786666666666664, 10);
    expect(quality.popularityLift).toBeCloseTo(-0.49359481055193755, 10);
    expect(quality.coverage).toBeCloseTo(0.9833333333333333, 10);
    // By mean absolute difference over twice the mean, which is the same number by another way.
    expect(quality.gini).toBeCloseTo(0.29540427154843635, 10);
  });

  it("has an interval of the width that the sandwich estimate for clusters of three gives", () => {
    const ndcg = quality.overall.metrics.get("ndcg");
    const halfWidth = ((ndcg?.high ?? 0) - (ndcg?.low ?? 0)) / 2;
    expect(halfWidth / (1.96 * 0.031185217326946808)).toBeGreaterThan(0.85);
    expect(halfWidth / (1.96 * 0.031185217326946808)).toBeLessThan(1.15);
  });

  it("has slices by history that add up to the whole", () => {
    expect(quality.byHistory.length).toBeGreaterThan(2);
    const all = quality.byHistory.reduce((sum, slice) => sum + slice.cases, 0);
    const ndcg = quality.byHistory.reduce(
      (sum, slice) => sum + slice.cases * (slice.metrics.get("ndcg")?.value ?? 0),
      0,
    );
    expect(all).toBe(CASES);
    expect(ndcg / all).toBeCloseTo(figure("ndcg"), 12);
  });

  it("does not count candidates from outside the catalogue as a part of it that was shown", () => {
    const foreign = new QualityTable(cases.slice(0, 1), { log, byItem: transpose(interactionMatrix(log)), k: 10 });
    foreign.add(0, Int32Array.of(3, -1, 5, -1));
    expect(foreign.finish(1).coverage).toBe(2 / log.items);
  });
});
