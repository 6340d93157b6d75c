import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineCommand } from "citty";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { evaluateRecs } from "../../../../batch-training/commands/evaluate-recs.ts";
import { runCli } from "../../../../batch-training/commands/run-cli.ts";
import { Report } from "../../../../models/contract/report.ts";
import { tasteRows } from "../../../support/interaction-logs.ts";

const folder = mkdtempSync(join(tmpdir(), "evaluate-recs-"));
afterAll(() => rmSync(folder, { recursive: true }));

const root = defineCommand({ subCommands: { recs: evaluateRecs } });
let output: string[] = [];
beforeEach(() => {
  output = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void output.push(line));
  vi.spyOn(console, "error").mockImplementation((line: string) => void output.push(line));
});
afterEach(() => vi.restoreAllMocks());

function file(name: string, rows: readonly (readonly unknown[])[], header = "user,item,timestamp,value"): string {
  const path = join(folder, name);
  writeFileSync(path, [header, ...rows.map((row) => row.join(","))].join("\n"));
  return path;
}

const rows = tasteRows({ users: 60, items: 40, perUser: 12, seed: 1 });
const data = file("log.csv", rows);
const json = join(folder, "report.json");

function report(): Report {
  return Report.parse(JSON.parse(readFileSync(json, "utf8")));
}

const value = (id: string): number => report().rows.find((row) => row.id === id)?.value ?? Number.NaN;

describe("edgewise evaluate recs", () => {
  it("measures every model named and the blend, with intervals, slices, cost and bytes", async () => {
    const model = "popularity,item-knn,ease,blend,two-stage";
    const run = ["recs", "--data", data, "--split", "per-user-random:0.25:1", "--model", model, "--folds", "1"];
    expect(await runCli(root, [...run, "--bags", "2", "--json", json])).toBe(0);
    for (const name of model.split(",")) {
      const ndcg = report().rows.find((row) => row.id === `${name}/ndcg@10`);
      expect(ndcg?.low).toBeLessThanOrEqual(ndcg?.value ?? Number.NaN);
      expect(ndcg?.high).toBeGreaterThanOrEqual(ndcg?.value ?? Number.NaN);
      for (const id of ["recall@10", "mrr@10", "coverage@10", "novelty@10", "diversity@10", "bytes", "fit"]) {
        expect(value(`${name}/${id}`)).toBeGreaterThanOrEqual(0);
      }
      expect(report().rows.some((row) => row.id.startsWith(`${name}/ndcg@10/history=`))).toBe(true);
    }
    // The taste of the generated users is there to be found.
    expect(value("ease/ndcg@10")).toBeGreaterThan(value("popularity/ndcg@10"));
    expect(report().parameters).toMatchObject({ split: "per-user-random:0.25:1", k: 10, seed: 1 });
  });

  it("gives the same figures for the same seed, whatever the threads", async () => {
    const run = ["recs", "--data", data, "--model", "popularity,slim,ials,blend", "--folds", "1", "--json", json];
    const figures = async (threads: string): Promise<unknown[]> => {
      expect(await runCli(root, [...run, "--threads", threads])).toBe(0);
      return report().rows.filter((row) => !/\/(?:fit|score)$/.test(row.id));
    };
    expect(await figures("2")).toEqual(await figures("1"));
  });

  it("predicts each next item of sessions never seen in training", async () => {
    const sessions = rows.map(([user, item, time]) => [user + 1_000, item, time]);
    const test = file("test.csv", sessions.slice(0, 120), "SessionId,ItemId,Time");
    const given = ["recs", "--data", data, "--test", test, "--split", "given", "--task", "next", "--k", "5"];
    expect(await runCli(root, [...given, "--model", "session-knn,sequential-rules", "--json", json])).toBe(0);
    expect(report().parameters["cases"]).toBe(110);
    expect(value("session-knn/mrr@5")).toBeGreaterThan(0);
  });

  it("measures the served form: the same figures with uncut lists, other ones with short lists", async () => {
    const run = ["recs", "--data", data, "--model", "item-knn,ease,slim,blend", "--folds", "1", "--json", json];
    const ndcg = async (...extra: string[]): Promise<number[]> => {
      expect(await runCli(root, [...run, ...extra])).toBe(0);
      return ["item-knn", "ease", "slim", "blend"].map((name) => value(`${name}/ndcg@10`));
    };
    const full = await ndcg();
    const uncut = await ndcg("--served", "--neighbours", "40");
    for (const [i, figure] of uncut.entries()) expect(figure).toBeCloseTo(full[i] ?? Number.NaN, 6);
    expect(await ndcg("--served", "--neighbours", "2")).not.toEqual(full);
  });

  it("ranks against given candidates", async () => {
    const users = [...new Set(rows.map((row) => row[0]))];
    const unseen = (user: number): number[] => {
      const own = new Set(rows.filter((row) => row[0] === user).map((row) => row[1]));
      return Array.from({ length: 40 }, (_, item) => item).filter((item) => !own.has(item));
    };
    const last = (user: number): number => rows.findLast((row) => row[0] === user)?.[1] ?? -1;
    const candidates = file(
      "candidates.csv",
      users.map((user) => [user, last(user), unseen(user).join(" ")]),
      "user_id,item_id,negatives",
    );
    const run = ["recs", "--data", data, "--candidates", candidates, "--model", "popularity", "--json", json];
    expect(await runCli(root, run)).toBe(0);
    expect(value("popularity/hit-rate@10")).toBeGreaterThan(0);
  });

  const broken = file("broken.csv", [["u", "i", "soon", 1]]);
  const lonely = file("lonely.csv", [
    ["a", "x", 1, 1],
    ["b", "x", 2, 1],
  ]);
  it.each([
    [["--data", join(folder, "none.csv")], 1, /none\.csv.*there is no such file/],
    [["--data", broken], 1, /none of its 1 rows is usable: unreadable time \(1\)/],
    [["--data", lonely], 1, /leaves nothing to test on/],
    [["--data", data, "--split", "thirds"], 2, /unknown split "thirds"/],
    [["--data", data, "--split", "given"], 1, /needs --test FILE/],
    [["--data", data, "--model", "magic"], 2, /unknown model "magic"; there are popularity/],
    [["--data", data, "--k", "0"], 2, /--k is a whole number from 1 to 50/],
    [["--data", data, "--candidates", join(folder, "no.csv")], 1, /no\.csv.*there is no such file/],
    [["--data", data, "--json", join(folder, "no", "such.json")], 1, /cannot write .*no.such\.json/],
    [["--data", data, "--task", "next"], 1, /--task next needs --split given or by-time/],
    [["--data", data, "--candidates", broken, "--split", "by-time:2011-01-01"], 1, /goes with --split leave-last-out/],
    [["--data", data, "--bags", "0"], 2, /--bags is a whole number from 1 to 20/],
    [["--data", data, "--folds", "2", "--fold", "3"], 2, /unknown option --fold/],
  ])("%o says what to do", async (args, code, message) => {
    expect(await runCli(root, ["recs", ...args])).toBe(code);
    expect(output.join("\n")).toMatch(message);
  });
});
