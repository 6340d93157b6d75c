import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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

  it("names the file and line that cannot be read, and leaves no file half written behind a success", async () => {
    const broken = join(folder, "broken.ndjson");
    writeFileSync(broken, `${JSON.stringify(generatedLog(1, 1)[0])}\n{"half":`);
    const options = { service: FRAUD_FEATURES, maturityMs: MATURITY_MS, threads: 1, onStage: () => {} };
    await expect(buildFeatures({ ...options, files: [broken], out: join(folder, "none.parquet") })).rejects.toThrow(
      `${broken}, line 2 is not JSON`,
    );
  });
});
