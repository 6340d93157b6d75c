import type { StoredEvent } from "../../models/contract/events.ts";

export interface LogPage {
  readonly objects: readonly { readonly key: string; readonly bytes: number; readonly uploadedAt: number }[];
  readonly cursor: string | null;
}

/** The event log in R2: one gzipped NDJSON object per consumed batch, partitioned by hour of ingestion. */
export class EventLog {
  readonly #bucket: R2Bucket;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  /** Resolves once the batch is durable. A retried batch makes a second object; readers remove duplicates by (source, id). */
  async append(tenant: string, events: readonly StoredEvent[], now: number): Promise<void> {
    if (events.length === 0) return;
    const time = new Date(now).toISOString();
    const key = `${prefixOf(tenant)}ingested=${time.slice(0, 13)}/${time.slice(14, 23).replaceAll(/[:.]/g, "")}-${crypto.randomUUID()}.ndjson.gz`;
    const lines = new Blob([events.map((event) => `${JSON.stringify(event)}\n`).join("")]);
    const compressed = await new Response(lines.stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
    await this.#bucket.put(key, compressed);
  }

  async list(
    tenant: string,
    query: {
      log: "events" | "exposures";
      cursor?: string | undefined;
      limit: number;
      ingestedFrom?: string | undefined;
    },
  ): Promise<LogPage> {
    const prefix = prefixOf(tenant, query.log);
    const page = await this.#bucket.list({
      prefix,
      limit: query.limit,
      ...(query.cursor !== undefined && { cursor: query.cursor }),
      ...(query.ingestedFrom !== undefined && { startAfter: `${prefix}ingested=${query.ingestedFrom}` }),
    });
    const objects = page.objects.map((object) => ({
      key: object.key,
      bytes: object.size,
      uploadedAt: object.uploaded.getTime(),
    }));
    return { objects, cursor: page.truncated ? page.cursor : null };
  }

  /** The bytes of one object of this tenant's log; null when there is none. */
  async read(tenant: string, key: string): Promise<ReadableStream | null> {
    if (!key.startsWith(prefixOf(tenant)) && !key.startsWith(prefixOf(tenant, "exposures"))) return null;
    const object = await this.#bucket.get(key);
    return object ? object.body : null;
  }
}

function prefixOf(tenant: string, log: "events" | "exposures" = "events"): string {
  return `${tenant}/${log}/`;
}
