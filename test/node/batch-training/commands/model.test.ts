import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Report } from "../../../../models/contract/report.ts";
import { model } from "../../../../batch-training/commands/model.ts";
import { runCli } from "../../../../batch-training/commands/run-cli.ts";
import { singleNode, stumps } from "../../../support/onnx/small-models.ts";

let folder = "";
let out: string[] = [];
let err: string[] = [];
const path = (name: string): string => join(folder, name);
const run = (...words: string[]): Promise<number> => runCli(model, words);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "edgewise-model-"));
  writeFileSync(path("stumps.onnx"), stumps());
  writeFileSync(path("norm.onnx"), singleNode("Hardmax"));
  writeFileSync(path("frobnicate.onnx"), singleNode("Frobnicate", "com.example"));
  writeFileSync(path("text.onnx"), "this is a text");
  writeFileSync(path("rows.csv"), "a,b,c\n0,0,0\n2,0,-1\n,0,\n");
  writeFileSync(path("narrow.csv"), "1,2\n");
  writeFileSync(path("words.csv"), "1,2,three\n1,2,four\n");
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  out = [];
  err = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void out.push(line));
  vi.spyOn(console, "error").mockImplementation((line: string) => void err.push(line));
});

/** Raw score of the two stumps, worked out by hand: 0.25 + (±) + (±). */
const sigmoid = (raw: number): number => 1 / (1 + Math.exp(-raw));
const EXPECTED = [sigmoid(0.25 - 1 + 2), sigmoid(0.25 + 2 - 1), sigmoid(0.25 - 1 + 2)];

describe("model inspect", () => {
  it("tells operators, shapes, the engine with its reason, and memory", async () => {
    expect(await run("inspect", path("stumps.onnx"), "--json", path("inspect.json"))).toBe(0);
    const text = out.join("\n");
    expect(text).toMatch(/input +x: float32 \[n, 3\]/);
    expect(text).toMatch(/operators +TreeEnsembleRegressor \(2 trees, 6 nodes\), Sigmoid/);
    expect(text).toMatch(/engine +compact: the compact engine runs every operator/);
    expect(text).toMatch(/memory +compact .*B, ONNX Runtime about/);
    expect(JSON.parse(readFileSync(path("inspect.json"), "utf8"))).toMatchObject({ choice: { engine: "compact" } });
  });

  it("of a graph that neither engine runs names the operator and fails", async () => {
    expect(await run("inspect", path("frobnicate.onnx"))).toBe(1);
    expect(err.join()).toContain("com.example.Frobnicate");
  });
});

describe("model run", () => {
  it.each(["compact", "ort"])("scores a CSV on %s", async (engine) => {
    const args = [path("stumps.onnx"), "--input", path("rows.csv"), "--engine", engine, "--json", path("run.json")];
    expect(await run("run", ...args)).toBe(0);
    const report = Report.parse(JSON.parse(readFileSync(path("run.json"), "utf8")));
    expect(report.rows.map((row) => row.id)).toEqual([0, 1, 2].map((row) => `${engine}/row-${row}`));
    for (const [row, { value }] of report.rows.entries()) expect(value).toBeCloseTo(EXPECTED[row] ?? Number.NaN, 6);
  });

  it("on both prints the largest difference and its row", async () => {
    expect(await run("run", path("stumps.onnx"), "--input", path("rows.csv"), "--engine", "both")).toBe(0);
    expect(out.join("\n")).toMatch(/largest difference \S+ at row \d: ort 0\.\d+, compact 0\.\d+/);
  });

  it("explains: base and contributions add up to the raw score, by column name", async () => {
    const args = [path("stumps.onnx"), "--input", path("rows.csv"), "--explain", "--json", path("explain.json")];
    expect(await run("run", ...args)).toBe(0);
    expect(out.join("\n")).toMatch(/base .* a [+-]/);
    const { rows } = Report.parse(JSON.parse(readFileSync(path("explain.json"), "utf8")));
    const first = rows.filter((row) => row.id.startsWith("explain/row-0/"));
    expect(first).toHaveLength(4);
    expect(first.reduce((sum, row) => sum + row.value, 0)).toBeCloseTo(0.25 - 1 + 2, 9);
  });
});

describe("bad input gets a message, an exit code and no stack trace", () => {
  it.each([
    ["a model that is not there", ["inspect", "none.onnx"], 1, /cannot read .*none\.onnx: there is no such file/],
    ["a file that is no model", ["inspect", "text.onnx"], 1, /is not a valid model/],
    ["rows that are not there", ["run", "stumps.onnx", "--input", "none.csv"], 1, /cannot read .*none\.csv/],
    [
      "too few columns",
      ["run", "stumps.onnx", "--input", "narrow.csv"],
      1,
      /has 2 columns, the model takes 3: x \[\?, 3\]/,
    ],
    ["too few columns for ORT", ["run", "stumps.onnx", "--input", "narrow.csv", "--engine", "ort"], 1, /takes 3/],
    ["words for numbers", ["run", "stumps.onnx", "--input", "words.csv"], 1, /"four" is no number/],
    ["no input", ["run", "stumps.onnx"], 2, /Missing required argument: --input/],
    ["no model", ["inspect"], 2, /Missing required positional argument: FILE/],
    ["an unknown engine", ["run", "stumps.onnx", "--input", "rows.csv", "--engine", "gpu"], 2, /Expected one of/],
    ["an unknown option", ["run", "stumps.onnx", "--input", "rows.csv", "--explian"], 2, /unknown option --explian/],
    ["a surplus argument", ["inspect", "stumps.onnx", "rows.csv"], 2, /unexpected argument/],
    ["an unknown command", ["frob"], 2, /Unknown command/],
    [
      "an explanation from ORT",
      ["run", "stumps.onnx", "--input", "rows.csv", "--engine", "ort", "--explain"],
      2,
      /needs the compact engine/,
    ],
    [
      "a graph the compact engine does not run",
      ["run", "norm.onnx", "--input", "rows.csv"],
      1,
      /Hardmax.*try --engine ort/,
    ],
    ["a folder that is not there", ["inspect", "stumps.onnx", "--json", "no/such/folder.json"], 1, /cannot write/],
  ])("%s", async (_name, words, code, message) => {
    const args = words.map((word) => (/\.(onnx|csv|json)$/.test(word) ? path(word) : word));
    expect(await run(...args)).toBe(code);
    expect(err).toHaveLength(1);
    expect(err[0]).toMatch(message);
    expect(err[0]).not.toMatch(/\n\s+at /);
  });

  it("the program itself: message on stderr, exit code, nothing on stdout", () => {
    const main = resolve(import.meta.dirname, "../../../../batch-training/main.ts");
    const node = resolve(import.meta.dirname, "../../../../node_modules/.bin/node");
    const result = spawnSync(node, [main, "model", "inspect", path("text.onnx")], { encoding: "utf8" });
    expect(result).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringMatching(/^edgewise: .*not a valid model/),
    });
  });
});
