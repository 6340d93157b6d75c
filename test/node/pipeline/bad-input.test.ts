/** What people train on by mistake: each ends with a clear error or a right result, and never with a published model that is wrong. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { fraudModel } from "../../../batch-training/pipeline/fraud/fraud-model.ts";
import { runPipeline } from "../../../batch-training/pipeline/run-pipeline.ts";
import { emptyRegistry, fileLog } from "../../../batch-training/pipeline/sources.ts";
import { RunRecords } from "../../../batch-training/pipeline/run-record.ts";
import type { PipelineEvent } from "../../../batch-training/pipeline/deps.ts";
import { smallShop } from "../../harness/small-shop.ts";
import { MemoryFiles } from "../../support/memory-files.ts";
import { RecordingPublisher, tinyDeps } from "../../support/tiny-model.ts";

const DAY_MS = 86_400_000;
const folder = mkdtempSync(join(tmpdir(), "edgewise-bad-input-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface StoredLine {
  readonly type: string;
  readonly time: string;
  data: Record<string, unknown>;
  ingestedAt: number;
}

const good: StoredLine[] = [...smallShop({ seed: 4, end: Date.UTC(2026, 10, 1) }).events()].map((event) => ({
  ...(event as unknown as StoredLine),
  tenant: "default",
  ingestedAt: Date.parse(event.time) + 2_000,
}));
const textOf = (lines: readonly unknown[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join("");

let files = 0;
/** Trains on a log of this content with the fraud model's own definition, few trees. */
async function train(content: string | Uint8Array, options: { name?: string; stopAt?: string } = {}) {
  const path = join(folder, `${files++}${options.name ?? ".ndjson"}`);
  writeFileSync(path, content);
  const publisher = new RecordingPublisher();
  const disk = new MemoryFiles();
  const stop = new AbortController();
  const deps = {
    ...tinyDeps(disk, { publisher, signal: stop.signal }),
    report: (event: PipelineEvent) => {
      if (event.type === "progress" && event.stage === options.stopAt && event.done > 2) stop.abort();
    },
  };
  const definition = fraudModel({ log: fileLog([path]), registry: emptyRegistry, maturityMs: 14 * DAY_MS });
  const run = runPipeline(definition, deps, { seed: 1, parameters: { trees: 60, threads: 1 } });
  const outcome = await run.then(
    ({ record }) => ({ record, error: null }),
    (error: unknown) => ({ record: null, error: error as Error }),
  );
  const [record] = await new RunRecords(disk, "/home").list();
  return { ...outcome, record: outcome.record ?? record ?? null, published: publisher.published };
}

const mapped = (change: (line: StoredLine) => StoredLine | null): string =>
  textOf(good.flatMap((line) => change(structuredClone(line)) ?? []));

