/** Time that passes only when everyone waits: the earliest sleeper is woken when the event loop has nothing else to do. */
export class VirtualClock {
  #now: number;
  #sleepers: { readonly at: number; readonly order: number; readonly wake: () => void }[] = [];
  #order = 0;
  #turning = false;

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#now = startMs;
  }

  readonly now = (): number => this.#now;

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      this.#sleepers.push({ at: this.#now + Math.max(0, ms), order: this.#order++, wake: resolve });
      this.#turn();
    });

  #turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(() => {
      this.#turning = false;
      this.#sleepers.sort((a, b) => a.at - b.at || a.order - b.order);
      const next = this.#sleepers.shift();
      if (next === undefined) return;
      this.#now = Math.max(this.#now, next.at);
      next.wake();
      if (this.#sleepers.length > 0) this.#turn();
    });
  }
}
