import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RefusedRow } from "../../../../batch-training/sources/cards/read-card-rows.ts";
import { TransactionIds } from "../../../../batch-training/sources/cards/transaction-ids.ts";
import { type CardImport, planCardImport } from "../../../../batch-training/sources/handbook-cards.ts";
import { eventSchema, type InboundEvent } from "../../../../models/contract/events.ts";
import { DATA_SETS, DATA_SETS_HINT } from "../../../support/data-sets.ts";

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 20, 9, 0);
const HEADER = "TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD,TX_FRAUD_SCENARIO";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "edgewise-cards-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

let files = 0;
async function file(content: string | Uint8Array, name = `f${++files}.csv`): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const csv = (...rows: string[]): string => [HEADER, ...rows, ""].join("\n");

async function all(plan: CardImport): Promise<InboundEvent[]> {
  const events: InboundEvent[] = [];
  for await (const event of plan.events()) events.push(event);
  return events;
}

/** A month of transactions, every twentieth a fraud. */
function month(count = 600): string {
  return csv(
    ...Array.from({ length: count }, (_, index) => {
      const time = new Date(Date.UTC(2018, 3, 1) + (index * 30 * DAY_MS) / count).toISOString();
      return `${1_000 + index},${time.slice(0, 10)} ${time.slice(11, 19)},${index % 7},${index % 5},${10 + index}.5,${index % 20 === 0 ? 1 : 0},9`;
    }),
  );
}

describe("every accepted row becomes a payment, every fraud a chargeback", () => {
  it("with the fields of the row, and nothing of the scenario", async () => {
    const path = await file(
      csv("288062,2018-05-01 00:01:21,3546,2944,18.71,1,2", "288063,2018-05-15 12:00:00,206,3521,5,0,0"),
    );
    const plan = await planCardImport({ path, now: NOW });
    const [paid, chargeback, second] = await all(plan);
    const placedAt = new Date(Date.UTC(2018, 4, 1, 0, 1, 21) + plan.offsetMs).toISOString();
    expect(paid).toEqual({
      specversion: "1.0",
      id: "tx-288062",
      source: "/import/handbook-cards",
      type: "order.paid.v1",
      time: placedAt,
      recordedtime: placedAt,
      data: {
        order: {
          orderId: "hb-tx-288062",
          customerId: "hb-cus-3546",
          terminalId: "hb-trm-2944",
          channel: "store",
          placedAt,
          total: { amount: 1_871, currency: "EUR" },
          lines: [],
          payment: { method: "card", cardId: "hb-card-3546" },
        },
        paidAt: placedAt,
      },
    });
    expect(chargeback).toMatchObject({
      id: "cb-288062",
      type: "payment.chargeback.v1",
      data: { orderId: "hb-tx-288062", orderPlacedAt: placedAt, reason: "fraud", amount: { amount: 1_871 } },
    });
    expect(second).toMatchObject({ id: "tx-288063", data: { order: { total: { amount: 500 } } } });
  });

  it("in time order, each valid by its contract, reported after one to seven days", async () => {
    const plan = await planCardImport({ path: await file(month()), now: NOW });
    const events = await all(plan);
    const times = events.map((event) => Date.parse(event.time));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    for (const event of events) expect(eventSchema(event.type).safeParse(event).error).toBeUndefined();
    const delays = events.flatMap((event) =>
      event.type === "payment.chargeback.v1" ? [Date.parse(event.time) - Date.parse(event.data.orderPlacedAt)] : [],
    );
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(DAY_MS);
    expect(Math.max(...delays)).toBeLessThan(7 * DAY_MS);
    expect(plan.made).toMatchObject({ leftOut: 0, transactions: 600, frauds: 30 });
    expect(plan.made.chargebacks + plan.made.unreported).toBe(30);
    expect(delays.length).toBe(plan.made.chargebacks);
  });

  it("the same each time it is read, and whatever else is in the files", async () => {
    const plan = await planCardImport({ path: await file(month()), now: NOW });
    const first = await all(plan);
    expect(await all(plan)).toEqual(first);
    const half = await planCardImport({
      path: await file(
        month()
          .split("\n")
          .filter((_, index) => index % 2 === 1 || index === 0)
          .join("\n"),
      ),
      now: NOW,
    });
    const known = new Map(first.map((event) => [event.id, event]));
    for (const event of await all(half)) {
      const earlier = known.get(event.id);
      expect(event.type === "payment.chargeback.v1" ? earlier?.time : event.time).toBe(event.time);
    }
  });

  it("rounds amounts that were computed to the cent", async () => {
    const path = await file(csv("1,2018-05-01 00:00:00,1,1,444.79999999999995,0,3", "2,2018-05-01 00:00:01,1,1,0,0,0"));
    const events = await all(await planCardImport({ path, now: NOW }));
    expect(events.map((event) => event.type === "order.paid.v1" && event.data.order.total.amount)).toEqual([44_480, 0]);
  });
});

