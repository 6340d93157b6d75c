import type { ExposureRecord } from "../../models/recommend/exposure.ts";

/** Exposures in R2: `{tenant}/exposures/ingested=YYYY-MM-DDTHH/…`, one gzipped NDJSON object per batch of an isolate. */
export class ExposureLog {
  readonly #bucket: R2Bucket;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  async append(tenant: string, records: readonly ExposureRecord[], now: number): Promise<void> {
    const time = new Date(now).toISOString();
    const name = `${time.slice(14, 23).replaceAll(/[:.]/g, "")}-${crypto.randomUUID()}`;
    const lines = new Blob([records.map((record) => `${JSON.stringify(record)}\n`).join("")]);
    const compressed = await new Response(lines.stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
    await this.#bucket.put(`${tenant}/exposures/ingested=${time.slice(0, 13)}/${name}.ndjson.gz`, compressed);
  }
}
