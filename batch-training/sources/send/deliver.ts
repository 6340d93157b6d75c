import { checkIngested, ingestEvents } from "../../../models/contract/api/events.ts";
import { EVENT_REJECTIONS } from "../../../models/contract/errors.ts";
import { ApiError } from "../../client/api-error.ts";
import type { ApiClient } from "../../client/api-client.ts";
import type { RetryGate } from "./attempt.ts";
import type { SendItem } from "./make-batches.ts";
import type { OpenBatch, Transfer } from "./transfer.ts";

/** Ids in one question about applied events: the contract's limit. */
const MAX_IDS_PER_CHECK = 1_000;

export interface Wire {
  readonly client: Pick<ApiClient, "call">;
  readonly gate: RetryGate;
}

/** Sends what a batch waits for. Refused events are settled; the accepted ones wait for their proof. */
export async function deliver(wire: Wire, transfer: Transfer, batch: OpenBatch): Promise<void> {
  const items = batch.pending;
  if (items.length === 0) return;
  const { body } = await wire.gate.call(() =>
    wire.client.call(ingestEvents, {
      body: items.map((item) => item.event),
      headers: { "content-type": "application/cloudevents-batch+json" },
    }),
  );
  const results = body.results.toSorted((a, b) => a.index - b.index);
  if (results.length !== items.length || results.some((result, index) => result.index !== index))
    throw new ApiError(
      `The server answered for ${results.length} of ${items.length} events. Do the server and this program have the same version?`,
      { kind: "unexpected-answer" },
    );
  const accepted: SendItem[] = [];
  for (const [index, result] of results.entries()) {
    const item = items[index];
    if (item === undefined) continue;
    if (result.status === "accepted") {
      accepted.push(item);
      continue;
    }
    const { source, id, type } = item.event;
    const reason = result.reason ?? "invalid-envelope";
    const issues = (result.issues ?? []).slice(0, 3).map((issue) => `${issue.path}: ${issue.message}`);
    const detail = issues.length === 0 ? EVENT_REJECTIONS[reason] : issues.join("; ");
    transfer.refuse(batch, { source, id, type, reason, detail });
  }
  transfer.accepted += accepted.length;
  transfer.waitFor(batch, accepted);
}

/** Asks which of the events have been applied, and settles those. Tells whether any was. */
export async function prove(wire: Wire, transfer: Transfer, batch: OpenBatch): Promise<boolean> {
  const remaining: SendItem[] = [];
  const before = batch.pending;
  for (const [source, items] of groupBySource(before)) {
    for (let from = 0; from < items.length; from += MAX_IDS_PER_CHECK) {
      const part = items.slice(from, from + MAX_IDS_PER_CHECK);
      const applied = await askApplied(
        wire,
        source,
        part.map((item) => item.event.id),
      );
      remaining.push(...part.filter((_, index) => !applied[index]));
    }
  }
  const left = new Set(remaining);
  transfer.markApplied(
    batch,
    before.filter((item) => left.has(item)),
  );
  return remaining.length < before.length;
}

/** Which of the ids of one source have been applied, in their order. At most `MAX_IDS_PER_CHECK`. */
export async function askApplied(wire: Wire, source: string, ids: readonly string[]): Promise<readonly boolean[]> {
  const { body } = await wire.gate.call(() => wire.client.call(checkIngested, { body: { source, ids: [...ids] } }));
  if (body.ingested.length !== ids.length)
    throw new ApiError(`The server answered for ${body.ingested.length} of ${ids.length} ids.`, {
      kind: "unexpected-answer",
    });
  return body.ingested;
}

function groupBySource(items: readonly SendItem[]): Map<string, SendItem[]> {
  return Map.groupBy(items, (item) => item.event.source);
}
