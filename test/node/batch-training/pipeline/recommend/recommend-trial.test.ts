import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { describeRun, listRuns } from "../../../../../batch-training/commands/describe-runs.ts";
import { modelCard } from "../../../../../batch-training/pipeline/model-card.ts";
import type { Parameters, StageContext } from "../../../../../batch-training/pipeline/model-definition.ts";
import { StageRefusal } from "../../../../../batch-training/pipeline/pipeline-error.ts";
import { splitFacts } from "../../../../../batch-training/pipeline/recommend/recommend-data.ts";
import { recommendModel } from "../../../../../batch-training/pipeline/recommend/recommend-model.ts";
import {
  RECOMMEND_PARAMETERS,
  RECOMMEND_SPACE,
  settingsOf,
} from "../../../../../batch-training/pipeline/recommend/recommend-parameters.ts";
import { tryRecommenderParameters } from "../../../../../batch-training/pipeline/recommend/recommend-trial.ts";
import { type ShopLog, shopLog } from "../../../../../batch-training/pipeline/recommend/shop-log.ts";
import { runPipeline } from "../../../../../batch-training/pipeline/run-pipeline.ts";
import { RunRecords } from "../../../../../batch-training/pipeline/run-record.ts";
import { searchParameters } from "../../../../../batch-training/pipeline/search.ts";
import { emptyRegistry, fileLog } from "../../../../../batch-training/pipeline/sources.ts";
import { MemoryFiles } from "../../../../support/memory-files.ts";
import { simulatedShopEvents } from "../../../../support/simulated-shop-events.ts";
import { tinyDeps } from "../../../../support/tiny-model.ts";

type ArgumentsOf<F> = F extends (...args: infer A) => unknown ? A : never;

const events = simulatedShopEvents({ seed: "3", scale: 0.12, days: 70 });
const context: StageContext = {
  seed: 1,
  signal: undefined,
  progress: () => {},
  piece: (_name, _inputs, work) => work(),
};
/** Few questions and cheap parts: the tests are about who sees what, not about quality. */
const QUICK: Parameters = {
  ...RECOMMEND_PARAMETERS,
  blendQuestions: 100,
  rankingQuestions: 150,
  "ranker.trees": 20,
  "ials.used": false,
  "ease-recency.used": false,
};

/** The same log, but everything from `from` on happened with other products, to other ends, in other numbers. */
function poisoned(log: ShopLog, from: number): ShopLog {
  const later = (row: number): boolean => (log.at[row] ?? 0) >= from;
  return {
    ...log,
    product: log.product.map((product, row) => (later(row) ? (product * 7 + 3) % log.productIds.length : product)),
    action: log.action.map((action, row) => (later(row) ? (action + 1) % 3 : action)),
    quantity: log.quantity.map((quantity, row) => (later(row) ? quantity + 5 : quantity)),
    changes: log.changes.map((change) =>
      change.at >= from && change.kind === "price" ? { ...change, price: 1 } : change,
    ),
  };
}

describe("a trial of the search for a recommender's parameters", () => {
  const log = shopLog(events);
  const split = splitFacts(log);

  it("is the same whatever happened in the slice that judges, and another when the learning slice is another", async () => {
    const result = await tryRecommenderParameters({ rows: log, split, parameters: QUICK }, context);
    expect(result.loss).toBeGreaterThan(0);
    expect(result.loss).toBeLessThan(1);
    const unseen = poisoned(log, split.testFrom);
    expect(unseen.product).not.toEqual(log.product);
    expect(await tryRecommenderParameters({ rows: unseen, split, parameters: QUICK }, context)).toEqual(result);
    const seen = poisoned(log, split.learnFrom);
    const other = await tryRecommenderParameters({ rows: seen, split, parameters: QUICK }, context);
    expect(other.loss).not.toBe(result.loss);
  });

  it("has no loss where the learning slice ends in too few visits", async () => {
    const short = { ...split, learnFrom: split.testFrom - 3_600_000 };
    const result = await tryRecommenderParameters({ rows: log, split: short, parameters: QUICK }, context);
    expect(result).toMatchObject({
      loss: null,
      note: expect.stringMatching(/questions at the end of the learning slice; 50 are/),
    });
  });
});

