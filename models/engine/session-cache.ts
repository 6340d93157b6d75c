/**
 * Loaded sessions of one isolate, by model name and version. Laws:
 *
 * - A version serves only after it was proven; until then, and whenever it cannot be loaded, the version of the same model
 *   that served last goes on serving. A request for a model that already serves never waits for a load.
 * - What is kept is values. A load may belong to a request that is cancelled, and then never settles: who waits for one
 *   waits for a bounded time and then loads for itself.
 * - A version that was refused is not tried again before its back-off is over.
 * - Sessions fit a budget of bytes; the least recently used go first, superseded versions before serving ones.
 *
 * Clock, timer and I/O are handed in.
 */
import { RefusalLog, type RefusalFields } from "./session-refusals.ts";

export interface SessionCacheOptions<S extends { readonly bytes: number }> {
  /** Resident bytes of all sessions together. */
  readonly budgetBytes: number;
  /** Fetches, verifies and compiles a version. @throws VersionRefused for what another attempt cannot change */
  readonly load: (name: string, version: string) => Promise<S>;
  /** null if the session answers as its golden vectors say; otherwise why it must not serve. */
  readonly prove: (session: S, name: string, version: string) => string | null | Promise<string | null>;
  /** Milliseconds of any steady origin. */
  readonly now: () => number;
  /** Resolves after so many milliseconds. */
  readonly after: (milliseconds: number) => Promise<void>;
  /** Keeps a load alive beyond the request that started it (`waitUntil`). */
  readonly keepAlive?: (work: Promise<void>) => void;
  readonly limits?: Partial<SessionCacheLimits>;
}

export interface SessionCacheLimits extends RefusalFields {
  /** Milliseconds that a request waits for somebody else's load before it loads for itself. */
  readonly waitMs: number;
  /** Milliseconds after which a load that nobody waits for is taken for dead; `waitUntil` allows 30 s. */
  readonly stalledMs: number;
  /** Loads of different versions at a time: each may hold a whole model twice. */
  readonly concurrentLoads: number;
}

const DEFAULT_LIMITS: SessionCacheLimits = {
  waitMs: 300,
  stalledMs: 15_000,
  concurrentLoads: 3,
  firstRetryMs: 1_000,
  longestRetryMs: 60_000,
  refusedRetryMs: 300_000,
  remembered: 256,
};

/** Thrown by `load` for a version that no retry can mend: wrong hash or signature, an operator that is not run. */
export class VersionRefused extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "VersionRefused";
  }
}

/** No version of the model can serve now. */
export class SessionUnavailable extends Error {
  /** refused: permanent for this version. failed: the load failed, a later one may not. busy: too many loads at once. */
  readonly code: "refused" | "failed" | "busy";
  readonly retryAfterMs: number;