describe("times", () => {
  it("are shifted by whole weeks, so that the last falls into the week before now", async () => {
    for (const now of [NOW, NOW + 3 * DAY_MS, NOW + 100 * DAY_MS, Date.UTC(2018, 5, 1)]) {
      const plan = await planCardImport({ path: await file(month(50)), now });
      expect(plan.offsetMs % (7 * DAY_MS)).toBe(0);
      expect(now - plan.to).toBeGreaterThanOrEqual(0);
      expect(now - plan.to).toBeLessThan(7 * DAY_MS);
      const events = await all(plan);
      expect(Math.max(...events.map((event) => Date.parse(event.time)))).toBeLessThanOrEqual(now);
    }
  });

  it("may be limited to the last days, and what is left out is counted", async () => {
    const plan = await planCardImport({ path: await file(month()), now: NOW, days: 10 });
    const payments = (await all(plan)).filter((event) => event.type === "order.paid.v1");
    expect(payments.length).toBe(200);
    expect(plan.made).toMatchObject({ leftOut: 400, transactions: 200 });
    expect(plan.read).toMatchObject({ rows: 600, accepted: 600 });
    expect(Date.parse(payments[0]?.time ?? "")).toBeGreaterThanOrEqual(plan.from);
  });

  it.each([0, -1, 1.5, Number.NaN])("cannot be limited to %d days", async (days) => {
    await expect(planCardImport({ path: await file(month(5)), now: NOW, days })).rejects.toThrow(RangeError);
  });

  it("that span more than is kept are refused, with the remedy", async () => {
    const path = await file(csv("1,2016-05-01 00:00:00,1,1,1,0,0", "2,2018-05-01 00:00:00,1,1,1,0,0"));
    await expect(planCardImport({ path, now: NOW })).rejects.toThrow("--days 365");
    expect((await planCardImport({ path, now: NOW, days: 365 })).read.accepted).toBe(2);
  });
});

