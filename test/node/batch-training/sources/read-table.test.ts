import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CsvSplitter } from "../../../../batch-training/sources/csv-splitter.ts";
import { readFrame } from "../../../../batch-training/sources/read-frame.ts";
import { readTable } from "../../../../batch-training/sources/read-table.ts";
import type { Cell } from "../../../../batch-training/sources/table.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tables-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Uint8Array): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

async function readAll(
  file: string,
): Promise<{ columns: readonly string[]; rows: (readonly Cell[])[]; lines: number[] }> {
  const table = await readTable(file);
  const rows: (readonly Cell[])[] = [];
  const lines: number[] = [];
  for await (const batch of table.batches) {
    for (const row of batch) {
      rows.push(row.cells);
      lines.push(row.line);
    }
  }
  return { columns: table.columns, rows, lines };
}

describe("CSV", () => {
  it("quotes, doubled quotes, line ends in cells, CRLF, a byte order mark and empty lines are read", async () => {
    const text = '\uFEFFa,b,c\r\n1,"x, ""y""\nz",3\r\n\r\n4,,"6"';
    const { columns, rows, lines } = await readAll(write("quotes.csv", text));
    expect(columns).toEqual(["a", "b", "c"]);
    expect(rows).toEqual([
      ["1", 'x, "y"\nz', "3"],
      ["4", "", "6"],
    ]);
    expect(lines).toEqual([2, 5]);
  });

  it.each([";", "\t", "|"])("delimiter %j follows from the header", async (delimiter) => {
    const text = `${["a", "b,c", "d"].join(delimiter)}\n${["1", "2,5", "3"].join(delimiter)}`;
    expect(await readAll(write("delimiter.csv", text))).toMatchObject({
      columns: ["a", "b,c", "d"],
      rows: [["1", "2,5", "3"]],
    });
  });

  it("any cells survive any cutting of the bytes into chunks", () => {
    const cell = fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\r", " ", "é") });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 8 }), fc.array(fc.nat(80)), (rows, cuts) => {
        const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;
        const text = ["x,y", ...rows.map((row) => row.map(quote).join(","))].join("\n") + "\n";
        const splitter = new CsvSplitter("f.csv");
        const places = [0, ...cuts.map((cut) => cut % text.length).sort((a, b) => a - b), text.length];
        const read = places.flatMap((place, i) => splitter.push(text.slice(place, places[i + 1] ?? text.length)));
        expect([...read, ...splitter.end()].map((row) => row.cells)).toEqual(rows);
      }),
    );
  });

  it.each([
    ["a,b\n1,2\n3", /line 3: 1 cells where the header has 2 .*cut off/],
    ["a,b\n1,2,3\n", /line 2: 3 cells where the header has 2$/],
    ['a,b\n1,"2', /line 2: a quoted cell is never closed/],
    ['a,b\n1,"2"3\n', /line 2: text after the closing quote/],
    ["a,a\n1,2\n", /two columns are named "a"/],
    ["a,\n1,2\n", /column 2 has no name/],
    ["", /the file is empty/],
  ])("%j is refused where it is wrong", async (text, message) => {
    await expect(readAll(write("wrong.csv", text))).rejects.toThrow(message);
  });

  it("a file without line ends is refused before it fills the memory", () => {
    const splitter = new CsvSplitter("f.csv");
    splitter.push("a,b\n");
    expect(() => {
      for (let i = 0; i < 100; i++) splitter.push("x".repeat(100_000));
    }).toThrow(/more than 1048576 characters/);
  });
});

describe("NDJSON", () => {
  it("keys of the first object name the columns; absent keys are missing", async () => {
    const { columns, rows } = await readAll(write("a.ndjson", '{"a":1,"b":"x"}\n{"b":null}\n\n{"a":true,"b":"y"}'));
    expect(columns).toEqual(["a", "b"]);
    expect(rows).toEqual([
      [1, "x"],
      [null, null],
      [true, "y"],
    ]);
  });

  it.each([
    ['{"a":1}\n{"b":2}', /line 2, column "b": a key that the first line does not have/],
    ['{"a":1}\n{"a":[1]}', /line 2, column "a": a list or object/],
    ['{"a":1}\n{"a":', /line 2: not a JSON value .*cut off/],
    ["[1]", /line 1: each line is one JSON object/],
  ])("%j is refused where it is wrong", async (text, message) => {
    await expect(readAll(write("wrong.ndjson", text))).rejects.toThrow(message);
  });
});

