/** What strangers give `edgewise evaluate recs`: the same figures from every form of a log, every row accounted for, clear errors. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineCommand } from "citty";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { evaluateRecs } from "../../../../batch-training/commands/evaluate-recs.ts";
import { runCli } from "../../../../batch-training/commands/run-cli.ts";
import { Report } from "../../../../models/contract/report.ts";
import { type Row, tasteRows } from "../../../support/interaction-logs.ts";

const folder = mkdtempSync(join(tmpdir(), "evaluate-recs-input-"));
afterAll(() => rmSync(folder, { recursive: true }));

const root = defineCommand({ subCommands: { recs: evaluateRecs } });
let output: string[] = [];
beforeEach(() => {
  output = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void output.push(line));
  vi.spyOn(console, "error").mockImplementation((line: string) => void output.push(line));
});
afterEach(() => vi.restoreAllMocks());

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}
const HEADER = "user,item,timestamp,value";
const csv = (rows: readonly (readonly unknown[])[], header = HEADER): string =>
  [header, ...rows.map((row) => row.join(","))].join("\n");

const json = join(folder, "report.json");
async function evaluated(...args: string[]): Promise<Report> {
  expect([await runCli(root, ["recs", ...args, "--json", json]), output.at(-1)]).toEqual([0, output.at(-1)]);
  return Report.parse(JSON.parse(readFileSync(json, "utf8")));
}
const valueOf = (report: Report, id: string): number => report.rows.find((row) => row.id === id)?.value ?? Number.NaN;

const rows = tasteRows({ users: 60, items: 40, perUser: 12, seed: 2 });

describe("the forms of a log", () => {
  it("give the same figures: CSV, gzip, TSV, NDJSON and Parquet", async () => {
    const columns = ["user", "item", "timestamp", "value"] as const;
    const ndjson = rows.map((row) => JSON.stringify(Object.fromEntries(columns.map((name, at) => [name, row[at]]))));
    const parquet = parquetWriteBuffer({
      columnData: columns.map((name, at) => ({
        name,
        data: rows.map((row) => (at < 2 ? String(row[at]) : (row[at] ?? 0))),
        type: at < 2 ? ("STRING" as const) : ("DOUBLE" as const),
      })),
    });
    const files = [
      file("log.csv", csv(rows)),
      file("log.csv.gz", gzipSync(csv(rows))),
      file("log.tsv", csv(rows).replaceAll(",", "\t")),
      file("log.ndjson.gz", gzipSync(ndjson.join("\n"))),
      file("log.parquet", new Uint8Array(parquet)),
    ];
    const figures = [];
    for (const data of files) {
      const report = await evaluated("--data", data, "--split", "per-user-random:0.25:1", "--model", "item-knn,blend");
      figures.push(report.rows.filter(({ id }) => !/\/(?:fit|score)$/.test(id)));
    }
    expect(figures[0]?.length).toBeGreaterThan(20);
    for (const other of figures) expect(other).toEqual(figures[0]);
  });
});

/** Popularity by the definition, from the rows alone: distinct users of an item before the cut, the lower first row among equals. */
function naivePopularity(all: readonly Row[], from: number, options: { k: number; newOnly: boolean }) {
  const [train, test] = [all.filter((row) => (row[2] ?? 0) < from), all.filter((row) => (row[2] ?? 0) >= from)];
  const users = new Map<number, Set<number>>();
  for (const [user, item] of train) users.set(item, (users.get(item) ?? new Set()).add(user));
  const ranked = [...users].sort(([, a], [, b]) => b.size - a.size).map(([item]) => item);
  const asked = [...new Set(test.map(([user]) => user))].flatMap((user) => {
    const had = new Set(train.flatMap(([who, item]) => (who === user ? [item] : [])));
    const wanted = new Set(
      test.flatMap(([who, item]) => (who === user && !(options.newOnly && had.has(item)) ? [item] : [])),
    );
    const list = ranked.filter((item) => !options.newOnly || !had.has(item)).slice(0, options.k);
    return wanted.size === 0 ? [] : [{ list, wanted, known: had.size }];
  });
  const mean = (of: (one: (typeof asked)[number]) => number): number =>
    asked.reduce((sum, one) => sum + of(one), 0) / asked.length;
  const hits = ({ list, wanted }: (typeof asked)[number]): number[] => list.map((item) => (wanted.has(item) ? 1 : 0));
  const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
  const gain = (flags: readonly number[]): number => total(flags.map((flag, at) => flag / Math.log2(at + 2)));
  return {
    asked,
    "hit-rate": mean((one) => Math.max(0, ...hits(one))),
    recall: mean((one) => total(hits(one)) / one.wanted.size),
    precision: mean((one) => total(hits(one)) / options.k),
    ndcg: mean((one) => gain(hits(one)) / gain(Array.from({ length: Math.min(options.k, one.wanted.size) }, () => 1))),
    mrr: mean((one) => (hits(one).includes(1) ? 1 / (hits(one).indexOf(1) + 1) : 0)),
  };
}

