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

async function runFraud(...argv: string[]): Promise<number> {
  errors = [];
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.spyOn(console, "error").mockImplementation((line: string) => void errors.push(line));
  return runCli(evaluate, ["fraud", ...argv]);
}

/** 40 days of 60 customers at 30 terminals; one terminal in ten is bad for a week, and large amounts are fraud. */
function transactions(): string {
  const random = new SeededRandom(9);
  const lines = ["TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD,TX_FRAUD_SCENARIO"];
  for (let i = 0; i < 4000; i++) {
    const time = new Date(Date.UTC(2020, 0, 1) + Math.floor((i * 40 * 86_400) / 4000) * 1000);
    const terminal = random.below(30);
    const amount = 10 + random.next() * 100 + (random.next() < 0.02 ? 200 : 0);
    const bad = amount > 200 || terminal % 10 === Math.floor(i / 700) % 10;
    const fraud = bad && random.next() < 0.5 ? 1 : 0;
    lines.push(
      [
        i,
        time.toISOString().slice(0, 19).replace("T", " "),
        random.below(60),
        terminal,
        amount.toFixed(2),
        fraud,
        0,
      ].join(","),
    );
  }
  return lines.join("\n");
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
    expect(String(report.parameters["features"])).toBe("age,job,sex,day.hour,day.weekday");
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

describe("edgewise evaluate fraud", () => {
  const window = ["--train-days", "5", "--delay-days", "5", "--test-days", "5"];

  it("reports every window and the mean, for boosted trees and baselines", async () => {
    const [data, json] = [join(folder, "cards.csv"), join(folder, "cards.json")];
    writeFileSync(data, transactions());
    const argv = ["--transactions", data, "--train-start", "2020-01-16", ...window, "--windows", "2", "--json", json];
    expect(await runFraud(...argv)).toBe(0);
    const report = Report.parse(JSON.parse(readFileSync(json, "utf8")));
    const value = (id: string): number => report.rows.find((row) => row.id === id)?.value ?? Number.NaN;
    expect(value("gbdt/roc_auc")).toBeGreaterThan(0.6);
    expect(value("gbdt/roc_auc")).toBeCloseTo(
      (value("gbdt/2020-01-16/roc_auc") + value("gbdt/2020-01-21/roc_auc")) / 2,
      12,
    );
    expect(value("constant/roc_auc")).toBe(0.5);
    expect(value("windows/2020-01-21/test_rows")).toBeGreaterThan(100);
    expect(value("gbdt/card_precision_100")).toBeGreaterThan(0);
    expect(String(report.parameters["features"])).not.toMatch(/device|SCENARIO/);
  }, 120_000);

  it("a window outside the file, a wrong row, a missing column and wrong arguments are refused with their place", async () => {
    const data = join(folder, "cards.csv");
    writeFileSync(data, transactions());
    const refused = async (argv: string[], code: number, message: RegExp): Promise<void> => {
      expect(await runFraud(...argv)).toBe(code);
      expect(errors.join("\n")).toMatch(message);
    };
    const common = ["--transactions", data, ...window];
    await refused(
      [...common, "--train-start", "2020-02-01"],
      1,
      /the windows need 2020-02-01 to 2020-02-15, the file has 2020-01-01 to 2020-02-09/,
    );
    await refused([...common, "--train-start", "yesterday"], 2, /no day like/);
    await refused([...common, "--train-start", "2020-01-16", "--windows", "0"], 2, /--windows 0/);
    const wrong = join(folder, "wrong.csv");
    writeFileSync(wrong, transactions().replace(/\n7,[^\n]*/, "\n7,2020-01-01 00:00:01,1,2,ten,0,0"));
    await refused(
      ["--transactions", wrong, ...window, "--train-start", "2020-01-16"],
      1,
      /line 9, column "TX_AMOUNT": "ten" is no amount/,
    );
    const short = join(folder, "short.csv");
    writeFileSync(short, "TRANSACTION_ID,TX_DATETIME\n1,2020-01-01 00:00:00\n");
    await refused(
      ["--transactions", short, ...window, "--train-start", "2020-01-16"],
      1,
      /no column CUSTOMER_ID, TERMINAL_ID/,
    );
  });
});
