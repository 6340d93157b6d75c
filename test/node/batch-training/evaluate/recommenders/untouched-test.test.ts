import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { evaluateRecommenders } from "../../../../../batch-training/evaluate/recommenders/evaluate-recommenders.ts";
import {
  type EvaluationFiles,
  type EvaluationRules,
  prepareEvaluation,
} from "../../../../../batch-training/evaluate/recommenders/prepare.ts";
import { parseSplit, splitRows } from "../../../../../batch-training/evaluate/recommenders/split.ts";
import { RECOMMENDERS } from "../../../../../batch-training/train/recommenders/catalog.ts";
import { allRows, interactions, type Row, tasteRows } from "../../../../support/interaction-logs.ts";

const folder = mkdtempSync(join(tmpdir(), "untouched-test-"));
afterAll(() => rmSync(folder, { recursive: true }));
const ITEMS = 40;
const pairs = new Set<string>();
/** Every item of a user once. */
const rows = tasteRows({ users: 50, items: ITEMS, perUser: 16, seed: 1 }).filter(([user, item]) => {
  const before = pairs.size;
  return pairs.add(`${user} ${item}`).size > before;
});

type Cells = readonly (string | number | undefined)[];

function file(name: string, content: readonly Cells[], header: string): string {
  const path = join(folder, name);
  writeFileSync(path, [header, ...content.map((row) => row.join(","))].join("\n"));
  return path;
}
const logFile = (name: string, content: readonly Cells[]): string => file(name, content, "user,item,timestamp,value");

/** Other outcomes at the same moments for the same users: half of the items never seen, the others wrong. */
const poison = ([user, item, time, value]: Row, at: number): Cells => [
  user,
  at % 2 === 0 ? `poison-${at}` : (item * 7 + 11) % ITEMS,
  time,
  5 - (value ?? 0) || 3,
];

/** Data with the reported rows as they are, and with others in their place. */
function pair(name: string, splitText: string): [EvaluationFiles, EvaluationFiles] {
  const split = parseSplit(splitText);
  const log = interactions(rows);
  if (split.kind === "given") {
    const [train, test] = [rows.filter(([user]) => user < 40 || name === "set"), rows.filter(([user]) => user >= 40)];
    const data = logFile(`${name}-train.csv`, name === "set" ? train.filter((_, at) => at % 4 > 0) : train);
    const asked = name === "set" ? train.filter((_, at) => at % 4 === 0) : test;
    return [asked, asked.map(poison)].map((rowsOf, at) => ({
      ...NOTHING_ELSE,
      data,
      test: logFile(`${name}-test-${at}.csv`, rowsOf),
    })) as [EvaluationFiles, EvaluationFiles];
  }
  const reported = new Set(splitRows(log, allRows(log), split).test);
  const poisoned = rows.map((row, at): Cells => {
    if (!reported.has(at)) return row;
    // Where candidates name the reported item, a known one would be taken from the training rows of the user as well.
    return name === "candidates" ? [row[0], `poison-${at}`, row[2], row[3]] : poison(row, at);
  });
  return [rows, poisoned].map((rowsOf, at) => ({
    ...NOTHING_ELSE,
    data: logFile(`${name}-${at}.csv`, rowsOf),
  })) as [EvaluationFiles, EvaluationFiles];
}
const NOTHING_ELSE = { test: null, valid: null, candidates: null, format: "auto" } as const;

/** Candidates name the reported item of each user; the poisoned file names another, and other negatives. */
function withCandidates(files: EvaluationFiles, name: string, other: boolean): EvaluationFiles {
  const log = interactions(rows);
  const { test } = splitRows(log, allRows(log), { kind: "leave-last-out" });
  const lines = Array.from(test, (row) => {
    const [user, item] = rows[row] ?? [0, 0];
    const asked = other ? `poison-${row}` : item;
    const shift = other ? 3 : 0;
    return [user, asked, Array.from({ length: 15 }, (_, at) => (user * 5 + at * 2 + shift) % ITEMS).join(" ")];
  });
  return { ...files, candidates: file(`${name}-list-${Number(other)}.csv`, lines, "user,item,negatives") };
}

async function choose(files: EvaluationFiles, rules: EvaluationRules, twoStage: boolean) {
  const prepared = await prepareEvaluation(files, rules);
  const lines: string[] = [];
  const evaluations = await evaluateRecommenders({
    ...prepared,
    models: RECOMMENDERS.filter(({ name }) => ["popularity", "item-knn", "session-knn", "ease-recency"].includes(name)),
    blend: true,
    twoStage,
    bags: 1,
    rank: { k: 5, exclude: rules.exclude },
    context: { seed: 1, threads: 1 },
    neighbours: 100,
    served: false,
    headItems: null,
    now: () => 0,
    progress: (line) => void lines.push(line),
  });
  return {
    folds: prepared.folds,
    // Which settings won, by which validation figure, with which weights.
    chosen: evaluations.map(({ name, parameters, validation, trials, bytes }) => {
      return { name, parameters, validation, trials, ...(name === "two-stage" && { bytes }) };
    }),
    lines,
    quality: evaluations.map(({ quality }) => quality.overall.metrics.get("ndcg")?.value),
  };
}

describe("what is chosen", () => {
  it.each([
    // The second stage learns from the same folds whatever the split, and is what takes long here.
    ["leave-last-out", "leave-last-out", { next: false, twoStage: false }],
    ["candidates", "leave-last-out", { next: false, twoStage: true }],
    ["random", "per-user-random:0.25:3", { next: false, twoStage: false }],
    ["time", "by-time:9000", { next: false, twoStage: false }],
    ["set", "given", { next: false, twoStage: false }],
    ["next", "given", { next: true, twoStage: true }],
  ])("is the same whatever the reported part says: %s", async (name, split, { next, twoStage }) => {
    const rules: EvaluationRules = {
      split: parseSplit(split),
      next,
      exclude: next ? "nothing" : "history",
      seed: 1,
      folds: 2,
      validationCases: 40,
    };
    const files = pair(name, split).map((own, at) =>
      name === "candidates" ? withCandidates(own, name, at === 1) : own,
    );
    const [honest, poisoned] = [
      await choose(files[0] as EvaluationFiles, rules, twoStage),
      await choose(files[1] as EvaluationFiles, rules, twoStage),
    ];
    expect(poisoned.chosen).toEqual(honest.chosen);
    expect(poisoned.lines).toEqual(honest.lines);
    expect(poisoned.folds.map(({ log }) => log.item)).toEqual(honest.folds.map(({ log }) => log.item));
    // The poison took: what is reported did change.
    expect(poisoned.quality).not.toEqual(honest.quality);
    expect(honest.chosen.map(({ name: own }) => own)).toEqual([
      "popularity",
      "item-knn",
      "session-knn",
      "ease-recency",
      "blend",
      ...(twoStage ? ["two-stage"] : []),
    ]);
  });
});
