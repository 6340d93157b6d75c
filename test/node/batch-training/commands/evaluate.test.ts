import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { evaluate } from "../../../../batch-training/commands/evaluate.ts";
import { runCli } from "../../../../batch-training/commands/run-cli.ts";
import { Report } from "../../../../models/contract/report.ts";
import { SeededRandom } from "../../../support/seeded-random.ts";

let folder = "";
let errors: string[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "evaluate-"));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

/** 1,200 people: the label follows age and job; sex shifts it; day is the time; copy is the label again. */
function table(copy: boolean): string {
  const random = new SeededRandom(4);
  const rows = Array.from({ length: 1200 }, (_, i) => {
    const age = 18 + random.below(60);
    const job = ["cook", "nurse", "clerk"][random.below(3)] ?? "";
    const sex = random.next() < 0.6 ? "m" : "f";
    const margin = (age - 45) / 8 + (job === "nurse" ? 1.5 : -0.5) + (sex === "m" ? 0.5 : -0.5);
    const bad = random.next() < 1 / (1 + Math.exp(-margin)) ? "yes" : "no";
    return [
      age,
      random.next() < 0.1 ? "" : job,
      sex,
      `2024-01-${String(1 + (i % 28)).padStart(2, "0")}`,
      bad,
      ...(copy ? [bad] : []),
    ];
  });
  return [["age", "job", "sex", "day", "bad", ...(copy ? ["verdict"] : [])], ...rows]
    .map((row) => row.join(","))
    .join("\n");
}

async function run(...argv: string[]): Promise<number> {
  errors = [];
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.spyOn(console, "error").mockImplementation((line: string) => void errors.push(line));
  return runCli(evaluate, ["tabular", ...argv]);
}

const common = (file: string): string[] => ["--data", file, "--target", "bad", "--positive", "yes"];

describe("edgewise evaluate tabular", () => {
  it("reports boosted trees, logistic regression and the constant on later rows, with group parity", async () => {
    const [data, json] = [join(folder, "a.csv.gz"), join(folder, "a.json")];
    writeFileSync(data, gzipSync(table(false)));
    expect(await run(...common(data), "--group", "sex", "--split", "by-time:day:0.7", "--json", json)).toBe(0);
    const report = Report.parse(JSON.parse(readFileSync(json, "utf8")));
    const value = (id: string): number => report.rows.find((row) => row.id === id)?.value ?? Number.NaN;
    expect(value("gbdt/roc_auc")).toBeGreaterThan(0.75);
    expect(value("logistic_regression/roc_auc")).toBeGreaterThan(0.75);
    expect(value("constant/roc_auc")).toBe(0.5);
    expect(value("gbdt/log_loss")).toBeLessThan(value("constant/log_loss"));
    expect(value("rows/reported")).toBeGreaterThan(300);
    expect(value("labels/all/sex=f/disparate_impact")).toBeLessThan(1);
    expect(value("gbdt/group/sex/demographic_parity_ratio")).toBeLessThan(1);
    expect(String(report.parameters["features"])).toBe("age,job,sex");
  }, 120_000);

  it("a column that is the label is refused by name, unless it is dropped", async () => {
    const data = join(folder, "leak.csv");
    writeFileSync(data, table(true));
    expect(await run(...common(data), "--split", "folds:2:1")).toBe(1);
    expect(errors.join("\n")).toMatch(/"verdict" \(ROC AUC 1\.00000\) tells the label by itself/);
  });

  it("wrong columns, values, splits and seeds are refused with what is there", async () => {
    const data = join(folder, "b.csv");
    writeFileSync(data, table(false));
    const refused = async (argv: string[], code: number, message: RegExp): Promise<void> => {
      expect(await run(...argv)).toBe(code);
      expect(errors.join("\n")).toMatch(message);
    };
    await refused(["--data", data, "--target", "nope"], 1, /no column "nope"; there are age, job, sex, day, bad/);
    await refused(["--data", data, "--target", "bad"], 1, /the values are .*; name the positive one with --positive/);
    await refused(["--data", data, "--target", "bad", "--positive", "maybe"], 1, /no label is "maybe"/);
    await refused([...common(data), "--split", "half"], 2, /split "half" is not one of/);
    await refused([...common(data), "--seed", "x"], 2, /--seed x/);
    await refused([...common(data), "--group", "age"], 1, /60 different values; at most 50/);
    await refused([...common(data), "--drop", "age,job,sex,day"], 1, /no column is left/);
    await refused([...common(join(folder, "none.csv"))], 1, /no such file/);
  });

  it("one class only in the training rows is refused", async () => {
    const data = join(folder, "one.csv");
    const rows = Array.from({ length: 40 }, (_, i) => `${i},${i % 7},${i < 30 ? "no" : "yes"}`);
    writeFileSync(data, ["x,y,bad", ...rows].join("\n"));
    expect(await run(...common(data), "--split", "by-time:x:0.5")).toBe(1);
    expect(errors.join("\n")).toMatch(/training rows of later are of one class/);
  });
});
