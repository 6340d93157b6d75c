import { ApiError } from "../../client/api-error.ts";

export interface RetryPolicy {
  /** First wait after a failure, in milliseconds; it doubles up to `maxBackoffMs`. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** A call is given up when no call of the gate has succeeded for this long, in milliseconds. */
  readonly giveUpAfterMs: number;
  /** A call is given up after this many attempts, also when others succeed meanwhile. */
  readonly maxAttempts: number;
}

export interface RetryDeps {
  readonly now: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Longest wait that a server may ask for, in milliseconds; a longer one is treated as this. */
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * Repeats calls that may succeed later, with exponential back-off and jitter. A `Retry-After` holds every call of
 * the gate, not only the one that was told, so that an overloaded server is left alone.
 */
export class RetryGate {
  readonly #deps: RetryDeps;
  readonly #policy: RetryPolicy;
  readonly #signal: AbortSignal | undefined;
  #heldUntil = 0;
  #lastSuccessAt = Number.NEGATIVE_INFINITY;
  /** When a connection last broke or timed out: accepted events may have been lost with the server. */
  lastDisruptionAt = Number.NEGATIVE_INFINITY;
  retries = 0;
  throttled = 0;

  constructor(deps: RetryDeps, policy: RetryPolicy, signal?: AbortSignal) {
    this.#deps = deps;
    this.#policy = policy;
    this.#signal = signal;
  }

  /**
   * @throws {ApiError} at once when it is not retryable, otherwise when the policy's patience ends
   */
  async call<T>(once: () => Promise<T>): Promise<T> {
    const startedAt = this.#deps.now();
    for (let attempt = 0; ; attempt++) {
      await this.#whileHeld();
      this.#signal?.throwIfAborted();
      try {
        const result = await once();
        this.#lastSuccessAt = this.#deps.now();
        return result;
      } catch (error) {
        if (!(error instanceof ApiError) || !error.retryable) throw error;
        await this.#afterFailure(error, attempt, startedAt);
      }
    }
  }

  /** Waits, unless the transfer is aborted meanwhile. */
  async sleep(ms: number): Promise<void> {
    this.#signal?.throwIfAborted();
    await this.#deps.sleep(ms, this.#signal);
  }

  async #afterFailure(error: ApiError, attempt: number, startedAt: number): Promise<void> {
    const now = this.#deps.now();
    if (error.kind === "unreachable" || error.kind === "timeout") this.lastDisruptionAt = now;
    const silentMs = now - Math.max(startedAt, this.#lastSuccessAt);
    if (silentMs >= this.#policy.giveUpAfterMs || attempt + 1 >= this.#policy.maxAttempts)
      throw new ApiError(
        `${error.message} Given up after ${attempt + 1} attempts in ${Math.round((now - startedAt) / 1_000)} s; ` +
          "run the same command again to continue where it stopped.",
        { kind: error.kind, cause: error, ...(error.status === null ? {} : { status: error.status }) },
      );
    this.retries += 1;
    const ceiling = Math.min(this.#policy.maxBackoffMs, this.#policy.backoffMs * 2 ** Math.min(attempt, 30));
    const jittered = ceiling * (0.5 + 0.5 * this.#deps.random());
    if (error.retryAfterMs !== null) {
      this.throttled += 1;
      const wait = Math.min(error.retryAfterMs, MAX_RETRY_AFTER_MS);
      this.#heldUntil = Math.max(this.#heldUntil, now + wait);
    }
    await this.sleep(jittered);
  }

  async #whileHeld(): Promise<void> {
    for (let wait = this.#heldUntil - this.#deps.now(); wait > 0; wait = this.#heldUntil - this.#deps.now())
      await this.sleep(wait);
  }
}
