import type { InboundEvent } from "../../models/contract/events.ts";
import type { ApiClient } from "../client/api-client.ts";
import { RetryGate } from "./send/attempt.ts";
import { askApplied, deliver, prove, type Wire } from "./send/deliver.ts";
import type { Ledger } from "./send/ledger.ts";
import { DEFAULT_SEND_LIMITS, type SendLimits } from "./send/limits.ts";
import { makeBatches } from "./send/make-batches.ts";
import { type OpenBatch, type Refusal, type SendProgress, Transfer } from "./send/transfer.ts";

export interface SendDeps {
  readonly client: Pick<ApiClient, "call">;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Rejects with the signal's reason when it is aborted. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface SendOptions {
  readonly limits?: Partial<SendLimits>;
  readonly ledger?: Ledger;
  /** Called while events are settled, about four times a second, and once at the end. */
  readonly onProgress?: (progress: SendProgress) => void;
  /** Called for every refused event; the report lists the first ones only. */
  readonly onRefused?: (refusal: Refusal) => void;
  readonly signal?: AbortSignal;
}

export interface SendReport extends SendProgress {
  /** The first refusals of this run, at most 100. */
  readonly refusals: readonly Refusal[];
  /** The first events of this run that the server never applied, as `source id`, at most 100. */
  readonly unappliedEvents: readonly string[];
  readonly retries: number;
  /** True when a ledger was found that this server does not bear out, so that everything was sent again. */
  readonly ledgerDiscarded: boolean;
}

/** Accepted events were never applied, although they were sent again; the transfer stopped. */
export class UnappliedError extends Error {
  override readonly name = "UnappliedError";
}

const PROGRESS_MS = 250;
/** How long the prover rests when nothing is due, in milliseconds. */
const IDLE_MS = 50;

/**
 * Sends a stream of events through `POST /api/v1/events` and returns when every one of them is settled: proven applied
 * (`POST /api/v1/events/ingested`), refused with its reason, or given up. Events that a dying server loses from its queue
 * are sent again; identity is (source, id), so sending twice is harmless. With a ledger the source must give the same events
 * in the same order each time, because the ledger counts them.
 *
 * Memory: at most `maxUnproven` events and one batch.
 * @throws {ApiError} on an answer that repeating cannot cure, or when the server stays away too long
 * @throws {UnappliedError} when more than `maxUnapplied` accepted events are never applied
 */
export async function sendEvents(
  source: AsyncIterable<InboundEvent> | Iterable<InboundEvent>,
  deps: SendDeps,
  options: SendOptions = {},
): Promise<SendReport> {
  const limits = { ...DEFAULT_SEND_LIMITS, ...options.limits };
  const gate = new RetryGate(deps, limits, options.signal);
  const wire = { client: deps.client, gate };
  const transfer = new Transfer({ now: deps.now, ledger: options.ledger, onRefused: options.onRefused });
  const context: Context = { deps, limits, wire, transfer, requests: 0, failure: null, sourceEnded: false };
  const skip = await resume(wire, transfer, options.ledger);

  const guarded = (part: Promise<void>): Promise<void> =>
    part.catch((error: unknown) => {
      context.failure ??= { error };
      transfer.changed.notify();
    });
  await Promise.all([
    guarded(feed(context, source, skip)),
    guarded(
      proveAll(
        context,
        throttle(options, deps, () => transfer.progress(gate.throttled)),
      ),
    ),
  ]);
  while (context.requests > 0) await transfer.changed.wait();
  await transfer.note(true);
  const progress = transfer.progress(gate.throttled);
  options.onProgress?.(progress);
  if (context.failure !== null) throw context.failure.error;
  return {
    ...progress,
    refusals: transfer.refusals,
    unappliedEvents: transfer.unapplied,
    retries: gate.retries,
    ledgerDiscarded: transfer.ledgerDiscarded,
  };
}

interface Context {
  readonly deps: SendDeps;
  readonly limits: SendLimits;
  readonly wire: Wire;
  readonly transfer: Transfer;
  /** Deliveries under way. */
  requests: number;
  failure: { readonly error: unknown } | null;
  sourceEnded: boolean;
}

/** The number of events to pass over. A ledger counts only when this server has applied what the ledger says it has. */
async function resume(wire: Wire, transfer: Transfer, ledger: Ledger | undefined): Promise<Skip> {
  const state = (await ledger?.read()) ?? null;
  if (state === null) return { events: 0, known: false };
  for (const [source, witnesses] of Map.groupBy(state.witnesses, (witness) => witness.source)) {
    const applied = await askApplied(
      wire,
      source,
      witnesses.map((witness) => witness.id),
    );
    if (applied.every(Boolean)) continue;
    transfer.ledgerDiscarded = true;
    return { events: 0, known: true };
  }
  transfer.continueFrom(state);
  return { events: state.settled, known: true };
}

interface Skip {
  readonly events: number;
  /** A run came before this one, so the next events may have been applied already. */
  readonly known: boolean;
}

