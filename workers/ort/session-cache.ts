/**
 * Resident sessions of one isolate, keyed by content (sha256), evicted least recently used by charged bytes. A session in
 * use is never released; an older version stays until something else needs its room, so that a candidate loads beside it.
 */
export interface Resident {
  /** Charged bytes. */
  readonly bytes: number;
  release(): Promise<void>;
}

interface Entry<S> {
  readonly session: S;
  /** Calls that hold the session right now. */
  users: number;
}

export class SessionCache<S extends Resident> {
  readonly #budgetBytes: number;
  /** Insertion order is recency: the first is the least recently used. */
  readonly #entries = new Map<string, Entry<S>>();
  #residentBytes = 0;
  /** Room promised to loads in progress. */
  #reservedBytes = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  get residentBytes(): number {
    return this.#residentBytes;
  }

  list(): { sha256: string; bytes: number }[] {
    return [...this.#entries].map(([sha256, entry]) => ({ sha256, bytes: entry.session.bytes }));
  }

  has(sha256: string): boolean {
    return this.#entries.has(sha256);
  }

  /** Runs `work` on the session, which stays resident meanwhile. Undefined if it is not resident. */
  use<T>(sha256: string, work: (session: S) => Promise<T>): Promise<T> | undefined {
    const entry = this.#entries.get(sha256);
    if (!entry) return undefined;
    this.#entries.delete(sha256);
    this.#entries.set(sha256, entry);
    entry.users++;
    return work(entry.session).finally(() => {
      entry.users--;
    });
  }

  /**
   * Makes room for a load, releasing idle sessions, oldest first. True: `bytes` are reserved until `unreserve`.
   * False: what is left is in use, and nothing was released.
   */
  async reserve(bytes: number): Promise<boolean> {
    const needed = this.#residentBytes + this.#reservedBytes + bytes - this.#budgetBytes;
    const victims: string[] = [];
    let freed = 0;
    for (const [sha256, entry] of this.#entries) {
      if (freed >= needed) break;
      if (entry.users > 0) continue;
      victims.push(sha256);
      freed += entry.session.bytes;
    }
    if (freed < needed) return false;
    this.#reservedBytes += bytes;
    const released = victims.flatMap((sha256) => this.#remove(sha256));
    await Promise.all(released.map((session) => session.release()));
    return true;
  }

  /** Gives a reservation back: after `insert`, or when the load failed. */
  unreserve(bytes: number): void {
    this.#reservedBytes -= bytes;
  }

  insert(sha256: string, session: S): void {
    this.#entries.set(sha256, { session, users: 0 });
    this.#residentBytes += session.bytes;
  }

  #remove(sha256: string): S[] {
    const entry = this.#entries.get(sha256);
    if (!entry) return [];
    this.#entries.delete(sha256);
    this.#residentBytes -= entry.session.bytes;
    return [entry.session];
  }
}