describe("a search", () => {
  const folder = mkdtempSync(join(tmpdir(), "recommend-search-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "log.ndjson");
  writeFileSync(file, events.map((event) => JSON.stringify(event)).join("\n"));

  it("goes on where it was stopped, makes no trial twice, trains with what won and counts its trials in the card", async () => {
    const files = new MemoryFiles();
    const tried: Parameters[] = [];
    const definition = recommendModel({ log: fileLog([file]), registry: emptyRegistry });
    const counting = {
      ...definition,
      trial: (...args: ArgumentsOf<typeof tryRecommenderParameters>) => {
        tried.push(args[0].parameters);
        return tryRecommenderParameters(...args);
      },
    };
    const stop = new AbortController();
    const stopped = runPipeline(
      counting,
      {
        ...tinyDeps(files, { signal: stop.signal }),
        report: (event) => {
          if (event.type === "progress" && event.stage === "search" && event.done === 2) stop.abort();
        },
      },
      { seed: 1, trials: 3, parameters: QUICK },
    );
    await expect(stopped).rejects.toThrow(/--resume/);
    expect(tried).toHaveLength(2);
    const [record] = await new RunRecords(files, "/home").list();
    const result = await runPipeline(counting, tinyDeps(files), { seed: 9, ...(record && { resume: record }) });
    expect(tried).toHaveLength(3);
    const { trials, parameters } = result.record;
    expect(trials.map(({ parameters: drawn }) => Object.keys(drawn).length)).toEqual([
      0,
      ...Array.from({ length: 2 }, () => Object.keys(RECOMMEND_SPACE).length),
    ]);
    const losses = trials.map(({ loss }) => loss ?? Number.POSITIVE_INFINITY);
    expect(parameters).toEqual(tried[losses.indexOf(Math.min(...losses))]);
    expect(modelCard(definition.about, result.record, [])).toContain("3 trials on the rows to learn from");
    expect(describeRun(result.record).join("\n")).toMatch(/trials:\n {2}0\.\d{5} NDCG@10 0\.\d{4}, HR@10 .* questions/);
    expect(listRuns([result.record]).join("\n")).toMatch(/ndcg_at_10 0\.\d{4}, hit_rate_at_10 0\.\d{4}/);
  }, 120_000);

  it("draws only what a recommender can be made of, every end of every range included", async () => {
    const { trials } = await searchParameters({
      space: RECOMMEND_SPACE,
      base: RECOMMEND_PARAMETERS,
      trials: 300,
      seed: 5,
      run: (parameters) => {
        const { parts, ranker } = settingsOf(parameters);
        expect(Object.keys(parts)).toContain("popularity");
        expect(ranker.objective).toBe("lambdarank");
        return Promise.resolve({ loss: Object.keys(parts).length, found: {}, note: "" });
      },
    });
    expect(trials).toHaveLength(300);
    for (const [name, range] of Object.entries(RECOMMEND_SPACE)) {
      const ends = range.kind === "choice" ? range.values : [range.low, range.high];
      for (const end of ends) expect(() => settingsOf({ ...RECOMMEND_PARAMETERS, [name]: end })).not.toThrow();
      // What is drawn is something that there is.
      expect(RECOMMEND_PARAMETERS).toHaveProperty([name]);
    }
  });
});

describe("settings that a recommender cannot be made with", () => {
  it.each([
    [{ "ials.factor": 64 }, /there is no parameter "ials\.factor"; there are neighbours, .*ials\.factors/],
    [{ "ials.factors": "many" }, /ials\.factors is a number of at least 0, not "many"/],
    [{ "slim.used": true }, /there is no parameter "slim\.used"/],
    [{ "session-knn.used": 1 }, /session-knn\.used is true or false, not 1/],
    [{ neighbours: 0 }, /neighbours is a whole number from 1 to 1000, not 0/],
    [{ blendScale: "rank" }, /blendScale is one of better, deviation, maximum, not "rank"/],
    [{ "ranker.leaves": 1 }, /ranker\.leaves: /],
    [{ policy: { candidates: 3 } }, /policy\.candidates: /],
    [
      Object.fromEntries(
        Object.keys(RECOMMEND_PARAMETERS).flatMap((name) => (name.endsWith(".used") ? [[name, false]] : [])),
      ),
      /every part is switched off/,
    ],
  ])("%j is refused with what there is", (own: Parameters, message) => {
    expect(() => settingsOf({ ...RECOMMEND_PARAMETERS, ...own })).toThrow(StageRefusal);
    expect(() => settingsOf({ ...RECOMMEND_PARAMETERS, ...own })).toThrow(message);
  });
});
