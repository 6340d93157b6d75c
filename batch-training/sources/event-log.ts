import { gunzipSync } from "node:zlib";
import { listEventLog, readEventLog } from "../../models/contract/api/events.ts";
import type { StoredEvent } from "../../models/contract/events.ts";
import type { ApiClient } from "../client/api-client.ts";

/** Objects read side by side: hides the round trip, stays polite. */
const READ_CONCURRENCY = 8;
/** One decompressed object; the consumer writes batches of at most 13 MB. */
const MAX_OBJECT_BYTES = 256 * 1024 * 1024;

export interface EventLogProgress {
  readonly objects: number;
  readonly events: number;
}

/**
 * The event log as one moment saw it: every event once by (source, id), in the order in which facts became visible. Lines stay
 * bytes until they are iterated, so a million events take their size in the log and an index, not a million objects.
 */
export class EventLogSnapshot {
  readonly #chunks: Uint8Array[] = [];
  readonly #known = new Set<string>();
  /** Per event: visibility (ms), event time (ms), chunk, start, end. */
  readonly #index: { visibleAt: number; time: number; id: string; chunk: number; start: number; end: number }[] = [];
  #sorted = true;

  get size(): number {
    return this.#index.length;
  }

  /** Adds the lines of one object. @throws {SyntaxError} on a line that is not JSON, naming it */
  add(bytes: Uint8Array, key: string): void {
    const chunk = this.#chunks.push(bytes) - 1;
    let start = 0;
    let line = 0;
    while (start < bytes.length) {
      let end = bytes.indexOf(0x0a, start);
      if (end < 0) end = bytes.length;
      line++;
      if (end > start) this.#addLine({ chunk, start, end }, `${key}, line ${line}`);
      start = end + 1;
    }
    this.#sorted = false;
  }

  /** In order of visibility; events that became visible together in order of event time, then id. */
  *events(): Generator<StoredEvent> {
    if (!this.#sorted) {
      this.#index.sort(
        (a, b) => a.visibleAt - b.visibleAt || a.time - b.time || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
      );
      this.#sorted = true;
    }
    for (const place of this.#index) yield this.#parse(place, place.id);
  }

  #addLine(place: { chunk: number; start: number; end: number }, where: string): void {
    const event = this.#parse(place, where);
    const identity = `${event.source}\n${event.id}`;
    if (this.#known.has(identity)) return;
    this.#known.add(identity);
    this.#index.push({ ...place, id: event.id, visibleAt: event.ingestedAt, time: Date.parse(event.time) });
  }

  #parse(place: { chunk: number; start: number; end: number }, where: string): StoredEvent {
    const bytes = this.#chunks[place.chunk] ?? new Uint8Array();
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + place.start, place.end - place.start).toString("utf8");
    try {
      return JSON.parse(text) as StoredEvent;
    } catch (error) {
      throw new SyntaxError(
        `the event log is damaged at ${where}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

/** Reads the whole log of the caller's tenant through the Worker's API. */
export async function readEventLogSnapshot(
  client: Pick<ApiClient, "call">,
  onProgress: (progress: EventLogProgress) => void = () => {},
): Promise<EventLogSnapshot> {
  const snapshot = new EventLogSnapshot();
  let objects = 0;
  let cursor: string | undefined;
  do {
    const page = await client.call(listEventLog, {
      query: cursor === undefined ? { limit: 1_000 } : { limit: 1_000, cursor },
    });
    const keys = page.body.objects.map((object) => object.key);
    for (let start = 0; start < keys.length; start += READ_CONCURRENCY) {
      const group = keys.slice(start, start + READ_CONCURRENCY);
      const bodies = await Promise.all(group.map((key) => client.call(readEventLog, { query: { key } })));
      for (const [index, { body }] of bodies.entries()) {
        snapshot.add(gunzipSync(body, { maxOutputLength: MAX_OBJECT_BYTES }), group[index] ?? "");
        objects++;
      }
      onProgress({ objects, events: snapshot.size });
    }
    cursor = page.body.cursor ?? undefined;
  } while (cursor !== undefined);
  return snapshot;
}
