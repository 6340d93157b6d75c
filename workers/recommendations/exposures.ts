import type { Event } from "../../models/contract/events.ts";
import type { ExposureRecord } from "../../models/recommend/exposure.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { logWarning } from "../http/log.ts";

type ServedEvent = Event<"ml.recommendation.served.v1">;

/** A list that was answered: its record for the log, and its event. */
export interface Exposure {
  readonly record: ExposureRecord;
  readonly event: ServedEvent;
}

export interface ExposureDeps {
  readonly append: (tenant: string, records: readonly ExposureRecord[], now: number) => Promise<void>;
  readonly send: (events: readonly ServedEvent[]) => Promise<void>;
  /** Tells who counts outcomes which products the lists showed. */
  readonly attribute: (tenant: string, records: readonly ExposureRecord[], now: number) => Promise<void>;
  readonly now: () => number;
  readonly after: (milliseconds: number) => Promise<void>;
  /** Lets requests that have arrived go first. */
  readonly pause: () => Promise<void>;
  readonly metrics: MetricRegistry;
}

/** Lists of one log object, and the time that the first of them waits for company. */
const BATCH = 200;
const WAIT_MS = 1_000;
/** Events that are sent at a time, about a millisecond's work. Whoever asks for a list meanwhile waits no longer than that. */
const EVENTS_PER_SEND = 25;
/** A flush goes on for lists that were added while it sent, but no longer than a request may live on after its answer; then the next request has it. */
const MAX_PASSES = 10;
/** A flush that takes longer is taken for dead. */
const FLUSH_TIMEOUT_MS = 15_000;
/** Lists in memory at most, some megabytes: beyond it, while log or queue do not take them, the oldest are given up and counted. */
const MAX_PENDING = 2_000;
/** Where a list goes: to training, to other domains, to whoever counts its outcomes. */
const DESTINATIONS = ["log", "events", "attribution"] as const;
type Destination = (typeof DESTINATIONS)[number];

/**
 * Lists leave this isolate in batches after their answers: the death of an isolate loses at most a second of them, and what is given up is
 * counted in `exposures_dropped_total`: out of the log a list teaches nothing, and without attribution its outcomes are not counted.
 */
export class Exposures {
  readonly #deps: ExposureDeps;
  #pending: Exposure[] = [];
  /** When the flush that is under way began; null: none. */
  #flushingSince: number | null = null;

  constructor(deps: ExposureDeps) {
    this.#deps = deps;
  }

  /** @param keepAlive keeps the flush alive after the response */
  add(exposures: readonly Exposure[], keepAlive: (promise: Promise<unknown>) => void): void {
    this.#pending.push(...exposures);
    const surplus = this.#pending.length - MAX_PENDING;
    if (surplus > 0) {
      this.#pending.splice(0, surplus);
      for (const from of DESTINATIONS) this.#deps.metrics.count("exposures_dropped_total", { from }, surplus);
    }
    const now = this.#deps.now();
    // A flush belongs to a request, and dies with it.
    if (this.#flushingSince !== null && now - this.#flushingSince < FLUSH_TIMEOUT_MS) return;
    this.#flushingSince = now;
    keepAlive(this.#flush(this.#pending.length >= BATCH ? 0 : WAIT_MS));
  }

  async #flush(waitMs: number): Promise<void> {
    try {
      for (let pass = 0; pass < MAX_PASSES && this.#pending.length > 0; pass++) {
        const wait = pass === 0 ? waitMs : WAIT_MS;
        if (wait > 0) await this.#deps.after(wait);
        await this.#sendDue();
      }
    } finally {
      this.#flushingSince = null;
    }
  }

  /** Lists that are added meanwhile wait for company again: sent at once, each handful would be an object of its own. */
  async #sendDue(): Promise<void> {
    for (let due = this.#pending.length; due > 0; due -= BATCH) {
      this.#flushingSince = this.#deps.now();
      await this.#send(this.#pending.splice(0, Math.min(BATCH, due)));
    }
  }

  async #send(batch: readonly Exposure[]): Promise<void> {
    const byTenant = Map.groupBy(batch, ({ record }) => record.tenant);
    const now = this.#deps.now();
    const sending = [this.#announce(batch)];
    for (const [tenant, own] of byTenant) {
      const records = own.map(({ record }) => record);
      sending.push(this.#arrival("log", own.length, this.#deps.append(tenant, records, now)));
      sending.push(this.#arrival("attribution", own.length, this.#deps.attribute(tenant, records, now)));
    }
    await Promise.all(sending);
  }

  async #announce(batch: readonly Exposure[]): Promise<void> {
    for (let from = 0; from < batch.length; from += EVENTS_PER_SEND) {
      if (from > 0) await this.#deps.pause();
      const events = batch.slice(from, from + EVENTS_PER_SEND).map(({ event }) => event);
      await this.#arrival("events", events.length, this.#deps.send(events));
    }
  }

  /** Never rejects: what does not arrive is counted. */
  async #arrival(destination: Destination, lists: number, promise: Promise<void>): Promise<void> {
    try {
      await promise;
    } catch (error) {
      this.#deps.metrics.count("exposures_dropped_total", { from: destination }, lists);
      logWarning("lists did not arrive", { lists, destination, reason: String(error) });
    }
  }
}
