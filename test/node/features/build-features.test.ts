import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { afterAll, describe, expect, it } from "vitest";
import { buildFeatures } from "../../../batch-training/features/build-features.ts";
import { buildTrainingRows } from "../../../batch-training/features/build-training-rows.ts";
import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import { fraudLabel } from "../../../models/catalog/fraud-orders/label.ts";
import type { StoredEvent } from "../../../models/contract/events.ts";
import { generatedLog } from "../../support/generated-log.ts";

const folder = mkdtempSync(join(tmpdir(), "build-features-"));
afterAll(() => rmSync(folder, { recursive: true }));

const MATURITY_MS = 20 * 86_400_000;

/** Log objects as a consumer leaves them: batches, some compressed, in no order that means anything. */
function writeLog(events: readonly StoredEvent[], objects: number): string[] {
  return Array.from({ length: objects }, (_, object) => {
    const part = events.filter((_, at) => (at * 7919) % objects === object).toReversed();
    const text = part.map((event) => `${JSON.stringify(event)}\n`).join("");
    const path = join(folder, `object-${object}.ndjson${object % 2 === 0 ? ".gz" : ""}`);
    writeFileSync(path, object % 2 === 0 ? gzipSync(text) : text);
    return path;
  });
}

describe("building training rows in bounded memory", () => {
  it("gives what one replay in memory gives, however the log is cut and the work is divided", async () => {
    // Distinct ingestion times: with ties the order of files decides, and here they are shuffled.
    const events = generatedLog(1_500, 7).map((event, at) => ({ ...event, ingestedAt: event.ingestedAt + at }));
    const rows = await buildTrainingRows({
      events,
      catalog: FEATURE_CATALOG,
      service: FRAUD_FEATURES,
      label: fraudLabel,
      maturityMs: MATURITY_MS,
    });
    const expected = new Map(
      rows.orderIds.map((id, row) => [
        id,
        { label: rows.labels[row], asOf: rows.asOf[row], vector: rows.columns.map((column) => column[row]) },
      ]),
    );
    const out = join(folder, "rows.parquet");
    const report = await buildFeatures({
      files: writeLog(events, 5),
      service: FRAUD_FEATURES,
      out,
      maturityMs: MATURITY_MS,
      threads: 2,
      partitionBytes: 200_000,
      onStage: () => {},
    });
    expect(report.partitions).toBeGreaterThan(3);
    expect(report.rows).toBe(rows.rows);
    expect(report.immature).toBe(rows.immature);
    expect(report.positives).toBe(rows.labels.reduce((sum, label) => sum + label, 0));
    const written = await parquetReadObjects({ file: await asyncBufferFromFile(out) });
    expect(written).toHaveLength(rows.rows);
    for (const row of written) {
      const wanted = expected.get(String(row["order_id"]));
      expect({
        label: row["label"],
        asOf: row["as_of"],
        vector: FRAUD_FEATURES.names.map((name) => row[name] as number),
      }).toEqual(wanted);
    }
  });

  it("names the file and line that cannot be read, and leaves the file of an earlier build as it was", async () => {
    const [event] = generatedLog(1, 1);
    const line = JSON.stringify(event);
    const out = join(folder, "kept.parquet");
    writeFileSync(out, "earlier");
    const cut = gzipSync(Buffer.from(`${line}\n`.repeat(2_000)));
    const cases: readonly (readonly [string, string | Buffer, string])[] = [
      ["half.ndjson", `${line}\n{"half":`, "half.ndjson, line 2 is not JSON"],
      ["nan.ndjson", line.replace(/"ingestedAt":\d+/, '"ingestedAt":NaN'), "nan.ndjson, line 1 is not JSON"],
      ["value.ndjson", "\n17\n", "value.ndjson, line 2 is no stored event but a single value"],
      [
        "clock.ndjson",
        JSON.stringify({ ...event, time: "yesterday" }),
        'line 1 is no stored event: its time is "yesterday"',
      ],
      [
        "when.ndjson",
        JSON.stringify({ ...event, ingestedAt: "soon" }),
        'its ingestedAt is "soon", not epoch milliseconds',
      ],
      ["whose.ndjson", JSON.stringify({ ...event, source: null }), "it needs type, source and id"],
      ["cut.ndjson.gz", cut.subarray(0, cut.length - 20), "cut.ndjson.gz is cut off or damaged"],
      ["plain.ndjson.gz", line, "plain.ndjson.gz is cut off or damaged"],
      ["long.ndjson", `"${"x".repeat(3 * 1024 * 1024)}`, "long.ndjson has a line of more than 1048576 bytes at byte 0"],
    ];
    for (const [name, content, message] of cases) {
      const path = join(folder, name);
      writeFileSync(path, content);
      const build = buildFeatures({
        files: [path],
        service: FRAUD_FEATURES,
        out,
        maturityMs: MATURITY_MS,
        threads: 1,
        onStage: () => {},
      });
      await expect(build, name).rejects.toThrow(message);
    }
    expect(readFileSync(out, "utf8")).toBe("earlier");
    expect(readdirSync(folder).filter((name) => name.includes("unfinished"))).toEqual([]);
  });

  it("counts no absurd time, no poisoned value and no clock that runs ahead, as the stream does", async () => {
    const events = generatedLog(300, 9).map((event, at) => ({ ...event, ingestedAt: event.ingestedAt + at }));
    const changed = (at: number, change: object): StoredEvent => {
      const event = events[at] as StoredEvent & { data: object };
      return { ...event, id: `bad-${at}`, data: { ...event.data, orderId: `bad-${at}`, ...change } } as StoredEvent;
    };
    const places = events.flatMap((event, at) => (event.type === "order.placed.v1" ? [at] : []));
    const bad = [
      { placedAt: "9999-12-31T23:59:59.999Z" },
      { placedAt: "0001-01-01T00:00:00.000Z" },
      { placedAt: "no time" },
      { total: { amount: "many", currency: "EUR" } },
      { total: { amount: 1e300, currency: "EUR" } },
      { total: null, payment: [], customerId: 7 },
      { customerId: "\ud800 lone", deviceId: "" },
      { placedAt: new Date((events[100]?.ingestedAt ?? 0) + 3_600_000).toISOString() },
    ].map((change, at) => changed(places[at * 10] ?? 0, change));
    const log = [...events, ...bad].toSorted((a, b) => a.ingestedAt - b.ingestedAt);
    const path = join(folder, "bad.ndjson");
    writeFileSync(path, log.map((event) => JSON.stringify(event)).join("\r\n"));
    const out = join(folder, "bad.parquet");
    await buildFeatures({ files: [path], service: FRAUD_FEATURES, out, maturityMs: 0, threads: 1, onStage: () => {} });
    const rows = await buildTrainingRows({
      events: log,
      catalog: FEATURE_CATALOG,
      service: FRAUD_FEATURES,
      label: fraudLabel,
      maturityMs: 0,
    });
    const written = await parquetReadObjects({ file: await asyncBufferFromFile(out) });
    expect(written).toHaveLength(rows.rows);
    const expected = new Map(rows.orderIds.map((id, row) => [id, rows.columns.map((column) => column[row])]));
    for (const row of written)
      expect(
        FRAUD_FEATURES.names.map((name) => row[name]),
        String(row["order_id"]),
      ).toEqual(expected.get(String(row["order_id"])));
  });
});
