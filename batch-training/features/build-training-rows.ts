import type { StoredEvent } from "../../models/contract/events.ts";
import type { Catalog } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import type { SourceDefinition } from "../../models/features/definition.ts";
import { ReplayState } from "./replay-state.ts";
import { RowColumns } from "./row-columns.ts";
import { requestReader, sourceReader } from "./source-reader.ts";

export interface TrainingRowOptions {
  /** The log in order of visibility: `ingestedAt` never decreases. Duplicates are harmless. */
  readonly events: AsyncIterable<StoredEvent> | Iterable<StoredEvent>;
  readonly catalog: Catalog;
  readonly service: CompiledService;
  /** Facts that make a row positive: those with the identity of the row. */
  readonly label: SourceDefinition;
  /** A row counts as negative when it is this old and not labelled, in milliseconds; younger rows are left out. */
  readonly maturityMs: number;
  /** The time from which on nothing was known; by default that of the newest event. Epoch milliseconds. */
  readonly knownAt?: number;
  /** Rows as of times from here (inclusive) to there (exclusive) only; the whole log still feeds the features. */
  readonly from?: number;
  readonly to?: number;
  /** Called with the number of events read so far, every ten thousand. */
  readonly onProgress?: (events: number) => void;
}

/** Point-in-time rows: features as they stood when each order became known, labels as they became known later. */
export interface TrainingRows {
  readonly featureNames: readonly string[];
  readonly serviceHash: string;
  readonly rows: number;
  /** One column per feature, in the service's order; NaN = missing. */
  readonly columns: readonly Float32Array[];
  /** 1: labelled within the maturity. */
  readonly labels: Float32Array;
  readonly orderIds: readonly string[];
  /** Ids of the service's first entity (the customer), for metrics per card or person. */
  readonly subjects: readonly string[];
  /** Epoch milliseconds, ascending. */
  readonly asOf: Float64Array;
  /** When the label became known, epoch milliseconds; NaN where it did not. */
  readonly labelledAt: Float64Array;
  /** Rows left out because their label was not mature. */
  readonly immature: number;
  readonly events: number;
}

const PROGRESS_INTERVAL = 10_000;

/**
 * Replays the log with the definitions that serve. Each request becomes one row at its first event, before that event is applied, as
 * of the request's own time: exactly what a decision at that moment would have seen. Throws if the log is not in order.
 */
export async function buildTrainingRows(options: TrainingRowOptions): Promise<TrainingRows> {
  const { catalog, service, maturityMs } = options;
  const state = new ReplayState(catalog);
  const rows = new RowColumns(service.width);
  const requests = requestReader(service);
  const labels = sourceReader(options.label);
  const labelledAt = new Map<string, number>();
  const seen = new Set<string>();
  let events = 0;
  let newest = Number.NEGATIVE_INFINITY;
  for await (const event of options.events) {
    if (event.ingestedAt < newest) throw outOfOrder(event, newest);
    newest = event.ingestedAt;
    events++;
    if (events % PROGRESS_INTERVAL === 0) options.onProgress?.(events);
    const request = requests(event);
    if (request !== null && !seen.has(request.identity)) {
      seen.add(request.identity);
      if (
        request.time >= (options.from ?? Number.NEGATIVE_INFINITY) &&
        request.time < (options.to ?? Number.POSITIVE_INFINITY)
      ) {
        const { vector } = state.vector(service, request.payload, request.time);
        rows.add(vector, { id: request.identity, subject: request.subject, asOf: request.time });
      }
    }
    const label = labels(event);
    if (label !== null && !labelledAt.has(label.identity)) labelledAt.set(label.identity, event.ingestedAt);
    state.apply(event);
  }
  const knownAt = options.knownAt ?? newest;
  const mature = rows.where((asOf) => asOf + maturityMs <= knownAt);
  return {
    featureNames: service.names,
    serviceHash: service.hash,
    rows: mature.rows,
    columns: mature.columns,
    ...labelsOf(mature, labelledAt, maturityMs),
    orderIds: mature.ids,
    subjects: mature.subjects,
    asOf: mature.asOf,
    immature: rows.rows - mature.rows,
    events,
  };
}

function labelsOf(
  rows: { readonly ids: readonly string[]; readonly asOf: Float64Array },
  labelledAt: ReadonlyMap<string, number>,
  maturityMs: number,
): { labels: Float32Array; labelledAt: Float64Array } {
  const labels = new Float32Array(rows.ids.length);
  const times = new Float64Array(rows.ids.length).fill(Number.NaN);
  for (const [row, id] of rows.ids.entries()) {
    const at = labelledAt.get(id);
    if (at === undefined || at > (rows.asOf[row] ?? 0) + maturityMs) continue;
    labels[row] = 1;
    times[row] = at;
  }
  return { labels, labelledAt: times };
}

function outOfOrder(event: StoredEvent, newest: number): Error {
  const at = new Date(event.ingestedAt).toISOString();
  return new Error(
    `the log is not in order of ingestion: event ${event.id} of ${event.source} at ${at} follows one of ` +
      `${new Date(newest).toISOString()}; sort it by ingestedAt first`,
  );
}
