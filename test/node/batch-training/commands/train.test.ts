import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { runs } from "../../../../batch-training/commands/runs.ts";
import { runCli } from "../../../../batch-training/commands/run-cli.ts";
import { plainProgress } from "../../../../batch-training/commands/show-progress.ts";
import { train } from "../../../../batch-training/commands/train.ts";
import { RunRecord } from "../../../../batch-training/pipeline/run-record.ts";
import { Manifest } from "../../../../models/contract/manifest.ts";
import { smallShop } from "../../../harness/small-shop.ts";

let folder = "";
let printed: string[] = [];
let errors: string[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "train-"));
  const lines = [...smallShop({ seed: 4, end: Date.UTC(2026, 10, 1) }).events()].map((event) =>
    JSON.stringify({ ...event, tenant: "default", ingestedAt: Date.parse(event.time) + 2_000 }),
  );
  writeFileSync(join(folder, "log.ndjson"), `${lines.join("\n")}\n`);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

async function run(command: typeof train | typeof runs, ...argv: string[]): Promise<number> {
  printed = [];
  errors = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void printed.push(line));
  vi.spyOn(console, "error").mockImplementation((line: string) => void errors.push(line));
  return await runCli(command, argv);
}
const home = (): string[] => ["--home", join(folder, "home")];
const training = (...argv: string[]): Promise<number> =>
  run(train, "--events", join(folder, "log.ndjson"), ...home(), "--set", '{"trees":60}', ...argv);

describe("edgewise train and runs", () => {
  it("trains from files: plain lines without a terminal, the version in a folder, the record as JSON", async () => {
    const out = join(folder, "out");
    const json = join(folder, "record.json");
    expect(await training("--out", out, "--json", json)).toBe(0);
    expect(printed.filter((line) => /^(extract|train|card): done/.test(line))).toHaveLength(3);
    expect(printed.at(-1)).toMatch(/^trained fraud-orders [0-9a-f]{64} \(no Worker: nothing was handed over\)$/);
    const record = RunRecord.parse(JSON.parse(readFileSync(json, "utf8")));
    const manifest = Manifest.parse(JSON.parse(readFileSync(join(out, "manifest.json"), "utf8")));
    expect(record).toMatchObject({ state: "trained", version: manifest.version });
    expect(readdirSync(out).toSorted()).toEqual(["manifest.json", "model-card.md", "model.onnx"]);
    const card = readFileSync(join(out, "model-card.md"), "utf8");
    for (const { reason } of record.gates) expect(card).toContain(reason);
    expect(card).toContain(record.dataHash ?? "none");
    // Nothing of when or where it was made.
    expect(card).not.toContain(record.id);
    expect(card).not.toContain(folder);
  });

  it("a search keeps to its budget, and its trials are in the record", async () => {
    const json = join(folder, "searched.json");
    expect(await training("--search", "3", "--json", json)).toBe(0);
    const record = RunRecord.parse(JSON.parse(readFileSync(json, "utf8")));
    expect(record.trials).toHaveLength(3);
    expect(record.trials[0]?.parameters).toEqual({});
    const least = Math.min(...record.trials.flatMap(({ loss }) => loss ?? []));
    const best = record.trials.find(({ loss }) => loss === least);
    expect(record.parameters).toMatchObject(best?.parameters ?? {});
    expect(record.stages.filter(({ reused }) => reused).map(({ stage }) => stage)).toContain("features");
  });

  it("lists, shows and compares runs", async () => {
    expect(await run(runs, "list", ...home())).toBe(0);
    expect(printed[0]).toMatch(/^RUN +STATE/);
    expect(printed).toHaveLength(3);
    expect(printed[1]).toMatch(/trained .* roc_auc 0\.\d{4}, average_precision 0\.\d{4}$/);
    expect(await run(runs, "show", "latest", ...home())).toBe(0);
    expect(printed.join("\n")).toMatch(/search +3 trials[\s\S]*stages:\n[\s\S]*gates:\n[\s\S]*trials:\n/);
    const ids = ["latest", printed[0]?.replace(/^run +/, "") ?? ""];
    expect(await run(runs, "list", "--json", ...home())).toBe(0);
    const [latest, first] = JSON.parse(printed.join("\n")) as RunRecord[];
    expect(ids[1]).toBe(latest?.id);
    expect(await run(runs, "compare", first?.id ?? "", "latest", ...home())).toBe(0);
    expect(printed.join("\n")).toMatch(/DIFFERS +A +B\n[\s\S]*version[\s\S]*METRIC +A +B +B - A\n/);
    expect(printed.join("\n")).not.toContain("the rows differ");
  });

  it("unknown runs, models, parameters and files are the user's to mend", async () => {
    expect(await run(runs, "show", "nothing", ...home())).toBe(1);
    expect(errors.join()).toContain("no run is called nothing");
    expect(await training("--resume", "nothing")).toBe(1);
    expect(await training("--model", "clairvoyant")).toBe(2);
    expect(errors.join()).toContain('no model is called "clairvoyant"; there are fraud-orders');
    expect(await run(train, "--events", join(folder, "none.ndjson"), ...home())).toBe(1);
    expect(errors.join()).toMatch(/cannot read .*none\.ndjson/);
    expect(await training("--set", "leaves")).toBe(2);
    expect(await training("--search", "-1")).toBe(2);
    expect(await training("--set", '{"leaves":1}')).toBe(1);
    expect(errors.join()).toContain("leaves:");
  });

  it("progress without a terminal is a line per tenth of a stage, at most", () => {
    const lines: string[] = [];
    const { report } = plainProgress((line) => lines.push(line));
    report({ type: "stage", stage: "train", status: "begins", detail: "" });
    for (let done = 0; done <= 1000; done++)
      report({ type: "progress", stage: "train", done, total: 1000, note: `n${done}` });
    report({ type: "stage", stage: "train", status: "done", detail: "1.0 s" });
    expect(lines).toHaveLength(10);
    expect(lines[0]).toBe("train: 10 %, n100");
    expect(lines.at(-1)).toBe("train: done (1.0 s)");
  });
});
