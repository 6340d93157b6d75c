import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, describe, expect, it } from "vitest";
import { parseTime } from "../../../../batch-training/sources/interaction-format.ts";
import { readInteractions, Vocabulary } from "../../../../batch-training/sources/interactions.ts";

const folder = mkdtempSync(join(tmpdir(), "interactions-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const csv = "user,item,timestamp,value\nu1,a,100,2\nu2,b,200,1\nu1,b,300.5,4\n";

async function rowsOf(path: string): Promise<unknown[][]> {
  const users = new Vocabulary();
  const items = new Vocabulary();
  const { interactions } = await readInteractions(path, { users, items });
  return Array.from(interactions.user, (user, row) => [
    users.ids[user],
    items.ids[interactions.item[row] ?? -1],
    interactions.time[row],
    interactions.value[row],
  ]);
}

const expected = [
  ["u1", "a", 100, 2],
  ["u2", "b", 200, 1],
  ["u1", "b", 300.5, 4],
];

describe("the same log in every form", () => {
  it("reads CSV, TSV with other column names, and NDJSON, plain or gzip, with or without a byte order mark", async () => {
    expect(await rowsOf(file("a.csv", csv))).toEqual(expected);
    expect(await rowsOf(file("a.csv.gz", gzipSync(csv)))).toEqual(expected);
    expect(await rowsOf(file("bom.csv", `\uFEFF${csv}`))).toEqual(expected);
    const tsv = csv.replace("user,item,timestamp,value", "SessionId,ItemId,Time,rating").replaceAll(",", "\t");
    expect(await rowsOf(file("a.tsv", tsv))).toEqual(expected);
    const ndjson = expected.map(([userId, product_id, time, quantity]) =>
      JSON.stringify({ userId, product_id, time, quantity }),
    );
    expect(await rowsOf(file("a.ndjson.gz", gzipSync(ndjson.join("\n"))))).toEqual(expected);
  });

  it("reads Parquet", async () => {
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: "user", data: ["u1", "u2", "u1"], type: "STRING" },
        { name: "item", data: ["a", "b", "b"], type: "STRING" },
        { name: "timestamp", data: [100, 200, 300.5], type: "DOUBLE" },
        { name: "value", data: [2, 1, 4], type: "DOUBLE" },
      ],
    });
    expect(await rowsOf(file("a.parquet", new Uint8Array(buffer)))).toEqual(expected);
  });

  it("reads MovieLens rows and lists of items per user", async () => {
    expect(await rowsOf(file("u.data", "196\t242\t3\t881250949\n186\t302\t3\t891717742\n"))).toEqual([
      ["196", "242", 881_250_949, 3],
      ["186", "302", 891_717_742, 3],
    ]);
    expect(await rowsOf(file("r.dat", "1::31::2.5::1260759144\n"))).toEqual([["1", "31", 1_260_759_144, 2.5]]);
    expect(await rowsOf(file("train.txt", "0 5 6\n1 6\n"))).toEqual([
      ["0", "5", Number.NaN, 1],
      ["0", "6", Number.NaN, 1],
      ["1", "6", Number.NaN, 1],
    ]);
  });

  it("reads a shop's ledger and says why a line is no purchase", async () => {
    const ledger = [
      "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
      '536365,85123A,"HEART, HANGING",6,2010-12-01 08:26:00,2.55,17850,United Kingdom',
      "C536379,85123A,Discount,1,2010-12-01 09:41:00,27.5,14527,United Kingdom",
      "536365,POST,POSTAGE,1,2010-12-01 08:26:00,18,17850,France",
      "536366,22633,WARMER,6,2010-12-01 08:28:00,1.85,,United Kingdom",
      "536367,22633,WARMER,-2,2010-12-01 08:28:00,1.85,17850,United Kingdom",
      "536368,22633,WARMER,2,2010-12-01 08:28:00,0,17850,United Kingdom",
    ].join("\n");
    const path = file("retail.csv", ledger);
    const { format, refused, rows } = await readInteractions(path);
    expect([format, rows, Object.fromEntries(refused)]).toEqual([
      "online-retail",
      6,
      {
        cancellation: 1,
        "not a product": 1,
        "no customer": 1,
        "quantity not above 0": 1,
        "price not above 0": 1,
      },
    ]);
    expect(await rowsOf(path)).toEqual([["17850", "85123A", Date.UTC(2010, 11, 1, 8, 26) / 1000, 6]]);
  });
});

