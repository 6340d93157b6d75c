import type { InboundEvent } from "../../../models/contract/events.ts";
import { checkIngested, ingestEvents } from "../../../models/contract/api/events.ts";
import type { ApiClient } from "../../../batch-training/client/api-client.ts";

const BATCH_EVENTS = 500;
const CONCURRENCY = 4;
const IDS_PER_CHECK = 1_000;
const POLL_MS = 20;

export interface Ingested {
  readonly events: number;
  /** From the first request to the last accepted one, milliseconds. */
  readonly acceptedMs: number;
  /** From the first request until every event was processed to the end, milliseconds. */
  readonly settledMs: number;
}

/** Sends events as fast as they are accepted, and returns when every one of them is applied, logged and scored. */
export async function ingest(client: ApiClient, events: readonly InboundEvent[]): Promise<Ingested> {
  const batches = Array.from({ length: Math.ceil(events.length / BATCH_EVENTS) }, (_, index) =>
    events.slice(index * BATCH_EVENTS, (index + 1) * BATCH_EVENTS),
  );
  const started = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (next < batches.length) {
        const batch = batches[next++] ?? [];
        const { body } = await client.call(ingestEvents, { body: batch });
        if (body.refused > 0)
          throw new Error(`${body.refused} events were refused: ${JSON.stringify(body.results[0])}`);
      }
    }),
  );
  const acceptedMs = performance.now() - started;
  await settled(client, events);
  return { events: events.length, acceptedMs, settledMs: performance.now() - started };
}

async function settled(client: ApiClient, events: readonly InboundEvent[]): Promise<void> {
  for (const [source, own] of Map.groupBy(events, (event) => event.source)) {
    // Newest first: what is found settled early would only be asked about more often.
    let open = own.map((event) => event.id);
    while (open.length > 0) {
      const ids = open.slice(0, IDS_PER_CHECK);
      const { body } = await client.call(checkIngested, { body: { source, ids } });
      const waiting = ids.filter((_, index) => body.ingested[index] !== true);
      open = [...waiting, ...open.slice(IDS_PER_CHECK)];
      if (waiting.length > 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
