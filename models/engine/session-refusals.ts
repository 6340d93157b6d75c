export interface RefusalFields {
  /** Wait after the first failed load, doubled by each further one. */
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
  /** Wait after a refusal: content never changes, but the engine that refused it may be replaced. */
  readonly refusedRetryMs: number;
  /** Versions whose failures are remembered; the oldest are forgotten. */
  readonly remembered: number;
}

export interface Refusal {
  readonly reason: string;
  readonly permanent: boolean;
  /** No load before this time. */
  readonly until: number;
  readonly failures: number;
}

/** Versions that failed to load, and when each may be tried again. */
export class RefusalLog {
  readonly #fields: RefusalFields;
  readonly #refusals = new Map<string, Refusal>();

  constructor(fields: RefusalFields) {
    this.#fields = fields;
  }

  /** The refusal that still holds; null where a load may start. */
  active(key: string, now: number): Refusal | null {
    const refusal = this.#refusals.get(key);
    return refusal !== undefined && now < refusal.until ? refusal : null;
  }

  note(key: string, { reason, permanent, now }: { reason: string; permanent: boolean; now: number }): void {
    const { firstRetryMs, longestRetryMs, refusedRetryMs, remembered } = this.#fields;
    const failures = (this.#refusals.get(key)?.failures ?? 0) + 1;
    const wait = permanent ? refusedRetryMs : Math.min(longestRetryMs, firstRetryMs * 2 ** (failures - 1));
    // Deleted first, so that the map's order is that of the last failure.
    this.#refusals.delete(key);
    this.#refusals.set(key, { reason, permanent, until: now + wait, failures });
    for (const oldest of this.#refusals.keys()) {
      if (this.#refusals.size <= remembered) return;
      this.#refusals.delete(oldest);
    }
  }

  clear(key: string): void {
    this.#refusals.delete(key);
  }
}
