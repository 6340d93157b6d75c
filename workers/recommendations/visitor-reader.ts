import type { VisitorState } from "../../durable-objects/visitor-history.core.ts";

/** Copies younger than this are used as they are. */
const FRESH_MS = 5_000;
/** Recommendations may use copies up to a minute old: from `FRESH_MS` on they are renewed in the background. */
const USABLE_MS = 60_000;
/** Visitors kept: about 10 KB each at most, 2 KB on average. */
const MAX_VISITORS = 4_000;

interface Copy {
  readonly state: VisitorState;
  readonly readAt: number;
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
    if (usable && now - oldest > FRESH_MS) this.#background(this.read(tenant, visitors).catch(() => {}));
    return { states: copies.map((copy) => copy?.state), usable };
  }

  /** Reads the visitors from their objects and keeps copies. */
  async read(tenant: string, visitors: readonly string[]): Promise<VisitorState[]> {
    const now = this.#now();
    const found = await this.#source.states(tenant, visitors);
    return visitors.map((visitor) => {
      const state = found.get(visitor) ?? { facts: [], consent: null };
      const key = `${tenant}/${visitor}`;
      this.#copies.delete(key);
      if (this.#copies.size >= MAX_VISITORS) this.#copies.delete(this.#copies.keys().next().value ?? "");
      this.#copies.set(key, { state, readAt: now });
      return state;
    });
  }
}
