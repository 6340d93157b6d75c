import { createHash } from "node:crypto";
import type { EventData, InboundEvent, InboundEventType } from "../../models/contract/events.ts";
import { EventQueue } from "./event-queue.ts";
import { SeededRandom } from "./seeded-random.ts";

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

export const CURRENCY = "EUR";

/** Fourteen weeks: 90-day windows fill, and the last two weeks can be kept for evaluation. */
export const DEFAULT_DAYS = 98;

export interface SimulationOptions {
  readonly seed: string;
  /** Size of the shop: 1 has about 2,800 customers and 15,000 orders. 0.01 to 100. */
  readonly scale: number;
  /** Epoch milliseconds at which the simulated past ends. */
  readonly end: number;
  /** Whole days of history, 14 to 365. */
  readonly days?: number;
}

export const FRAUD_PATTERNS = [
  "stolen-card",
  "account-takeover",
  "bot-ring",
  "compromised-terminal",
  "card-testing",
  "friendly",
] as const;
export type FraudPattern = (typeof FRAUD_PATTERNS)[number];

/** What only the simulation knows about an event. */
export interface Truth {
  readonly fraud?: FraudPattern;
  /** Name of the disturbance that a sensor reading is part of. */
  readonly anomaly?: string;
  readonly content?: "toxic" | "spam";
}

export interface SimulatedEvent {
  readonly event: InboundEvent;
  readonly truth: Truth;
}

/** Systems of the shop that send events, each numbering its own. */
export type SystemName = "orders" | "payments" | "web" | "catalogue" | "warehouse" | "customers" | "community";

interface Pending {
  readonly at: number;
  readonly recordedAt: number;
  readonly system: SystemName;
  readonly type: InboundEventType;
  readonly data: unknown;
  readonly truth: Truth;
}

export interface EmitOptions {
  /** Milliseconds from the fact to its recording; a few seconds when not given. */
  readonly delayMs?: number;
  readonly truth?: Truth;
}

/** The run: its span of time, its identity, its streams of random numbers, and the facts that wait for their time. */
export class World {
  readonly options: Required<SimulationOptions>;
  /** Start of the first simulated day, UTC. */
  readonly start: number;
  /** Facts later than this, or recorded later, have not happened yet. */
  readonly end: number;
  /** Part of every identifier, so that two runs never share one. */
  readonly tag: string;
  readonly #random: SeededRandom;
  readonly #delays: SeededRandom;
  readonly #queue = new EventQueue<Pending>();
  readonly #numbers = new Map<string, number>();

  constructor(options: SimulationOptions) {
    const days = options.days ?? DEFAULT_DAYS;
    if (!(options.scale >= 0.01 && options.scale <= 100))
      throw new RangeError(`The scale must be from 0.01 to 100, not ${options.scale}.`);
    if (!Number.isInteger(days) || days < 14 || days > 365)
      throw new RangeError(`The simulated past must have 14 to 365 whole days, not ${days}.`);
    if (!Number.isSafeInteger(options.end)) throw new RangeError("The end must be a time in epoch milliseconds.");
    this.options = { ...options, days };
    this.end = options.end;
    this.start = (Math.floor(options.end / DAY_MS) - days) * DAY_MS;
    const identity = `edgewise-shop/${options.seed}/${options.scale}/${options.end}/${days}`;
    this.tag = createHash("sha256").update(identity).digest("hex").slice(0, 5);
    this.#random = new SeededRandom(identity);
    this.#delays = this.#random.fork("delays");
  }

  /** A stream of random numbers for one part of the world. */
  random(part: string): SeededRandom {
    return this.#random.fork(part);
  }

  /** The next identifier of a kind: `ord-3fa9c-17`. */
  id(kind: string): string {
    const number = (this.#numbers.get(kind) ?? 0) + 1;
    this.#numbers.set(kind, number);
    return `${kind}-${this.tag}-${number}`;
  }

  /** Start of day `day`, counted from 0. */
  day(day: number): number {
    return this.start + day * DAY_MS;
  }

  /** States a fact, which comes out of `takeBefore` in its turn. False when it lies beyond the end, or is recorded there. */
  emit<T extends InboundEventType>(
    system: SystemName,
    type: T,
    at: number,
    data: EventData<T>,
    options: EmitOptions = {},
  ): boolean {
    const delayMs = options.delayMs ?? 500 + this.#delays.exponential(3_000);
    const time = Math.floor(at);
    const recordedAt = time + Math.floor(delayMs);
    if (recordedAt >= this.end) return false;
    this.#queue.add({ at: time, recordedAt, system, type, data, truth: options.truth ?? {} });
    return true;
  }

  /** The next fact before `time`, as an event. */
  takeBefore(time: number): SimulatedEvent | undefined {
    const next = this.#queue.takeBefore(time);
    if (next === undefined) return undefined;
    const event = {
      specversion: "1.0",
      id: this.id(next.system),
      source: `/simulated-shop/${this.tag}/${next.system}`,
      type: next.type,
      time: isoTime(next.at),
      recordedtime: isoTime(next.recordedAt),
      data: next.data,
    } as InboundEvent;
    return { event, truth: next.truth };
  }
}

export function isoTime(at: number): string {
  return new Date(at).toISOString();
}

export function money(cents: number): { amount: number; currency: string } {
  return { amount: Math.round(cents), currency: CURRENCY };
}