  constructor(code: SessionUnavailable["code"], message: string, retryAfterMs: number) {
    super(message);
    this.name = "SessionUnavailable";
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface Served<S> {
  readonly session: S;
  /** The version that answers: what `X-Model-Version` must say. */
  readonly version: string;
  /** null where it is the version asked for; otherwise why it is an older one. */
  readonly instead: "loading" | "refused" | "failed" | "busy" | null;
}

interface Entry<S> {
  readonly name: string;
  readonly version: string;
  readonly served: Served<S>;
  /** Counter of uses: larger is more recent. */
  used: number;
}

interface Load<S> {
  readonly startedAt: number;
  readonly done: Promise<Entry<S> | null>;
}

export class SessionCache<S extends { readonly bytes: number }> {
  readonly #options: SessionCacheOptions<S>;
  readonly #limits: SessionCacheLimits;
  readonly #entries = new Map<string, Entry<S>>();
  /** The entry that served last, by model. */
  readonly #serving = new Map<string, Entry<S>>();
  readonly #loads = new Map<string, Load<S>>();
  readonly #refusals: RefusalLog;
  #uses = 0;

  constructor(options: SessionCacheOptions<S>) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#refusals = new RefusalLog(this.#limits);
  }

  /** The session if it is there: the whole cost of a warm request. */
  peek(name: string, version: string): Served<S> | null {
    const entry = this.#entries.get(keyOf(name, version));
    if (entry === undefined) return null;
    entry.used = ++this.#uses;
    this.#serving.set(name, entry);
    return entry.served;
  }

  /**
   * The version asked for, or the one of the same model that served last while that one loads or cannot.
   * @throws SessionUnavailable where neither can serve
   */
  async get(name: string, version: string): Promise<Served<S>> {
    const ready = this.peek(name, version);
    if (ready !== null) return ready;
    const previous = this.#serving.get(name);
    const started = this.#start(name, version, previous === undefined ? this.#limits.waitMs : this.#limits.stalledMs);
    if (previous !== undefined) {
      previous.used = ++this.#uses;
      return { ...previous.served, instead: typeof started === "string" ? started : "loading" };
    }
    if (typeof started === "string") throw this.#unavailable(name, version, started);
    return this.#wait(name, version, started);
  }

  /** Forgets a version at once, e.g. one that was revoked. */
  drop(name: string, version: string): void {
    this.#remove(keyOf(name, version));
  }

  /** Resident bytes of all sessions, as they are now: a session grows with its largest batch. */
  get bytes(): number {
    let total = 0;
    for (const { served } of this.#entries.values()) total += served.session.bytes;
    return total;
  }

  /** What is resident, most recently used first. */
  resident(): { name: string; version: string; bytes: number }[] {
    return [...this.#entries.values()]
      .sort((a, b) => b.used - a.used)
      .map(({ name, version, served }) => ({ name, version, bytes: served.session.bytes }));
  }

  /** Joins a load that is younger than `patience`, or starts one; a word where the version may not be loaded now. */
  #start(name: string, version: string, patience: number): Load<S> | "refused" | "failed" | "busy" {
    const key = keyOf(name, version);
    const now = this.#options.now();
    const running = this.#loads.get(key);
    // An older one is taken for dead: its request may have been cancelled.
    if (running !== undefined && now - running.startedAt < patience) return running;
    const refusal = this.#refusals.active(key, now);
    if (refusal !== null) return refusal.permanent ? "refused" : "failed";
    if (running === undefined && this.#loads.size >= this.#limits.concurrentLoads && !this.#forgetDead(now))
      return "busy";
    const load: Load<S> = { startedAt: now, done: this.#load(name, version) };
    this.#loads.set(key, load);
    const settled = this.#settle(key, load);
    this.#options.keepAlive?.(settled);
    return load;
  }

  async #settle(key: string, load: Load<S>): Promise<void> {
    await load.done;
    if (this.#loads.get(key) === load) this.#loads.delete(key);
  }

  /** Makes room among the running loads by forgetting those that nobody waits for any more. */
  #forgetDead(now: number): boolean {
    for (const [key, load] of this.#loads)
      if (now - load.startedAt >= this.#limits.waitMs) {
        this.#loads.delete(key);
        return true;
      }
    return false;
  }

  /** Never rejects: a failure is remembered, and null says so. */
  async #load(name: string, version: string): Promise<Entry<S> | null> {
    const key = keyOf(name, version);
    try {
      const session = await this.#options.load(name, version);
      const known = this.#entries.get(key);
      if (known !== undefined) return known;
      if (session.bytes > this.#options.budgetBytes)
        throw new VersionRefused(`${session.bytes} bytes; the budget is ${this.#options.budgetBytes}`);
      const objection = await this.#options.prove(session, name, version);
      if (objection !== null) throw new VersionRefused(objection);
      return this.#admit(name, version, session);
    } catch (error) {
      const known = this.#entries.get(key);
      if (known !== undefined) return known;
      const reason = error instanceof Error ? error.message : String(error);
      this.#refusals.note(key, { reason, permanent: error instanceof VersionRefused, now: this.#options.now() });
      return null;
    }
  }

  #admit(name: string, version: string, session: S): Entry<S> {
    const key = keyOf(name, version);
    const entry: Entry<S> = { name, version, served: { session, version, instead: null }, used: ++this.#uses };
    this.#refusals.clear(key);
    this.#entries.set(key, entry);
    this.#serving.set(name, entry);
    this.#evict(entry);
    return entry;
  }

  async #wait(name: string, version: string, first: Load<S>): Promise<Served<S>> {
    const deadline = async (): Promise<"late"> => {
      await this.#options.after(this.#limits.waitMs);
      return "late";
    };
    const withDeadline = async (load: Load<S>): Promise<Entry<S> | null | "late"> =>
      Promise.race([load.done, deadline()]);
    let outcome = await withDeadline(first);
    if (outcome === "late") {
      // What waited long enough loads for itself; if even that is not done in time, it waits for its own work only.
      const own = this.#start(name, version, this.#limits.waitMs);
      if (typeof own === "string") throw this.#unavailable(name, version, own);
      outcome = own === first ? await own.done : await withDeadline(own);
      if (outcome === "late") outcome = await own.done;
    }
    if (outcome !== null) return outcome.served;
    const refusal = this.#refusals.active(keyOf(name, version), this.#options.now());
    throw this.#unavailable(name, version, refusal?.permanent === true ? "refused" : "failed");
  }

  #unavailable(name: string, version: string, code: SessionUnavailable["code"]): SessionUnavailable {
    const now = this.#options.now();
    const refusal = this.#refusals.active(keyOf(name, version), now);
    return new SessionUnavailable(
      code,
      `model ${name} version ${version} cannot serve: ${refusal?.reason ?? code}`,
      refusal === null ? this.#limits.waitMs : refusal.until - now,
    );
  }

  /** Least recently used first, versions that no longer serve before those that do; never the one just admitted. */
  #evict(kept: Entry<S>): void {
    const isServing = (entry: Entry<S>): number => (this.#serving.get(entry.name) === entry ? 1 : 0);
    const candidates = [...this.#entries.values()]
      .filter((entry) => entry !== kept)
      .sort((a, b) => isServing(a) - isServing(b) || a.used - b.used);
    for (const entry of candidates) {
      if (this.bytes <= this.#options.budgetBytes) return;
      this.#remove(keyOf(entry.name, entry.version));
    }
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    if (this.#serving.get(entry.name) === entry) this.#serving.delete(entry.name);
  }
}

/** Names hold no line break (`ModelName`). */
function keyOf(name: string, version: string): string {
  return `${name}\n${version}`;
}
