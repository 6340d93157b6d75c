import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, describe, expect, it } from "vitest";
import { checkLoad, readLoad } from "../../../batch-training/features/read-load.ts";
import { FEATURE_CATALOG, FEATURE_SERVICES } from "../../../models/catalog/feature-catalog.ts";
import type { LoadedRow } from "../../../models/contract/api/feature-loads.ts";

const folder = mkdtempSync(join(tmpdir(), "read-load-"));
afterAll(() => rmSync(folder, { recursive: true }));
const COLUMNS = ["lifetime_value", "churn_probability"];
const AT = "2026-03-01T00:00:00.000Z";

async function read(name: string, content: string | Uint8Array, at: string | null = null): Promise<LoadedRow[]> {
  const file = join(folder, name);
  writeFileSync(file, content);
  const rows: LoadedRow[] = [];
  for await (const row of readLoad(file, COLUMNS, at)) rows.push(row);
  return rows;
}

const WANTED: LoadedRow[] = [
  { entity: "ann", at: AT, values: { lifetime_value: 120.5, churn_probability: 0.25 } },
  { entity: "bob", at: AT, values: { lifetime_value: 3, churn_probability: null } },
];

describe("files of values", () => {
  it("are read alike from CSV, NDJSON and Parquet", async () => {
    const csv = `entity,at,lifetime_value,churn_probability\nann,${AT},120.5,0.25\nbob,${AT},3,\n`;
    expect(await read("a.csv", csv)).toEqual(WANTED);
    const lines = WANTED.map(({ entity, at, values }) => JSON.stringify({ entity, at, ...values }));
    expect(await read("a.ndjson", lines.join("\n"))).toEqual(WANTED);
    const parquet = parquetWriteBuffer({
      columnData: [
        { name: "entity", data: WANTED.map((row) => row.entity) },
        { name: "lifetime_value", data: WANTED.map((row) => row.values["lifetime_value"]), type: "DOUBLE" },
        {
          name: "churn_probability",
          data: WANTED.map((row) => row.values["churn_probability"]),
          type: "DOUBLE",
          nullable: true,
        },
      ],
    });
    expect(await read("a.parquet", new Uint8Array(parquet), AT)).toEqual(WANTED);
  });

  it.each([
    [
      "cut off in the middle of a line",
      "half.ndjson",
      `{"entity":"ann","at":"${AT}","lifetime_value":1}\n{"enti`,
      /line 2/,
    ],
    ["with a row too short", "short.csv", `entity,at,lifetime_value\nann,${AT},1\nbob\n`, /line 3/],
    [
      "with text for a number",
      "text.csv",
      `entity,at,lifetime_value\nann,${AT},many\n`,
      /line 2.*lifetime_value is many/,
    ],
    ["with infinity", "inf.csv", `entity,at,lifetime_value\nann,${AT},Infinity\n`, /not a number/],
    ["with an unknown column", "col.csv", `entity,at,shoe_size\nann,${AT},44\n`, /no column shoe_size/],
    ["without times", "time.csv", `entity,lifetime_value\nann,1\n`, /--at/],
    ["without rows", "none.csv", `entity,at,lifetime_value\n`, /no rows/],
  ])("%s are refused with the place", async (_, name, content, message) => {
    await expect(read(name, content)).rejects.toThrow(message);
  });

  it("that are stale, empty or out of range fail the checks of the features that read them", () => {
    const group = FEATURE_CATALOG.groupByName("customer_profile@1");
    if (!group) throw new Error("the group is in the catalog");
    const now = Date.parse(AT) + 86_400_000;
    const found = (rows: LoadedRow[], at = now): string[] =>
      checkLoad(group, FEATURE_SERVICES, rows, at).findings.map(({ feature, check }) => `${feature} ${check}`);
    expect(found(WANTED)).toEqual([]);
    expect(found(WANTED, now + 30 * 86_400_000)).toEqual([
      "lifetime_value maxAgeSeconds",
      "churn_probability maxAgeSeconds",
    ]);
    const wrong = WANTED.map((row) => ({ ...row, values: { lifetime_value: -1, churn_probability: null } }));
    expect(found(wrong)).toEqual(["lifetime_value min", "churn_probability maxNullShare"]);
  });
});