/** Reads the source and sends its batches, as far as concurrency and the room for unproven events allow. */
async function feed(
  context: Context,
  source: AsyncIterable<InboundEvent> | Iterable<InboundEvent>,
  skip: Skip,
): Promise<void> {
  const { limits, transfer, wire } = context;
  const batches = makeBatches(source, { events: limits.batchEvents, bytes: limits.batchBytes, skip: skip.events });
  const askBefore = skip.known ? skip.events + limits.maxUnproven + limits.batchEvents : 0;
  for await (const { through, items, tooLarge } of batches) {
    while (
      context.failure === null &&
      (context.requests >= limits.concurrency ||
        (transfer.unproven > 0 && transfer.unproven + items.length > limits.maxUnproven))
    )
      await transfer.changed.wait();
    if (context.failure !== null) return;
    transfer.read += items.length + tooLarge.length;
    const batch = transfer.begin(through, items);
    for (const { source, id, type } of tooLarge)
      transfer.refuse(batch, { source, id, type, reason: "event-too-large", detail: "larger than one event may be" });
    if (items.length === 0) transfer.waitFor(batch, []);
    else
      launch(context, batch, async () => {
        if (through <= askBefore) await prove(wire, transfer, batch);
        await deliver(wire, transfer, batch);
      });
  }
  context.sourceEnded = true;
  transfer.changed.notify();
}

/** Starts a delivery and returns; its failure ends the transfer. */
function launch(context: Context, batch: OpenBatch, delivery: () => Promise<void>): void {
  const { deps, limits, transfer } = context;
  batch.state = "sending";
  context.requests += 1;
  const run = async (): Promise<void> => {
    try {
      await delivery();
      if (batch.pending.length > 0) {
        batch.state = "accepted";
        batch.acceptedAt = deps.now();
        batch.checks = 0;
        batch.checkAt = batch.acceptedAt + limits.firstCheckMs;
      }
    } catch (error) {
      context.failure ??= { error };
    }
    context.requests -= 1;
    transfer.changed.notify();
  };
  void run();
}

/** Asks about accepted batches until all are settled, and sends again what must have been lost. */
async function proveAll(context: Context, report: () => void): Promise<void> {
  const { deps, limits, transfer, wire } = context;
  const seen: Seen = { appliedAt: deps.now(), newestApplied: Number.NEGATIVE_INFINITY, lagMs: 0 };
  while (context.failure === null && !(context.sourceEnded && transfer.open.length === 0)) {
    const now = deps.now();
    const due = transfer.open.find((batch) => batch.state === "accepted" && batch.checkAt <= now);
    if (due === undefined) {
      await wire.gate.sleep(IDLE_MS);
      continue;
    }
    const { acceptedAt } = due;
    const some = await prove(wire, transfer, due);
    const after = deps.now();
    if (some) seen.appliedAt = after;
    if (due.pending.length === 0) {
      seen.newestApplied = Math.max(seen.newestApplied, acceptedAt);
      seen.lagMs += (after - acceptedAt - seen.lagMs) / 8;
    } else if (isLost(context, due, seen)) await sendAgain(context, due);
    else {
      const usual = due.checks === 0 ? Math.max(0, seen.lagMs - (after - acceptedAt)) : 0;
      due.checks += 1;
      due.checkAt = after + Math.min(limits.maxCheckMs, usual + limits.firstCheckMs * 2 ** Math.min(due.checks, 10));
    }
    await transfer.note(false);
    report();
  }
}

interface Seen {
  /** When an event was last found applied. */
  appliedAt: number;
  /** Latest acceptance among batches that are fully applied. */
  newestApplied: number;
  /** Usual time from acceptance to proof, in milliseconds. */
  lagMs: number;
}

/** Whether an accepted batch must be taken for lost: the server broke, later ones were applied, or nothing is applied any more. */
function isLost({ deps, limits, wire }: Context, batch: OpenBatch, seen: Seen): boolean {
  const now = deps.now();
  const { lastDisruptionAt } = wire.gate;
  if (lastDisruptionAt >= batch.acceptedAt && now - lastDisruptionAt >= limits.disruptedMs) return true;
  if (seen.newestApplied >= batch.acceptedAt && now - batch.acceptedAt >= limits.overtakenMs) return true;
  return now - Math.max(batch.acceptedAt, seen.appliedAt) >= limits.stalledMs;
}

async function sendAgain(context: Context, batch: OpenBatch): Promise<void> {
  const { limits, transfer, wire } = context;
  if (wire.gate.lastDisruptionAt < batch.acceptedAt) batch.resends += 1;
  if (batch.resends > limits.maxResends) {
    transfer.giveUp(batch);
    const unapplied = transfer.total("unapplied");
    if (unapplied > limits.maxUnapplied)
      throw new UnappliedError(
        `${unapplied} events were accepted but never applied, although they were sent ${limits.maxResends + 1} times ` +
          `(${transfer.unapplied.slice(0, 3).join(", ")} …). Look at the server's log and at GET /api/v1/dead-letters.`,
      );
    return;
  }
  while (context.requests >= limits.concurrency && context.failure === null) await transfer.changed.wait();
  transfer.countAgain(batch);
  launch(context, batch, () => deliver(wire, transfer, batch));
}

function throttle(options: SendOptions, deps: SendDeps, progress: () => SendProgress): () => void {
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    const now = deps.now();
    if (now - last < PROGRESS_MS) return;
    last = now;
    options.onProgress?.(progress());
  };
}
