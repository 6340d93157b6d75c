import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { planRetailImport, RetailFileError } from "../../../../batch-training/sources/online-retail.ts";
import { eventSchema, type InboundEvent } from "../../../../models/contract/events.ts";

const folder = mkdtempSync(join(tmpdir(), "online-retail-"));
afterAll(() => rmSync(folder, { recursive: true }));
const NOW = Date.parse("2026-11-20T12:00:00Z");
const WEEK = 7 * 86_400_000;
const HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

let files = 0;
function ledger(rows: readonly string[], header = HEADER): string {
  const file = join(folder, `ledger-${files++}.csv.gz`);
  writeFileSync(file, gzipSync([header, ...rows].join("\n")));
  return file;
}

const rows = [
  "536365,85123A,WHITE HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom",
  "536365,71053,WHITE LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom",
  "536366,85123a,,2,2010-12-03 09:00:00,2.55,17850,United Kingdom",
  "536400,22633,HAND WARMER,1,2011-02-01 09:00:00,1.85,13047,United Kingdom",
  "C536379,D,Discount,-1,2010-12-01 09:41:00,27.50,14527.0,United Kingdom",
  "536370,POST,POSTAGE,3,2010-12-01 08:45:00,18.00,12583.0,France",
  "536544,21773,ROSE,1,2010-12-01 14:32:00,2.51,,United Kingdom",
  "536545,21134,,1,2010-12-01 14:32:00,0.00,17850,United Kingdom",
  "536546,21134,X,-2,2010-12-01 14:32:00,1.00,17850,United Kingdom",
  "536547,21134,X,80995,2010-12-01 14:32:00,1.00,17850,United Kingdom",
  "536548,21134,X,1,yesterday,1.00,17850,United Kingdom",
];

describe("real purchases as events", () => {
  it("accept or refuse every row, with a reason", async () => {
    const plan = await planRetailImport(ledger(rows), NOW);
    expect(plan).toMatchObject({ rows: 11, accepted: 4, customers: 2, products: 3, orders: 3 });
    expect(plan.refused).toEqual({
      cancellation: 1,
      "not a product": 1,
      "no customer": 1,
      "price not above 0": 1,
      "quantity not above 0": 1,
      "quantity above 10000": 1,
      "unreadable time": 1,
    });
    const refused = Object.values(plan.refused).reduce((sum, count) => sum + count, 0);
    expect(plan.accepted + refused).toBe(plan.rows);
  });

  it("obey the contract, rise in time and are the same at each call", async () => {
    const plan = await planRetailImport(ledger(rows), NOW);
    const events = [...plan.events()];
    for (const event of events) eventSchema(event.type).parse(event);
    const times = events.map(({ time }) => Date.parse(time));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect([...plan.events()]).toEqual(events);
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  });

  it("move by whole weeks to end within the last one, and say by how much", async () => {
    const plan = await planRetailImport(ledger(rows), NOW);
    const last = Date.parse([...plan.events()].at(-1)?.time ?? "");
    expect(plan.offsetMs % WEEK).toBe(0);
    expect(last).toBeLessThanOrEqual(NOW);
    expect(NOW - last).toBeLessThan(WEEK);
    expect(new Date(last).getUTCDay()).toBe(new Date("2011-02-01T09:00:00Z").getUTCDay());
  });

  it("announce a product before it is bought, as new only when it came later", async () => {
    const events = [...(await planRetailImport(ledger(rows), NOW)).events()];
    const announced = new Map<string, InboundEvent>();
    for (const event of events) {
      if (event.type === "catalog.product.updated.v1") announced.set(event.data.productId, event);
      if (event.type === "order.placed.v1")
        for (const { productId } of event.data.lines) expect(announced.has(productId)).toBe(true);
    }
    // The same product in other letters is the same product.
    expect([...announced.keys()]).toEqual(["prd-71053", "prd-85123A", "prd-22633"]);
    expect(announced.get("prd-85123A")?.data).not.toHaveProperty("publishedAt");
    expect(announced.get("prd-22633")?.data).toHaveProperty("publishedAt");
  });

  it("make several orders of an invoice that is longer than an order may be, and lose no line", async () => {
    const long = Array.from({ length: 450 }, (_, at) => `1,${10_000 + at},X,1,2011-01-01 10:00:00,1.00,5,UK`);
    const plan = await planRetailImport(ledger(long), NOW);
    const orders = [...plan.events()].filter((event) => event.type === "order.placed.v1");
    expect(orders.map((order) => order.data.lines.length)).toEqual([200, 200, 50]);
    expect(new Set(orders.map((order) => order.data.orderId)).size).toBe(3);
  });

  it.each([
    ["no such folder", () => join(folder, "missing"), /there is no such folder/],
    ["a folder of several files", () => folder, /name the one to import/],
    ["another file", () => ledger(["1,2"], "a,b"), /no user column/],
    [
      "missing prices",
      () => ledger(["1,85123A,2,2010-12-01,3"], "InvoiceNo,StockCode,Quantity,InvoiceDate,CustomerID"),
      /no column for price/,
    ],
    [
      "nothing usable",
      () => ledger(["C1,85123A,X,1,2010-12-01 08:00,1,5,UK"]),
      /none of its 1 rows is a purchase: 1 cancellation/,
    ],
  ])("refuse %s in words", async (_, path, message) => {
    ledger(rows);
    await expect(planRetailImport(path(), NOW)).rejects.toThrow(message);
    await expect(planRetailImport(path(), NOW)).rejects.toThrow(RetailFileError);
  });

  it("say so when the file is cut short", async () => {
    const file = join(folder, "cut.csv.gz");
    writeFileSync(file, gzipSync([HEADER, ...rows].join("\n")).subarray(0, 150));
    await expect(planRetailImport(file, NOW)).rejects.toThrow(RetailFileError);
  });
});
