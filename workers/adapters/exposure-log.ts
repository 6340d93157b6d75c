import type { ExposureRecord } from "../../models/recommend/exposure.ts";

/** Lists written at a time, about a millisecond's work. Whoever asks for a list meanwhile waits no longer than that. */
const SLICE = 16;

/** What is used of the bucket of logs. */
interface LogBucket {
  put(key: string, bytes: ArrayBuffer): Promise<unknown>;
}

/** Exposures in R2: `{tenant}/exposures/ingested=YYYY-MM-DDTHH/…`, one gzipped NDJSON object per batch of an isolate. */
export class ExposureLog {
  readonly #bucket: LogBucket;
  readonly #pause: () => Promise<void>;

  /** @param pause lets requests that have arrived go first */
  constructor(bucket: LogBucket, pause: () => Promise<void>) {
    this.#bucket = bucket;
    this.#pause = pause;
  }

  async append(tenant: string, records: readonly ExposureRecord[], now: number): Promise<void> {
    const time = new Date(now).toISOString();
    const name = `${time.slice(14, 23).replaceAll(/[:.]/g, "")}-${crypto.randomUUID()}`;
    const gzip = new CompressionStream("gzip");
    const [compressed] = await Promise.all([
      new Response(gzip.readable).arrayBuffer(),
      this.#writeLines(gzip.writable.getWriter(), records),
    ]);
    await this.#bucket.put(`${tenant}/exposures/ingested=${time.slice(0, 13)}/${name}.ndjson.gz`, compressed);
  }

  async #writeLines(
    writer: WritableStreamDefaultWriter<Uint8Array>,
    records: readonly ExposureRecord[],
  ): Promise<void> {
    const encoder = new TextEncoder();
    for (let from = 0; from < records.length; from += SLICE) {
      const lines = records.slice(from, from + SLICE).map((record) => `${JSON.stringify(record)}\n`);
      await writer.write(encoder.encode(lines.join("")));
      await this.#pause();
    }
    await writer.close();
  }
}