describe("gzip and Parquet", () => {
  const csv = `a,b\n${Array.from({ length: 20_000 }, (_, i) => `${i},x${i % 7}`).join("\n")}\n`;

  it("gzip is recognised by its bytes, and a cut or damaged stream is an error, not a short file", async () => {
    const zipped = gzipSync(csv);
    expect((await readAll(write("a.csv", zipped))).rows).toHaveLength(20_000);
    await expect(readAll(write("cut.csv.gz", zipped.subarray(0, zipped.length / 2)))).rejects.toThrow(/cut off/);
    const damaged = Uint8Array.from(zipped);
    damaged.fill(7, 2000, 2100);
    await expect(readAll(write("damaged.csv.gz", damaged))).rejects.toThrow(/damaged|not UTF-8|cells/);
  });

  it("Parquet gives the same rows as CSV, nulls and large integers included", async () => {
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: "a", data: [1, 2, null], type: "DOUBLE" },
        { name: "b", data: ["x", null, "z"], type: "STRING" },
        { name: "c", data: [5n, 2n ** 60n, null], type: "INT64" },
      ],
    });
    const { columns, rows } = await readAll(write("a.parquet", new Uint8Array(buffer)));
    expect(columns).toEqual(["a", "b", "c"]);
    expect(rows).toEqual([
      [1, "x", 5],
      [2, null, String(2n ** 60n)],
      [null, "z", null],
    ]);
  });

  it("a cut Parquet file, a missing file, a folder and an unknown name are refused", async () => {
    await expect(readAll(write("cut.parquet", "PAR1xx"))).rejects.toThrow(/no readable Parquet file/);
    await expect(readAll(join(folder, "none.csv"))).rejects.toThrow(/no such file/);
    await expect(readAll(write("a.xyz", "a"))).rejects.toThrow(/unknown format/);
    await expect(readAll(write("latin.csv", Uint8Array.of(97, 10, 0xe9, 10)))).rejects.toThrow(/not UTF-8/);
  });
});

describe("frames", () => {
  it("columns of numbers, dates and texts get their kinds; missing marks are missing", async () => {
    const text =
      "n,d,t,m\n1,2020-01-01,x,1\n?,2020-01-02 12:00:00,NA,b\n-2.5e3,,y,3\ninf,2020-01-01T00:00:00+01:00,x,\n";
    const frame = await readFrame(write("kinds.csv", text));
    expect(frame.rows).toBe(4);
    const [n, d, t, m] = frame.columns;
    expect(n).toEqual({
      name: "n",
      kind: "numeric",
      values: Float64Array.of(1, Number.NaN, -2500, Number.POSITIVE_INFINITY),
      isTime: false,
    });
    const day = Date.UTC(2020, 0, 1);
    expect(d).toMatchObject({ kind: "numeric", isTime: true });
    expect(d?.values).toEqual(Float64Array.of(day, day + 36 * 3_600_000, Number.NaN, day - 3_600_000));
    expect(t).toEqual({
      name: "t",
      kind: "categorical",
      values: Float64Array.of(0, Number.NaN, 1, 0),
      vocabulary: ["x", "y"],
    });
    expect(m?.kind).toBe("categorical");
  });

  it("a later file keeps kinds and codes: an unseen category is missing, a text for a number an error with its place", async () => {
    const first = await readFrame(write("first.csv", "n,t\n1,x\n2,y\n"));
    const later = await readFrame(write("later.csv", "t,n\ny,5\nz,6\n"), { like: first });
    expect(later.columns.find((column) => column.name === "t")?.values).toEqual(Float64Array.of(1, Number.NaN));
    await expect(readFrame(write("bad.csv", "n,t\n1,x\noops,y\n"), { like: first })).rejects.toThrow(
      /line 3, column "n": "oops" is not a number/,
    );
    await expect(readFrame(write("less.csv", "n\n1\n"), { like: first })).rejects.toThrow(/no column "t"/);
    await expect(readFrame(write("empty.csv", "n,t\n"))).rejects.toThrow(/no rows/);
  });
});