describe("figures", () => {
  // Two users come after the cut only, one item is sold after it only, one user has a single row.
  const log: Row[] = [
    ...rows,
    [100, 3, 11_500, 1],
    [100, 39, 11_600, 1],
    [101, 4, 11_700, 1],
    [5, 77, 11_800, 1],
    [102, 1, 10, 1],
  ];
  const data = file("oracle.csv", csv(log));

  it.each([
    ["all", false],
    ["new-to-user", true],
  ])("of popularity are those of a naive count: --items %s", async (items, newOnly) => {
    const from = 8_000;
    const args = ["--data", data, "--split", `by-time:${from}`, "--items", items, "--k", "5", "--model", "popularity"];
    // One setting only is left where validation is about all time: the windows are shorter than the log.
    const report = await evaluated(...args, "--folds", "1");
    const chosen = report.rows.find(({ id }) => id === "popularity/validation-ndcg@5")?.note;
    expect(chosen).toBe('{"days":0}');
    const expected = naivePopularity(log, from, { k: 5, newOnly });
    for (const metric of ["hit-rate", "recall", "precision", "ndcg", "mrr"] as const) {
      expect(valueOf(report, `popularity/${metric}@5`), metric).toBeCloseTo(expected[metric], 12);
    }
    const testUsers = new Set(log.filter((row) => (row[2] ?? 0) >= from).map(([user]) => user)).size;
    expect(report.parameters).toMatchObject({
      cases: expected.asked.length,
      testUsers,
      askedUsers: expected.asked.length,
      strangers: 2,
      unknownItemRows: 1,
      trainOnlyUsers: 1,
    });
    expect(report.parameters["knownItemRows"]).toBe(
      newOnly
        ? log.filter(
            ([user, item, time = 0]) =>
              time >= from && log.some((row) => row[0] === user && row[1] === item && (row[2] ?? 0) < from),
          ).length
        : 0,
    );
    expect(output.join("\n")).toContain("2 users are not in the training data");
    expect(output.join("\n")).toContain("1 rows of items that training does not know count as missed");
  });

  it("count rows that were not used: repeated, contradictory, refused with the reason", async () => {
    const bad = [
      ...rows,
      rows[0] ?? [],
      [...(rows[1] ?? []).slice(0, 3), 99],
      ["", 1, 5, 1],
      [7, 1, "soon", 1],
      [7, 1, 5, -2],
    ];
    const report = await evaluated("--data", file("bad.csv", csv(bad)), "--model", "popularity");
    expect(report.parameters).toMatchObject({ refusedRows: 3, repeatedRows: 2, contradictoryRows: 1 });
    expect(output.join("\n")).toMatch(
      /2 repeated, 1 of them contradictory; refused: 1 no user, 1 unreadable time, 1 value not above 0/,
    );
  });

  it("rank candidates that nobody has met last, and count them", async () => {
    const last = new Map(rows.map((row) => [row[0], row[1]]));
    const lines = Array.from(last, ([user, item]) => [user, item, "0 1 2 3 nobody-1 nobody-2"]);
    const candidates = file("unknown.csv", csv(lines, "user,item,negatives"));
    const args = ["--data", file("whole.csv", csv(rows)), "--candidates", candidates, "--model", "popularity"];
    const report = await evaluated(...args);
    expect(report.parameters["unknownCandidates"]).toBe(2 * Number(report.parameters["cases"]));
    expect(valueOf(report, "popularity/coverage@10")).toBeLessThanOrEqual(1);
  });
});

