import type { DecisionRecord } from "../../models/contract/decision-record.ts";
import type { StoredEvent } from "../../models/contract/events.ts";
import type { Catalog } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import type { ConsistencyReport } from "../../models/contract/api/feature-consistency.ts";
import { type ComparedDecision, compareDecisions } from "../../models/features/consistency.ts";
import { hash48 } from "../../models/features/hash.ts";
import { ReplayState } from "./replay-state.ts";
import { requestReader } from "./source-reader.ts";

export interface ConsistencyOptions {
  /** The log in order of visibility. */
  readonly events: AsyncIterable<StoredEvent> | Iterable<StoredEvent>;
  readonly decisions: readonly DecisionRecord[];
  readonly catalog: Catalog;
  readonly service: CompiledService;
  /** Share of subjects compared, 0–1: whole subjects are chosen by hash, so that their histories are whole. */
  readonly sample: number;
}

/**
 * Recomputes logged vectors offline and compares. A decision saw what was ingested up to its watermarks, and every order that was
 * attempted before it although its event came later: so an order counts from its event or its first decision, whichever was earlier.
 */
export async function checkConsistency(options: ConsistencyOptions): Promise<ConsistencyReport> {
  const { catalog, service } = options;
  const orders = requestReader(service);
  const payloads = new Map<string, unknown>();
  const events: StoredEvent[] = [];
  for await (const event of options.events) {
    events.push(event);
    const order = orders(event);
    if (order !== null && !payloads.has(order.identity)) payloads.set(order.identity, order.payload);
  }
  const chosen = options.decisions
    .filter((decision) => hash48(decision.subject) / 2 ** 48 < options.sample)
    .toSorted((a, b) => a.decidedAt - b.decidedAt);
  const steps = [
    ...events.map((event) => ({ at: event.ingestedAt, event, decision: null })),
    // What is sampled out is still an attempt that others saw.
    ...options.decisions.map((decision) => ({ at: visibleFrom(decision), event: null, decision })),
  ].toSorted((a, b) => a.at - b.at || Number(a.event === null) - Number(b.event === null));
  const wanted = new Set(chosen);
  const state = new ReplayState(catalog);
  const compared: ComparedDecision[] = [];
  for (const { event, decision } of steps) {
    if (event) {
      state.apply(event);
      continue;
    }
    if (!decision) continue;
    const payload = payloads.get(decision.orderId);
    if (wanted.has(decision)) compared.push(recompute(state, service, decision, payload));
    if (payload !== undefined)
      for (const fact of catalog.factsOfPayload(service.definition.request, payload, decision.decidedAt))
        state.applyFact(fact, decision.decidedAt);
  }
  return compareDecisions(service, compared);
}

/** When a decision read state: no earlier than anything it saw. */
function visibleFrom(decision: DecisionRecord): number {
  return Math.max(0, ...decision.watermarks.map((watermark) => watermark.ingestedAt));
}

function recompute(
  state: ReplayState,
  service: CompiledService,
  decision: DecisionRecord,
  payload: unknown,
): ComparedDecision {
  const skipped = (reason: string): ComparedDecision => ({ decision, recomputed: null, skipped: reason });
  if (decision.featureService.hash !== service.hash) return skipped("another feature service");
  if (decision.degraded.some((flag) => flag.startsWith("features-"))) return skipped("degraded when served");
  if (payload === undefined) return skipped("order not in the log");
  const { vector, ages } = state.vector(service, payload, decision.asOf);
  return { decision, recomputed: vector, ages, skipped: null };
}
