import type { VisitorState } from "../../durable-objects/visitor-history.core.ts";

/** Copies younger than this are used as they are. */
const FRESH_MS = 5_000;
/** Recommendations may use copies up to a minute old: from `FRESH_MS` on they are renewed in the background. */
const USABLE_MS = 60_000;
/** Visitors kept, and facts of all of them together at some 100 bytes each: twenty megabytes, whoever they are. */
const MAX_VISITORS = 4_000;
const MAX_FACTS = 200_000;
/** A renewal that has not come by then is started again. */
const RENEWAL_MS = 5_000;

interface Copy {
  readonly state: VisitorState;
  /** When the read that it comes from began. */
  readonly readAt: number;
  renewingSince: number;
}

export interface VisitorSource {
  states(tenant: string, visitors: readonly string[]): Promise<Map<string, VisitorState>>;
}

/** What is known of visitors, in the memory of this isolate, with the objects behind it. */
export class VisitorReader {
  readonly #source: VisitorSource;
  readonly #now: () => number;
  readonly #background: (promise: Promise<unknown>) => void;
  readonly #copies = new Map<string, Copy>();
  #facts = 0;

  constructor(deps: { source: VisitorSource; now: () => number; background: (promise: Promise<unknown>) => void }) {
    this.#source = deps.source;
    this.#now = deps.now;
    this.#background = deps.background;
  }

  /** States in the order of the visitors from memory, whatever their age; undefined for one that is not there. */
  peek(tenant: string, visitors: readonly string[]): { states: (VisitorState | undefined)[]; usable: boolean } {
    const now = this.#now();
    const copies = visitors.map((visitor) => this.#copies.get(`${tenant}/${visitor}`));
    const oldest = Math.min(...copies.map((copy) => copy?.readAt ?? Number.NEGATIVE_INFINITY), now);
    const usable = now - oldest <= USABLE_MS;
    if (usable && now - oldest > FRESH_MS) this.#renew(tenant, visitors, copies, now);
    return { states: copies.map((copy) => copy?.state), usable };
  }

  /** Reads the visitors from their objects and keeps copies. */
  async read(tenant: string, visitors: readonly string[]): Promise<VisitorState[]> {
    const now = this.#now();
    const found = await this.#source.states(tenant, visitors);
    return visitors.map((visitor) => {
      const state = found.get(visitor) ?? { facts: [], consent: null };
      this.#keep(`${tenant}/${visitor}`, { state, readAt: now, renewingSince: Number.NEGATIVE_INFINITY });
      return state;
    });
  }

  /** Once for all requests that see the same old copies. */
  #renew(tenant: string, visitors: readonly string[], copies: readonly (Copy | undefined)[], now: number): void {
    if (copies.every((copy) => copy !== undefined && now - copy.renewingSince < RENEWAL_MS)) return;
    for (const copy of copies) if (copy) copy.renewingSince = now;
    this.#background(this.read(tenant, visitors).catch(() => {}));
  }

  #keep(key: string, copy: Copy): void {
    const before = this.#copies.get(key);
    // A read that began earlier may end later.
    if (before !== undefined && before.readAt > copy.readAt) return;
    this.#forget(key);
    this.#copies.set(key, copy);
    this.#facts += copy.state.facts.length;
    while (this.#copies.size > 1 && (this.#copies.size > MAX_VISITORS || this.#facts > MAX_FACTS)) {
      this.#forget(this.#copies.keys().next().value ?? "");
    }
  }

  #forget(key: string): void {
    this.#facts -= this.#copies.get(key)?.state.facts.length ?? 0;
    this.#copies.delete(key);
  }
}
