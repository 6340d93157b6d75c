import { gunzipSync } from "node:zlib";
import { expect, it } from "vitest";
import type { ExposureRecord } from "../../../../models/recommend/exposure.ts";
import { ExposureLog } from "../../../../workers/adapters/exposure-log.ts";

it.each([0, 1, 16, 17, 100])(
  "a batch of %i lists is one object, a line each, and others get a turn in between",
  async (lists) => {
    let pauses = 0;
    const stored = new Map<string, ArrayBuffer>();
    const bucket = { put: async (key: string, bytes: ArrayBuffer) => void stored.set(key, bytes) };
    const log = new ExposureLog(bucket, async () => void pauses++);
    const records = Array.from({ length: lists }, (_, at) => ({
      recommendationId: `rec-${at}`,
      vectors: "é".repeat(at),
    }));
    await log.append("default", records as unknown as ExposureRecord[], Date.UTC(2026, 0, 2, 3, 4, 5));
    const [[key, bytes] = ["", new ArrayBuffer(0)]] = stored;
    expect(key).toMatch(/^default\/exposures\/ingested=2026-01-02T03\/0405000-[0-9a-f-]{36}\.ndjson\.gz$/);
    const text = gunzipSync(Buffer.from(bytes)).toString("utf8");
    expect(
      text
        .split("\n")
        .filter(Boolean)
        .map((line): unknown => JSON.parse(line)),
    ).toEqual(records);
    expect(pauses).toBe(Math.ceil(lists / 16));
  },
);