describe("what cannot be measured", () => {
  const whole = csv(rows);
  const data = file("good.csv", whole);
  const zipped = gzipSync(Array.from({ length: 2_000 }, (_, i) => `u${i % 50},i${(i * 7) % 90},${i}`).join("\n"));
  const cut = file(
    "cut.csv.gz",
    Buffer.concat([gzipSync("user,item,timestamp\n"), zipped.subarray(0, zipped.length - 30)]),
  );
  const candidates = gzipSync(csv([[0, 1, "2 3"]], "user,item,negatives"));
  const args = (name: string, content: string | Uint8Array): string[] => ["--data", file(name, content)];

  it.each<[string, string[], RegExp]>([
    ["wrong columns", args("columns.csv", "a,b,c\n1,2,3\n"), /no user column among "a, b, c": name one user, userid/],
    ["no item column", args("no-item.csv", "user,when\n1,2\n"), /no item column among/],
    ["an empty file", args("empty.csv", ""), /the file is empty/],
    ["a header alone", args("header.csv", `${HEADER}\n`), /no rows/],
    ["gzip cut short", ["--data", cut], /cut\.csv\.gz: the gzip stream ends too early/],
    [
      "candidates cut short",
      ["--data", data, "--candidates", file("cut-candidates.csv.gz", candidates.subarray(0, candidates.length - 9))],
      /cut-candidates\.csv\.gz: the gzip stream ends too early/,
    ],
    [
      "candidates of a stranger",
      [
        "--data",
        data,
        "--candidates",
        file(
          "stranger.csv",
          csv(
            [
              [0, 1, "2"],
              [999, 1, "2 3"],
            ],
            "user,item,negatives",
          ),
        ),
      ],
      /line 3: user "999" does not occur in the data/,
    ],
    [
      "a test item that is not in the data",
      ["--data", data, "--candidates", file("absent.csv", csv([[0, "nothing", "2"]], "user,item,negatives"))],
      /1 test items of the candidates file do not occur in the data with their user/,
    ],
    ["times of no date", args("dates.csv", "user,item,timestamp\nu,a,soon\nu,b,later\n"), /unreadable time \(2\)/],
    [
      "by-time without times",
      [...args("timeless.csv", "user,item\nu,a\nu,b\nv,a\n"), "--split", "by-time:2011-01-01"],
      /by-time needs a time in every row/,
    ],
    [
      "a date after the last row",
      ["--data", data, "--split", "by-time:2011-01-01"],
      /nothing to test on; the rows lie between 1970-01-01T00:00:00.000Z and 1970-01-01T03:/,
    ],
    ["one interaction a user", args("single.csv", "user,item,timestamp\nu,a,1\nv,b,2\n"), /nothing to test on/],
    ["the same file twice", ["--data", data, "--test", data, "--split", "given"], /good\.csv is given twice/],
    [
      "nothing new to be found",
      [
        "--data",
        data,
        "--test",
        file("known.csv", csv(rows.slice(0, 5))),
        "--split",
        "given",
        "--items",
        "new-to-user",
      ],
      /no test user has an item to find under these rules/,
    ],
    [
      "a row cut off",
      args("half.csv", `${whole}\n7,8`),
      /line 722: 2 cells where the header has 4 \(the last line: was the file cut off\?\)/,
    ],
    ["Parquet cut short", args("half.parquet", "PAR1 and nothing more"), /half\.parquet: no readable Parquet file/],
  ])("says so: %s", async (_name, own, message) => {
    expect(await runCli(root, ["recs", ...own, "--model", "popularity"])).toBe(1);
    expect(output.join("\n")).toMatch(message);
  });
});
