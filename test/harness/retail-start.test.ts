/** `npm start -- --once --retail DIR` over a ledger that is written here: imported, learned from, recommended. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, inject, it } from "vitest";
import { LocalState } from "../../batch-training/local/local-state.ts";
import { retailHistory } from "../../batch-training/local/retail-history.ts";
import { runLocalSystem } from "../../batch-training/local/run-local-system.ts";
import { simulateShop } from "../../batch-training/simulator/simulate-shop.ts";

const folder = mkdtempSync(join(tmpdir(), "edgewise-retail-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the simulated shop sold, as a till would list it: numbers only, no categories, no visits. */
function ledger(): string[] {
  const shop = simulateShop({ seed: "3", scale: 0.2, end: Date.parse("2026-01-26T00:00:00Z") });
  const number = (id: string, from: number): number => from + Number(id.split("-").at(-1));
  return Array.from(shop.events(), ({ event }) => event).flatMap((event) => {
    if (event.type !== "order.placed.v1") return [];
    const { orderId, customerId, placedAt, lines } = event.data;
    const time = placedAt.slice(0, 19).replace("T", " ");
    return lines.map(({ productId, quantity, unitPrice }) =>
      [
        number(orderId, 100_000),
        number(productId, 10_000),
        "ARTICLE",
        quantity,
        time,
        (unitPrice.amount / 100).toFixed(2),
        number(customerId, 10_000),
        "Germany",
      ].join(","),
    );
  });
}

describe("a start on real purchases", () => {
  it("imports every row or says why not, trains, promotes, and recommends to a customer by the model", async () => {
    const sold = ledger();
    const broken = [
      "C536379,10001,ARTICLE,-1,2026-01-20 09:41:00,27.50,10001,Germany",
      "536380,10001,ARTICLE,1,2026-01-20 09:41:00,27.50,,Germany",
      "536381,10001,ARTICLE,1,tomorrow,27.50,10001,Germany",
    ];
    const data = join(folder, "data");
    mkdirSync(data);
    const header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";
    writeFileSync(join(data, "ledger.csv.gz"), gzipSync([header, ...sold, ...broken].join("\n")));
    const state = new LocalState(join(folder, "state"));
    const wanted = { source: "retail", seed: 7, scale: 1, end: Date.now(), folder: data, days: null } as const;
    const parameters = state.parameters(wanted);
    const errors: string[] = [];
    const { edge, summary } = await runLocalSystem({
      state,
      serverFile: join(folder, "server.json"),
      parameters,
      history: await retailHistory(parameters),
      port: 0,
      codeVersion: "harness",
      workers: inject("workers"),
      onStage: () => {},
      onLog: (line, level) => {
        if (level === "error") errors.push(line);
      },
    });
    await edge.stop();
    expect(summary.import).toMatchObject({
      rows: sold.length + broken.length,
      acceptedRows: sold.length,
      refusedRows: { cancellation: 1, "no customer": 1, "unreadable time": 1 },
    });
    expect(summary.events).toMatchObject({ refused: 0, unapplied: 0 });
    expect([summary.training, summary.plain, summary.visits]).toEqual([null, null, null]);
    const { training, modelVersion, shown } = summary.recommender ?? {};
    expect(training).toMatchObject({ state: "published", version: modelVersion });
    expect(training?.gates.every(({ passed }) => passed)).toBe(true);
    expect(shown?.answer).toMatchObject({ modelVersion, arm: "recommender", degraded: [] });
    expect(shown?.answer.items).toHaveLength(10);
    // A till tells of purchases only: what somebody bought before is bought again.
    expect(shown?.answer.items.map(({ source }) => source)).toContain("repeat");
    expect(errors).toEqual([]);
  }, 180_000);
});