describe("rows that cannot be used", () => {
  it("are refused with a reason and counted, the others are kept", async () => {
    const rows = "user,item,timestamp,value\n,a,1,1\nu,,1,1\nu,a,soon,1\nu,a,1,-3\nu,a,1,x\nu,a,1,1\n";
    const reading = await readInteractions(file("bad.csv", rows));
    expect(reading.interactions.user.length).toBe(1);
    expect(Object.fromEntries(reading.refused)).toEqual({
      "no user": 1,
      "no item": 1,
      "unreadable time": 1,
      "value not above 0": 1,
      "unreadable value": 1,
    });
  });

  it("are counted where a user of a list has no items", async () => {
    const reading = await readInteractions(file("lists.txt", "0 5 6\n1\n2 \n3 5\n"));
    expect([reading.format, reading.interactions.user.length, Object.fromEntries(reading.refused)]).toEqual([
      "adjacency",
      3,
      { "no item": 2 },
    ]);
  });

  it("count once when they repeat user, item and time; the later value holds and a contradiction is counted", async () => {
    const reading = await readInteractions(
      file("twice.csv", "user,item,time,value\nu,a,1,3\nu,a,1,3\nu,a,1,5\nu,a,2,3\n"),
    );
    expect([...reading.interactions.value]).toEqual([5, 3]);
    expect([reading.repeated, reading.contradictory]).toEqual([2, 1]);
  });

  it("stay exact over thousands of near-identical rows", async () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => `u${i % 50},i${i % 40},${i % 30}`);
    const reading = await readInteractions(file("many.csv", `user,item,time\n${lines.join("\n")}\n`));
    expect(reading.interactions.user.length).toBe(new Set(lines).size);
    expect(reading.repeated).toBe(5_000 - new Set(lines).size);
  });
});

describe("files that cannot be read", () => {
  const failure = (path: string): Promise<string> =>
    readInteractions(path).then(
      () => "no error",
      (error: Error) => error.message,
    );

  it("say what is wrong and what to do", async () => {
    expect(await failure(join(folder, "none.csv"))).toMatch(/none\.csv: there is no such file/);
    expect(await failure(folder)).toMatch(/it is a folder/);
    expect(await failure(file("empty.csv", ""))).toMatch(/the file is empty/);
    expect(await failure(file("header.csv", "user,item,timestamp\n"))).toMatch(/no rows/);
    expect(await failure(file("other.csv", "a,b,c\n1,2,3\n"))).toMatch(/no user column among "a, b, c": name one user/);
    expect(await failure(file("all-bad.csv", "user,item,time\nu,a,soon\n"))).toMatch(
      /none of its 1 rows is usable: unreadable time \(1\)/,
    );
    expect(await failure(file("half.ndjson", '{"user":"u","item":"a"}\n{"user":'))).toMatch(/line 2/);
    expect(await failure(file("quote.csv", 'user,item,time\n"u,a,1\n'))).toMatch(/quote|cells/);
  });

  it("tell a gzip stream cut short from a broken one", async () => {
    const whole = gzipSync(Array.from({ length: 3_000 }, (_, i) => `u${i},i${i * 7},${i}`).join("\n"));
    const head = gzipSync("user,item,time\n");
    const both = Buffer.concat([head, whole]);
    expect(await failure(file("short.csv.gz", both.subarray(0, both.length - 20)))).toMatch(/ends too early/);
    const broken = Buffer.from(both);
    broken.fill(0, head.length + 200, head.length + 400);
    expect(await failure(file("broken.csv.gz", broken))).toMatch(/gzip stream/);
  });

  it("tell Parquet cut short", async () => {
    const path = file("cut.parquet", "PAR1 and then nothing of use");
    expect(await failure(path)).toMatch(/cut\.parquet: /);
  });
});

describe("times", () => {
  it.each([
    ["1396437466.94", 1_396_437_466.94],
    ["1396437466940", 1_396_437_466.94],
    ["1396437466940000", 1_396_437_466.94],
    ["1396437466940000000", 1_396_437_466.94],
    ["2010-12-01 08:26:00", Date.UTC(2010, 11, 1, 8, 26) / 1000],
    ["2010-12-01T08:26:00+01:00", Date.UTC(2010, 11, 1, 7, 26) / 1000],
    ["2010-12-01", Date.UTC(2010, 11, 1) / 1000],
    ["", Number.NaN],
    ["yesterday", Number.NaN],
  ])("%s", (text, seconds) => {
    expect(parseTime(text)).toBe(seconds);
  });
});
