import type { RoutingRecord } from "../../models/contract/api/models.ts";

/** An isolate looks again after this long, so a promotion or rollback is everywhere within seconds. */
export const REVALIDATE_AFTER_MS = 10_000;
/** A revalidation that takes longer is given up, so that the next request may try again. */
const REVALIDATION_TIMEOUT_MS = 5_000;

export interface RoutingSource {
  /** The cold-start copy, up to a minute old; null when there is none. */
  readCopy(tenant: string, model: string): Promise<RoutingRecord | null>;
  /** The truth. */
  record(tenant: string, model: string): Promise<RoutingRecord | null>;
}

interface Entry {
  record: RoutingRecord | null;
  checkedAt: number;
  revalidatingSince: number | null;
}

/**
 * Routing records as this isolate knows them. The first look reads the copy, or the truth where there is none; later looks answer
 * from memory and revalidate in the background. A record never gives way to one with a smaller epoch.
 */
export class RoutingCache {
  readonly #source: RoutingSource;
  readonly #now: () => number;
  readonly #background: (promise: Promise<unknown>) => void;
  readonly #entries = new Map<string, Entry>();

  constructor(deps: { source: RoutingSource; now: () => number; background: (promise: Promise<unknown>) => void }) {
    this.#source = deps.source;
    this.#now = deps.now;
    this.#background = deps.background;
  }

  /** The record in memory, or undefined when this isolate has not looked yet. */
  peek(tenant: string, model: string): RoutingRecord | null | undefined {
    const entry = this.#entries.get(`${tenant}/${model}`);
    if (!entry) return undefined;
    const now = this.#now();
    const stuck = entry.revalidatingSince !== null && now - entry.revalidatingSince > REVALIDATION_TIMEOUT_MS;
    if (now - entry.checkedAt > REVALIDATE_AFTER_MS && (entry.revalidatingSince === null || stuck)) {
      entry.revalidatingSince = now;
      this.#background(this.#revalidate(tenant, model, entry));
    }
    return entry.record;
  }

  /** The first look. A copy that exists is used at once and the truth asked in the background. */
  async load(tenant: string, model: string): Promise<RoutingRecord | null> {
    const copy = await this.#source.readCopy(tenant, model);
    const record = copy ?? (await this.#source.record(tenant, model));
    const known = this.#entries.get(`${tenant}/${model}`);
    if (known) return this.#adopt(known, record);
    // A copy may be old: it counts as checked long ago, so the next look revalidates it.
    const checkedAt = copy ? 0 : this.#now();
    this.#entries.set(`${tenant}/${model}`, { record, checkedAt, revalidatingSince: null });
    return record;
  }

  async #revalidate(tenant: string, model: string, entry: Entry): Promise<void> {
    try {
      this.#adopt(entry, await this.#source.record(tenant, model));
      entry.checkedAt = this.#now();
    } finally {
      entry.revalidatingSince = null;
    }
  }

  #adopt(entry: Entry, record: RoutingRecord | null): RoutingRecord | null {
    if (record && record.epoch >= (entry.record?.epoch ?? 0)) entry.record = record;
    return entry.record;
  }
}
