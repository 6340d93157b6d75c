import { gunzipSync } from "node:zlib";
import { listEventLog, readEventLog } from "../../models/contract/api/events.ts";
import type { StoredEvent } from "../../models/contract/events.ts";
import { type ExposureRecord, exposureVectors } from "../../models/recommend/exposure.ts";
import { isAttributable, type OutcomeKind, outcomesOf } from "../../models/recommend/outcome.ts";
import { POSITION_FEATURE, RANKING_WIDTH } from "../../models/recommend/ranking-features.ts";
import type { ApiClient } from "../client/api-client.ts";

/** Objects read side by side: hides the round trip, stays polite. */
const READ_CONCURRENCY = 8;
/** One decompressed object: 200 lists of 100 items with their vectors are 4 MB. */
const MAX_OBJECT_BYTES = 64 * 1024 * 1024;

/** How good an outcome is: what the ranking is to learn. A dismissal is as good as nothing. */
export const OUTCOME_GAIN: Readonly<Record<OutcomeKind, number>> = { dismiss: 0, click: 1, cart: 2, purchase: 3 };

/** One product as it was shown, with what became of it. Rows of one list stand together. */
export interface RankingRow {
  readonly recommendationId: string;
  /** Epoch milliseconds of the answer. */
  readonly at: number;
  readonly placement: string;
  readonly productId: string;
  /** From 1. */
  readonly position: number;
  /** The ranking vector as it was at serving time, the position put in its place. */
  readonly vector: Float32Array;
  /** The largest `OUTCOME_GAIN` of the product within the wait. */
  readonly gain: number;
}

export interface JoinOptions {
  /** Outcomes count for this long after the list, in milliseconds. */
  readonly waitMs: number;
  /** What is known: lists whose wait is not over are left out, and events ingested later are not looked at. Epoch milliseconds. */
  readonly asOf: number;
}

export interface ExposureJoin {
  readonly rows: RankingRow[];
  readonly lists: {
    readonly joined: number;
    /** Their wait is not over. */
    readonly young: number;
    /** Of other ranking features, precomputed, of the control arm, or before there was a model: no first stage is in their vectors. */
    readonly withoutVectors: number;
    readonly repeated: number;
  };
  readonly outcomes: {
    readonly joined: number;
    /** Of lists that are not here, of products that the list did not show, before the list or after the wait. */
    readonly elsewhere: number;
  };
}

/**
 * Joins what was shown with what became of it. A list counts once its wait is over; a product's gain is that of its best outcome; nothing that
 * was not yet known as of the time is used.
 */
export function joinExposures(
  exposures: Iterable<ExposureRecord>,
  events: Iterable<StoredEvent>,
  { waitMs, asOf }: JoinOptions,
): ExposureJoin {
  const lists = { joined: 0, young: 0, withoutVectors: 0, repeated: 0 };
  const outcomes = { joined: 0, elsewhere: 0 };
  const known = new Map<string, { record: ExposureRecord; vectors: Float32Array; gains: Map<string, number> }>();
  const seen = new Set<string>();
  for (const record of exposures) {
    const vectors = exposureVectors(record);
    if (seen.has(record.recommendationId)) lists.repeated++;
    else if (record.at + waitMs > asOf) lists.young++;
    else if (vectors === null || record.modelVersion === null) lists.withoutVectors++;
    else {
      const gains = new Map(record.items.map(({ productId }) => [productId, 0]));
      known.set(record.recommendationId, { record, vectors, gains });
      lists.joined++;
    }
    seen.add(record.recommendationId);
  }
  for (const event of events) {
    if (event.ingestedAt > asOf) continue;
    for (const { recommendationId, productId, kind, at } of outcomesOf(event)) {
      const list = known.get(recommendationId);
      const gain = list?.gains.get(productId);
      if (!list || gain === undefined || !isAttributable(list.record.at, at, waitMs)) outcomes.elsewhere++;
      else {
        outcomes.joined++;
        list.gains.set(productId, Math.max(gain, OUTCOME_GAIN[kind]));
      }
    }
  }
  const rows: RankingRow[] = [];
  for (const { record, vectors, gains } of known.values()) {
    const { recommendationId, at, placement } = record;
    for (const [index, { productId }] of record.items.entries()) {
      const vector = vectors.slice(index * RANKING_WIDTH, (index + 1) * RANKING_WIDTH);
      vector[POSITION_FEATURE] = index + 1;
      const gain = gains.get(productId) ?? 0;
      rows.push({ recommendationId, at, placement, productId, position: index + 1, vector, gain });
    }
  }
  return { rows, lists, outcomes };
}

/** Every exposure of the caller's tenant, through the Worker's API, in the order of the log. @throws {SyntaxError} on a line that is not JSON, naming it */
export async function readExposures(client: Pick<ApiClient, "call">): Promise<ExposureRecord[]> {
  const records: ExposureRecord[] = [];
  let cursor: string | undefined;
  do {
    const { body } = await client.call(listEventLog, {
      query: { log: "exposures", limit: 1_000, ...(cursor !== undefined && { cursor }) },
    });
    const keys = body.objects.map((object) => object.key);
    for (let from = 0; from < keys.length; from += READ_CONCURRENCY) {
      const part = keys.slice(from, from + READ_CONCURRENCY);
      const objects = await Promise.all(part.map((key) => client.call(readEventLog, { query: { key } })));
      for (const [at, object] of objects.entries()) records.push(...parseLines(object.body, part[at] ?? ""));
    }
    cursor = body.cursor ?? undefined;
  } while (cursor !== undefined);
  return records;
}

function parseLines(compressed: Uint8Array, key: string): ExposureRecord[] {
  const text = gunzipSync(compressed, { maxOutputLength: MAX_OBJECT_BYTES }).toString("utf8");
  return text.split("\n").flatMap((line, at) => {
    if (line === "") return [];
    try {
      return [JSON.parse(line) as ExposureRecord];
    } catch (error) {
      throw new SyntaxError(`the log of exposures is damaged at ${key}, line ${at + 1}: ${String(error)}`);
    }
  });
}
