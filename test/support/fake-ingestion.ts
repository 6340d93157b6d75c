import { ApiError } from "../../batch-training/client/api-error.ts";
import type { ApiClient } from "../../batch-training/client/api-client.ts";
import type { EventResult } from "../../models/contract/api/events.ts";
import { MAX_EVENTS_PER_BATCH, type InboundEvent } from "../../models/contract/events.ts";
import { SeededRandom } from "../../batch-training/simulator/seeded-random.ts";

export interface Faults {
  readonly seed: number;
  /** Chance that a call is answered 429 or 503 with Retry-After. */
  readonly throttled?: number;
  /** Chance that a call reaches the server but its answer is lost. */
  readonly answerLost?: number;
  /** Chance that a call does not reach the server. */
  readonly requestLost?: number;
  /** Chance that a call kills the server: its queue is gone, and it is away for `downMs`. */
  readonly dies?: number;
  readonly downMs?: number;
  /** Chance that an accepted event is dropped by the queue without a crash. */
  readonly dropped?: number;
  /** Ids that the queue drops the first time; they are taken out of the set. */
  readonly dropsOnce?: Set<string>;
  /** Chance that the queue delivers an event twice. */
  readonly duplicated?: number;
  /** Ids that are refused, and ids that are accepted but never applied. */
  readonly refuses?: (id: string) => boolean;
  readonly neverApplies?: (id: string) => boolean;
}

interface Clock {
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Time from acceptance to application, and for one call, in milliseconds. */
const QUEUE_MS = 400;
const CALL_MS = 15;

/**
 * A Worker's ingestion as a sender sees it: what is applied is durable, what waits in the queue dies with the process.
 * Counts effects per identity, so that a test can tell lost from doubled.
 */
export class FakeIngestion {
  readonly applied = new Map<string, InboundEvent>();
  /** Applications refused as duplicates. */
  duplicates = 0;
  calls = 0;
  largestBatch = 0;
  mostAtOnce = 0;
  /** When calls came in, by kind. */
  readonly log: { readonly operation: string; readonly at: number }[] = [];
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #random: SeededRandom;
  #downUntil = Number.NEGATIVE_INFINITY;
  #life = 0;
  #atOnce = 0;

  constructor(clock: Clock, faults: Faults) {
    this.#clock = clock;
    this.#faults = faults;
    this.#random = new SeededRandom(`fake-ingestion-${faults.seed}`);
  }

  /** The server's process ends now. */
  die(downMs: number): void {
    this.#life += 1;
    this.#downUntil = this.#clock.now() + downMs;
  }

  readonly client: Pick<ApiClient, "call"> = {
    call: (async (route: { operationId: string }, request: { body: unknown }) => {
      this.calls += 1;
      this.log.push({ operation: route.operationId, at: this.#clock.now() });
      this.#atOnce += 1;
      this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
      try {
        return await this.#answer(route.operationId, request.body);
      } finally {
        this.#atOnce -= 1;
      }
    }) as unknown as ApiClient["call"],
  };

  async #answer(operation: string, body: unknown): Promise<unknown> {
    const { requestLost = 0, answerLost = 0, throttled = 0, dies = 0, downMs = 2_000 } = this.#faults;
    const life = this.#life;
    await this.#clock.sleep(CALL_MS);
    const chance = this.#random.next();
    if (chance < dies) this.die(downMs);
    if (this.#life !== life || this.#clock.now() < this.#downUntil || this.#random.next() < requestLost)
      throw new ApiError("connection refused", { kind: "unreachable" });
    if (this.#random.next() < throttled)
      throw new ApiError("busy", {
        kind: "problem",
        status: this.#random.next() < 0.5 ? 429 : 503,
        retryAfterMs: 1_000,
      });
    const answer = operation === "ingestEvents" ? this.#ingest(body as InboundEvent[]) : this.#check(body);
    if (this.#random.next() < answerLost) throw new ApiError("connection reset", { kind: "unreachable" });
    return answer;
  }

  #ingest(events: readonly InboundEvent[]): unknown {
    this.largestBatch = Math.max(this.largestBatch, events.length);
    if (events.length === 0 || events.length > MAX_EVENTS_PER_BATCH) throw new Error("outside the contract");
    const results: EventResult[] = events.map((event, index) =>
      this.#faults.refuses?.(event.id) === true
        ? { index, id: event.id, status: "refused", reason: "invalid-data", issues: [{ path: "/data", message: "no" }] }
        : { index, id: event.id, status: "accepted" },
    );
    const accepted = events.filter((_, index) => results[index]?.status === "accepted");
    const kept = accepted.filter((event) => {
      const dropped =
        this.#random.next() < (this.#faults.dropped ?? 0) || this.#faults.dropsOnce?.delete(event.id) === true;
      return !dropped && this.#faults.neverApplies?.(event.id) !== true;
    });
    const twice = kept.filter(() => this.#random.next() < (this.#faults.duplicated ?? 0));
    void this.#applyLater([...kept, ...twice]);
    return { status: 202, body: { accepted: accepted.length, refused: events.length - accepted.length, results } };
  }

  async #applyLater(events: readonly InboundEvent[]): Promise<void> {
    const life = this.#life;
    await this.#clock.sleep(QUEUE_MS * (0.5 + this.#random.next()));
    if (this.#life !== life) return;
    for (const event of events) {
      const identity = `${event.source} ${event.id}`;
      if (this.applied.has(identity)) this.duplicates += 1;
      else this.applied.set(identity, event);
    }
  }

  #check(body: unknown): unknown {
    const { source, ids } = body as { source: string; ids: string[] };
    if (ids.length === 0 || ids.length > 1_000) throw new Error("outside the contract");
    return { status: 200, body: { ingested: ids.map((id) => this.applied.has(`${source} ${id}`)) } };
  }
}