describe("bad input", () => {
  it("refuses rows one by one, each with its line and its reason", async () => {
    const good = "1,2018-05-01 00:00:00,7,9,10.00,0,0";
    const rows: [row: string, reason: RefusedRow["reason"] | null][] = [
      [good, null],
      ["2,2018-05-01 00:00:01,7,9,10.00,0", "wrong-number-of-fields"],
      ["3,2018-05-01 00:00:01,7,9,10.00,0,0,0", "wrong-number-of-fields"],
      ["x,2018-05-01 00:00:01,7,9,10.00,0,0", "bad-id"],
      ["-4,2018-05-01 00:00:01,7,9,10.00,0,0", "bad-id"],
      ["99999999999999999,2018-05-01 00:00:01,7,9,10.00,0,0", "bad-id"],
      ["1,2018-05-02 00:00:01,8,9,11.00,1,0", "duplicate-id"],
      ["5,2018-02-30 00:00:01,7,9,10.00,0,0", "bad-time"],
      ["6,2018-05-01 24:00:01,7,9,10.00,0,0", "bad-time"],
      ["7,yesterday,7,9,10.00,0,0", "bad-time"],
      ["8,2018-05-01 00:00:01,,9,10.00,0,0", "bad-customer"],
      ["9,2018-05-01 00:00:01,7,a/b,10.00,0,0", "bad-terminal"],
      ["10,2018-05-01 00:00:01,7,9,-10.00,0,0", "bad-amount"],
      ["11,2018-05-01 00:00:01,7,9,1e3,0,0", "bad-amount"],
      ["12,2018-05-01 00:00:01,7,9,99999999999.99,0,0", "bad-amount"],
      ["13,2018-05-01 00:00:01,7,9,10.00,maybe,0", "bad-label"],
      ['"14",2018-05-01T00:00:02,7,9," 10.00 ",1,0', null],
    ];
    const heard: RefusedRow[] = [];
    const path = await file(csv(...rows.map(([row]) => row)));
    const plan = await planCardImport({ path, now: NOW, onRefused: (row) => heard.push(row) });
    const expected = rows.flatMap(([, reason], index) =>
      reason === null ? [] : [{ file: path, line: index + 2, reason }],
    );
    expect(heard).toEqual(expected);
    expect(plan.refusedRows).toEqual(expected);
    expect(plan.read).toMatchObject({ rows: rows.length, accepted: 2, refused: rows.length - 2 });
    expect(Object.values(plan.read.refusedBy).reduce((sum, count) => sum + count, 0)).toBe(rows.length - 2);
    expect((await all(plan)).map((event) => event.id)).toEqual(["tx-1", "tx-14"]);
    // The last week's frauds are not all reported yet.
    expect(plan.made).toMatchObject({ transactions: 2, frauds: 1, chargebacks: 0, unreported: 1 });
  });

  it("a duplicate id in another file is refused too", async () => {
    await mkdir(join(folder, "two"));
    await file(csv("1,2018-05-01 00:00:00,1,1,1,0,0"), "two/a.csv");
    await file(gzipSync(csv("1,2018-05-01 00:00:00,1,1,1,0,0", "2,2018-05-01 00:00:00,1,1,1,0,0")), "two/b.csv.gz");
    const plan = await planCardImport({ path: join(folder, "two"), now: NOW });
    expect(plan.refusedRows).toEqual([{ file: join(folder, "two/b.csv.gz"), line: 2, reason: "duplicate-id" }]);
    expect(await all(plan)).toHaveLength(2);
  });

  it("rows out of order are sent, and counted", async () => {
    const path = await file(csv("1,2018-05-02 00:00:00,1,1,1,0,0", "2,2018-05-01 00:00:00,1,1,1,0,0"));
    const plan = await planCardImport({ path, now: NOW });
    expect(plan.read.outOfOrder).toBe(1);
    expect(await all(plan)).toHaveLength(2);
  });

  it("a folder's files with other columns are named, not read", async () => {
    await mkdir(join(folder, "mixed"));
    await file("a,b\n1,2\n", "mixed/features.csv");
    await file("about the data", "mixed/README.md");
    await file(month(10), "mixed/z.csv");
    const plan = await planCardImport({ path: join(folder, "mixed"), now: NOW });
    expect(plan.files).toEqual([join(folder, "mixed/z.csv")]);
    expect(plan.otherFiles).toMatchObject([{ file: join(folder, "mixed/features.csv") }]);
    expect(plan.read.rows).toBe(10);
  });

  it("what is no file of card transactions is an error that says why", async () => {
    const gzip = gzipSync(month());
    const nested = join(folder, "none");
    await mkdir(nested);
    const cases: [path: string, message: RegExp][] = [
      [join(folder, "absent.csv"), /no such file/],
      [nested, /no file that ends in \.csv/],
      [await file(""), /is empty/],
      [await file(gzipSync(""), "empty.csv.gz"), /is empty/],
      [await file(`${HEADER}\n`), /no row was accepted/],
      [await file(csv("1,never,1,1,1,0,0")), /no row was accepted, 1 were refused/],
      [
        await file("TRANSACTION_ID,TX_DATETIME\n1,2018-05-01 00:00:00\n"),
        /no column CUSTOMER_ID, TERMINAL_ID, TX_AMOUNT, TX_FRAUD/,
      ],
      [await file(gzip.subarray(0, gzip.length - 200), "cut.csv.gz"), /cut off.*after line \d+/],
      [await file("not gzip at all", "wrong.csv.gz"), /not a sound gzip file/],
      [await file(csv("1,2018-05-01 00:00:00,1,1,1,0,0", `"2,${"x".repeat(10_000)}`)), /not CSV any more/],
    ];
    for (const [path, message] of cases)
      await expect(planCardImport({ path, now: NOW }), path).rejects.toThrow(message);
  });

  it("ids may be far apart, within bounds", () => {
    const ids = new TransactionIds();
    expect([5, 5, 2 ** 53 - 1, 0, 2 ** 53 - 1, 31, 32, 5].map((id) => ids.add(id))).toEqual([
      true,
      false,
      true,
      true,
      false,
      true,
      true,
      false,
    ]);
    const sparse = (): void => {
      for (let index = 0; index < 70_000; index++) ids.add(index * 1_000_000);
    };
    expect(sparse).toThrow(RangeError);
  });
});

describe(`the Handbook's own data${DATA_SETS_HINT}`, () => {
  it.skipIf(DATA_SETS === null)("is read without a refusal, with the counts that its description states", async () => {
    const plan = await planCardImport({ path: join(DATA_SETS ?? "", "fraud-handbook-cards"), now: NOW });
    expect(plan.read).toEqual({ rows: 948_636, accepted: 948_636, refused: 0, refusedBy: {}, outOfOrder: 0 });
    expect(plan.otherFiles).toHaveLength(1);
    let last = 0;
    for await (const event of plan.events()) {
      const time = Date.parse(event.time);
      if (time < last) throw new Error(`${event.id} is out of order`);
      last = time;
    }
    expect(plan.made).toMatchObject({ leftOut: 0, transactions: 948_636, frauds: 8_389 });
    expect(plan.made.chargebacks).toBeGreaterThan(7_500);
  });
});
