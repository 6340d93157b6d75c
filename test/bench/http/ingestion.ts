import type { InboundEvent } from "../../../models/contract/events.ts";
import { checkIngested, ingestEvents } from "../../../models/contract/api/events.ts";
import type { ApiClient } from "../../../batch-training/client/api-client.ts";

const BATCH_EVENTS = 500;
const CONCURRENCY = 4;
const IDS_PER_CHECK = 1_000;
const POLL_MS = 25;
/** Batches asked about at once. */
const PROBES = 20;

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
  await settled(client, batches);
  return { events: events.length, acceptedMs, settledMs: performance.now() - started };
}

/** Asks about the last event of each batch until all are settled, and then once about every event: asking costs the server, too. */
async function settled(client: ApiClient, batches: readonly (readonly InboundEvent[])[]): Promise<void> {
  const open = batches.flatMap((batch) => batch.at(-1) ?? []);
  while (open.length > 0) {
    const probe = open.slice(-PROBES);
    if ((await unsettled(client, probe)).length === 0) open.splice(-PROBES);
    else await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  let rest: readonly InboundEvent[] = batches.flat();
  for (;;) {
    rest = await unsettled(client, rest);
    if (rest.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The events that are not settled yet. */
async function unsettled(client: ApiClient, events: readonly InboundEvent[]): Promise<InboundEvent[]> {
  const waiting: InboundEvent[] = [];
  for (const [source, own] of Map.groupBy(events, (event) => event.source)) {
    for (let from = 0; from < own.length; from += IDS_PER_CHECK) {
      const part = own.slice(from, from + IDS_PER_CHECK);
      const { body } = await client.call(checkIngested, { body: { source, ids: part.map((event) => event.id) } });
      for (const [index, event] of part.entries()) if (body.ingested[index] !== true) waiting.push(event);
    }
  }
  return waiting;
}
