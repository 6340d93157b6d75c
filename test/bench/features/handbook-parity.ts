import { buildTrainingRows } from "../../../batch-training/features/build-training-rows.ts";
import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import { fraudLabel } from "../../../models/catalog/fraud-orders/label.ts";
import type { StoredEvent } from "../../../models/contract/events.ts";
import type { OrderFeatureRequest } from "../../../models/features/feature-store.ts";
import {
  HANDBOOK_DELAY_MS,
  HANDBOOK_FEATURES,
  handbookEvents,
  handbookReference,
} from "../../support/handbook-cards.ts";
import { type BenchEdge, startBenchEdge } from "./bench-edge.ts";

/** The week of the reference features, and the first day that their windows can see (30 days behind a delay of 7). */
const FROM = Date.parse("2018-07-25T00:00:00Z");
const TO = Date.parse("2018-08-01T00:00:00Z");
const HISTORY_FROM = FROM - 38 * 86_400_000;
/** The reference file has six decimals. */
const TOLERANCE = 1e-6;
const CHUNK = 2_000;
const DIMENSIONS = { objects: 1, batch: 500 } as const;

export interface Parity {
  readonly rows: number;
  readonly values: number;
  readonly mismatches: number;
  /** The first few, for a person. */
  readonly examples: string[];
  readonly seconds: number;
  readonly events: number;
}

const positions = HANDBOOK_FEATURES.map((name) => FRAUD_FEATURES.indexOf(name));

class Comparison {
  readonly #reference: ReadonlyMap<string, readonly number[]>;
  readonly #started = performance.now();
  readonly #examples: string[] = [];
  #rows = 0;
  #mismatches = 0;

  constructor(reference: ReadonlyMap<string, readonly number[]>) {
    this.#reference = reference;
  }

  add(id: string, valueAt: (position: number) => number): void {
    const expected = this.#reference.get(id) ?? [];
    this.#rows++;
    for (const [index, position] of positions.entries()) {
      const value = valueAt(position);
      const wanted = expected[index] ?? Number.NaN;
      if (Math.abs(value - wanted) <= TOLERANCE * Math.max(1, Math.abs(wanted))) continue;
      this.#mismatches++;
      if (this.#examples.length < 5) this.#examples.push(`${id} ${HANDBOOK_FEATURES[index]}: ${value} for ${wanted}`);
    }
  }

  result(events: number): Parity {
    return {
      rows: this.#rows,
      values: this.#rows * positions.length,
      mismatches: this.#mismatches,
      examples: this.#examples,
      seconds: (performance.now() - this.#started) / 1000,
      events,
    };
  }
}

/** Every row of the reference week through the offline builder, over the whole history. */
export async function offlineParity(folder: string): Promise<Parity> {
  const comparison = new Comparison(await handbookReference(folder));
  const rows = await buildTrainingRows({
    events: handbookEvents(folder),
    catalog: FEATURE_CATALOG,
    service: FRAUD_FEATURES,
    label: fraudLabel,
    maturityMs: HANDBOOK_DELAY_MS,
    from: FROM,
    to: TO,
  });
  for (const [row, id] of rows.orderIds.entries()) comparison.add(id, (at) => rows.columns[at]?.[row] ?? Number.NaN);
  return comparison.result(rows.events);
}

/** The same rows through shards in workerd: the history by the queue's path, each order of the week as a decision in its turn. */
export async function shardParity(folder: string, onProgress: (text: string) => void): Promise<Parity> {
  const comparison = new Comparison(await handbookReference(folder));
  const events = await driveShards(
    handbookEvents(folder),
    { historyFrom: HISTORY_FROM, from: FROM, to: TO },
    (id, vector) => comparison.add(id, (at) => vector[at] ?? Number.NaN),
    onProgress,
  );
  return comparison.result(events);
}

export interface Driven {
  /** Epoch milliseconds: earlier events are left out; orders from `from` until `to` are decisions. */
  readonly historyFrom: number;
  readonly from: number;
  readonly to: number;
}

/** Drives events in order of visibility through shards in workerd of their own. Returns how many. */
export async function driveShards(
  log: AsyncIterable<StoredEvent> | Iterable<StoredEvent>,
  { historyFrom, from, to }: Driven,
  onVector: (orderId: string, vector: readonly (number | null)[]) => void,
  onProgress: (text: string) => void = () => {},
): Promise<number> {
  const edge = await startBenchEdge();
  let events = 0;
  let pending: StoredEvent[] = [];
  try {
    const flush = async (): Promise<void> => {
      if (pending.length === 0) return;
      await (pending.some((event) => event.ingestedAt >= from)
        ? decide(edge, pending, onVector)
        : edge.call("/apply", { ...DIMENSIONS, events: pending }));
      events += pending.length;
      pending = [];
      if (events % 50_000 < CHUNK) onProgress(`${events} events through the shards`);
    };
    for await (const event of log) {
      if (event.ingestedAt < historyFrom) continue;
      if (event.ingestedAt >= to) break;
      const startsDecisions = event.ingestedAt >= from && pending.some((earlier) => earlier.ingestedAt < from);
      if (pending.length >= CHUNK || startsDecisions) await flush();
      pending.push(event);
    }
    await flush();
    return events;
  } finally {
    await edge.stop();
  }
}

async function decide(
  edge: BenchEdge,
  events: readonly StoredEvent[],
  onVector: (orderId: string, vector: readonly (number | null)[]) => void,
): Promise<void> {
  const steps = events.map((event) =>
    event.type === "order.placed.v1"
      ? {
          request: {
            tenant: "bench",
            service: FRAUD_FEATURES.name,
            order: event.data,
            asOf: event.ingestedAt,
          } satisfies OrderFeatureRequest,
        }
      : { event },
  );
  const vectors = await edge.call<(number | null)[][]>("/in-sequence", { ...DIMENSIONS, steps });
  const orders = events.flatMap((event) => (event.type === "order.placed.v1" ? [event.data.orderId] : []));
  for (const [index, id] of orders.entries()) onVector(id, vectors[index] ?? []);
}
