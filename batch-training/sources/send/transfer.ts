import type { EventRejection } from "../../../models/contract/errors.ts";
import { type Ledger, type LedgerState, MAX_WITNESSES } from "./ledger.ts";
import type { SendItem } from "./make-batches.ts";
import { Notice } from "./notice.ts";

export interface SendProgress {
  /** Events settled by earlier runs, as the ledger says. */
  readonly resumed: number;
  /** Events taken from the source by this run. */
  readonly read: number;
  readonly accepted: number;
  /** Proven applied, by this run and by earlier ones. */
  readonly applied: number;
  readonly refused: number;
  /** Accepted, sent again and still never applied. */
  readonly unapplied: number;
  readonly resent: number;
  /** Answers that asked to wait. */
  readonly throttled: number;
  readonly elapsedMs: number;
}

export interface Refusal {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly reason: EventRejection;
  readonly detail: string;
}

/** Consecutive events under way, from their first sending until the last of them is settled. */
export interface OpenBatch {
  /** Position after the batch, in events from the start of the source. */
  readonly through: number;
  /** Sent or to be sent, and not yet settled. */
  pending: readonly SendItem[];
  state: "sending" | "accepted" | "settled";
  acceptedAt: number;
  checkAt: number;
  checks: number;
  resends: number;
  readonly counts: Counts;
}

/** What became of events. */
interface Counts {
  applied: number;
  refused: number;
  unapplied: number;
}

/** Refusals and given-up events that a report lists; all of them are counted. */
export const MAX_LISTED = 100;

/** The ledger is written at most this often, in milliseconds: a kill costs a second of asking again, not of sending again. */
const LEDGER_MS = 500;

interface TransferHooks {
  readonly now: () => number;
  readonly ledger: Ledger | undefined;
  readonly onRefused: ((refusal: Refusal) => void) | undefined;
}

/** What is known about one transfer: the batches under way, the counts, and how far everything is settled. No I/O but the ledger's. */
export class Transfer {
  /** In source order, from the first that is not settled. */
  readonly open: OpenBatch[] = [];
  readonly changed = new Notice();
  readonly refusals: Refusal[] = [];
  readonly unapplied: string[] = [];
  read = 0;
  accepted = 0;
  resent = 0;
  /** Events in open batches that are not settled. */
  unproven = 0;
  ledgerDiscarded = false;
  readonly #hooks: TransferHooks;
  readonly #startedAt: number;
  #resumed = 0;
  /** Everything before this position is settled, and `#settledCounts` counts it. */
  #settled = 0;
  readonly #settledCounts: Counts = { applied: 0, refused: 0, unapplied: 0 };
  #witnesses: LedgerState["witnesses"] = [];
  #writtenAt = Number.NEGATIVE_INFINITY;

  constructor(hooks: TransferHooks) {
    this.#hooks = hooks;
    this.#startedAt = hooks.now();
  }

  /** Takes over what an earlier run has settled. */
  continueFrom(state: LedgerState): void {
    this.#resumed = state.settled;
    this.#settled = state.settled;
    Object.assign(this.#settledCounts, {
      applied: state.applied,
      refused: state.refused,
      unapplied: state.unapplied,
    });
    this.#witnesses = state.witnesses;
  }

  begin(through: number, items: readonly SendItem[]): OpenBatch {
    const never = Number.POSITIVE_INFINITY;
    const batch: OpenBatch = {
      through,
      pending: items,
      state: "sending",
      acceptedAt: never,
      checkAt: never,
      checks: 0,
      resends: 0,
      counts: { applied: 0, refused: 0, unapplied: 0 },
    };
    this.open.push(batch);
    this.unproven += items.length;
    return batch;
  }

  refuse(batch: OpenBatch, refusal: Refusal): void {
    batch.counts.refused += 1;
    if (this.refusals.length < MAX_LISTED) this.refusals.push(refusal);
    this.#hooks.onRefused?.(refusal);
  }

  /** Settles as applied what a batch waits for, except `remaining`. */
  markApplied(batch: OpenBatch, remaining: readonly SendItem[]): void {
    const left = new Set(remaining);
    const witness = batch.pending.findLast((item) => !left.has(item));
    if (witness !== undefined) this.#remember({ source: witness.event.source, id: witness.event.id });
    batch.counts.applied += batch.pending.length - remaining.length;
    this.waitFor(batch, remaining);
  }

  /** What a batch waits for is about to be sent again: it is accepted once more, but counted once. */
  countAgain(batch: OpenBatch): void {
    this.resent += batch.pending.length;
    this.accepted -= batch.pending.length;
  }

  /** Settles what a batch still waits for as never applied. */
  giveUp(batch: OpenBatch): void {
    for (const { event } of batch.pending)
      if (this.unapplied.length < MAX_LISTED) this.unapplied.push(`${event.source} ${event.id}`);
    batch.counts.unapplied += batch.pending.length;
    this.waitFor(batch, []);
  }

  /** Replaces what a batch waits for; with nothing left the batch is settled. */
  waitFor(batch: OpenBatch, pending: readonly SendItem[]): void {
    this.unproven -= batch.pending.length - pending.length;
    batch.pending = pending;
    if (pending.length === 0) {
      batch.state = "settled";
      this.#advance();
    }
    this.changed.notify();
  }

  progress(throttled: number): SendProgress {
    return {
      resumed: this.#resumed,
      read: this.read,
      accepted: this.accepted,
      applied: this.total("applied"),
      refused: this.total("refused"),
      unapplied: this.total("unapplied"),
      resent: this.resent,
      throttled,
      elapsedMs: this.#hooks.now() - this.#startedAt,
    };
  }

  total(kind: keyof Counts): number {
    return this.open.reduce((sum, batch) => sum + batch.counts[kind], this.#settledCounts[kind]);
  }

  /** Writes the ledger when the last writing is some time ago, or at once with `force`. */
  async note(force: boolean): Promise<void> {
    const now = this.#hooks.now();
    if (this.#hooks.ledger === undefined || (!force && now - this.#writtenAt < LEDGER_MS)) return;
    this.#writtenAt = now;
    await this.#hooks.ledger.write({
      settled: this.#settled,
      ...this.#settledCounts,
      witnesses: this.#witnesses,
    });
  }

  #advance(): void {
    let first = this.open[0];
    while (first?.state === "settled") {
      this.#settled = first.through;
      for (const kind of ["applied", "refused", "unapplied"] as const) this.#settledCounts[kind] += first.counts[kind];
      this.open.shift();
      first = this.open[0];
    }
  }

  /** Keeps the newest ones: a server that was set back to an earlier state lacks them. */
  #remember(witness: LedgerState["witnesses"][number]): void {
    this.#witnesses =
      this.#witnesses.length < MAX_WITNESSES ? [...this.#witnesses, witness] : [...this.#witnesses.slice(1), witness];
  }
}