describe("training on bad input", () => {
  it("a good log passes, so that what follows fails for its own reason", async () => {
    const { record, published } = await train(textOf(good));
    expect(record).toMatchObject({ state: "published", reasons: [] });
    expect(published).toHaveLength(1);
    // Constant columns are no fault: they are named and never split on.
    expect(record?.notes.map(({ text }) => text).join()).toContain("never split on: line_count, item_count");
  });

  it("one class only: no chargeback, or nothing else", async () => {
    const none = await train(mapped((line) => (line.type === "payment.chargeback.v1" ? null : line)));
    expect(none.record).toMatchObject({ state: "refused", version: null });
    expect(none.record?.reasons.join()).toContain("no chargeback: every label would be the same");
    const orders = good.filter(({ type }) => type === "order.placed.v1");
    const all = orders.flatMap((line, i) => [
      line,
      {
        ...line,
        id: `cb-${i}`,
        type: "payment.chargeback.v1",
        time: new Date(Date.parse(line.time) + DAY_MS).toISOString(),
        ingestedAt: line.ingestedAt + DAY_MS,
        data: {
          orderId: line.data["orderId"],
          customerId: line.data["customerId"],
          orderPlacedAt: line.data["placedAt"],
          amount: line.data["total"],
          reason: "fraud",
        },
      },
    ]);
    const every = await train(textOf(all.toSorted((a, b) => a.ingestedAt - b.ingestedAt)));
    expect(every.published).toEqual([]);
    expect(every.record?.state).toBe("refused");
    expect(every.record?.reasons.join()).toMatch(/^0 of \d+ orders of the train slice are honest; 20 are needed/);
  });

  it("no orders, too few frauds, and nothing mature are refused with what to do", async () => {
    const empty = await train(mapped((line) => (line.type === "order.paid.v1" ? line : null)));
    expect(empty.record?.reasons.join()).toContain("no order among them: ingest orders first");
    const young = await train(mapped((line) => (Date.parse(line.time) > Date.UTC(2026, 9, 22) ? line : null)));
    expect(young.record?.reasons.join()).toMatch(/none of \d+ orders is older than 14 days/);
    let kept = 0;
    const few = await train(mapped((line) => (line.type !== "payment.chargeback.v1" || kept++ < 30 ? line : null)));
    expect(few.record?.reasons.join()).toMatch(/slice has \d+ known frauds among \d+ orders; 20 are needed/);
    for (const { published, record } of [empty, young, few]) {
      expect(published).toEqual([]);
      expect(record?.state).toBe("refused");
    }
  });

  it("infinite amounts are refused by the feature's own checks", async () => {
    let at = 0;
    const broken = mapped((line) => {
      // JSON has no infinity, but a number that is none in float32.
      if (line.type === "order.placed.v1" && at++ === 500) line.data["total"] = { amount: 1e300, currency: "EUR" };
      return line;
    });
    const { record, published } = await train(broken);
    expect(record?.state).toBe("refused");
    expect(record?.reasons.join()).toMatch(/amount: 1 values are infinite/);
    expect(published).toEqual([]);
  });

  it("a field that tells the label is refused by name: accounts that are new exactly when it was fraud", async () => {
    const frauds = new Set(
      good.flatMap(({ type, data }) => (type === "payment.chargeback.v1" ? [data["orderId"] as string] : [])),
    );
    const leaking = mapped((line) => {
      if (line.type !== "order.placed.v1") return line;
      const days = frauds.has(line.data["orderId"] as string) ? 1 : 400;
      const registered = Date.parse(line.data["placedAt"] as string) - days * DAY_MS;
      line.data["customerRegisteredAt"] = new Date(registered).toISOString();
      return line;
    });
    const { record, published } = await train(leaking);
    expect(record?.state).toBe("refused");
    expect(record?.reasons.join()).toContain("the label can be read off account_age_days (ROC AUC 1.00000)");
    expect(published).toEqual([]);
  });

  it("every label moved to a random order leaves nothing to learn, and the gates say so", async () => {
    const orders = good.filter(({ type }) => type === "order.placed.v1");
    let at = 0;
    const shuffled = mapped((line) => {
      if (line.type !== "payment.chargeback.v1") return line;
      // Any order of the ten days before: the label has nothing to do with its features.
      const time = Date.parse(line.time);
      const near = orders.filter(
        (order) => time - Date.parse(order.time) > DAY_MS && time - Date.parse(order.time) < 9 * DAY_MS,
      );
      const other = near[(at++ * 7919) % near.length];
      if (!other) return null;
      line.data = {
        ...line.data,
        orderId: other.data["orderId"],
        customerId: other.data["customerId"],
        orderPlacedAt: other.data["placedAt"],
      };
      return line;
    });
    const { record, published } = await train(shuffled);
    expect(record?.state).toBe("refused");
    expect(record?.reasons.join()).toContain("log-loss does not beat the constant score");
    expect(published).toEqual([]);
  });

  it("the order of lines does not matter, and a line twice counts once", async () => {
    const [sorted, reversed] = [
      await train(textOf(good)),
      await train(textOf([...good.toReversed(), ...good.slice(0, 500)])),
    ];
    expect(reversed.record).toMatchObject({ state: "published", dataHash: sorted.record?.dataHash });
    expect(reversed.published).toEqual(sorted.published);
  });

  it("events of later than their ingestion are refused: times are wrong", async () => {
    const { record } = await train(
      mapped((line) => {
        if (line.type === "order.paid.v1") line.ingestedAt -= 3 * DAY_MS;
        return line;
      }),
    );
    expect(record?.reasons.join()).toMatch(/2900 events are of later than their ingestion/);
  });

  it("a file cut in the middle is named with its line, plain or compressed, and so is one that is no log", async () => {
    const text = textOf(good);
    const cut = await train(text.slice(0, Math.floor(text.length / 2)));
    expect(cut.error).toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(/damaged at .*, line \d+/),
    });
    const zipped = gzipSync(text);
    const cutZip = await train(zipped.subarray(0, zipped.length / 2), { name: ".ndjson.gz" });
    expect(cutZip.error).toMatchObject({ code: "invalid_input", message: expect.stringContaining("is it cut off?") });
    const other = await train('{"hello":"world"}\n');
    expect(other.error).toMatchObject({
      code: "invalid_input",
      message: expect.stringContaining("is this an event log?"),
    });
    for (const { published, record } of [cut, cutZip, other]) {
      expect(published).toEqual([]);
      expect(record?.state).toBe("failed");
    }
  });

  it("cancelled while it trains, it stops at once and publishes nothing", async () => {
    const { error, record, published } = await train(textOf(good), { stopAt: "train" });
    expect(error).toMatchObject({ code: "cancelled" });
    expect(record).toMatchObject({ state: "cancelled", stage: "train" });
    expect(published).toEqual([]);
  });

  it("parameters that make no sense are named", async () => {
    const definition = fraudModel({
      log: fileLog([join(folder, "0.ndjson")]),
      registry: emptyRegistry,
      maturityMs: 14 * DAY_MS,
    });
    await expect(
      runPipeline(definition, tinyDeps(new MemoryFiles()), { seed: 1, parameters: { leaves: 1, lerning: 2 } }),
    ).rejects.toThrow(/leaves: .*lerning/);
  });
});
