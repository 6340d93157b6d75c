import { DurableObject } from "cloudflare:workers";
import type { DecisionRecord } from "../models/contract/decision-record.ts";
import type { Order } from "../models/contract/events/orders.ts";
import { objectOf } from "../models/sharding/virtual-shards.ts";
import {
  DecisionShardCore,
  type IdempotencyClaim,
  MAX_LOG_BATCH,
  type WrittenDecision,
} from "./decision-shard.core.ts";

/** Decisions wait this long for company before they go to the log, so that a log object holds many. */
const LOG_DELAY_MS = 5_000;
/** An alarm that only removes expired rows. */
const SWEEP_INTERVAL_MS = 3_600_000;

interface DecisionShardEnv {
  readonly LOGS: R2Bucket;
}

/** Orders by id and decisions, stored before they are answered. Thin: state is in the core, the log goes out by alarm. */
export class DecisionShard extends DurableObject<DecisionShardEnv> {
  readonly #core: DecisionShardCore;
  /** Epoch milliseconds of the pending alarm; null when unknown or none. */
  #alarmAt: number | null = null;

  constructor(state: DurableObjectState, env: DecisionShardEnv) {
    super(state, env);
    this.#core = new DecisionShardCore(state.storage);
  }

  putOrders(orders: readonly Order[]): void {
    this.#core.putOrders(orders, Date.now());
  }

  order(orderId: string): Order | null {
    return this.#core.order(orderId);
  }

  /** See the core. Arms the alarm that writes the log. */
  async putDecisions(
    records: readonly WrittenDecision[],
    options: { provisional?: readonly string[]; claim?: IdempotencyClaim | undefined } = {},
  ): Promise<(DecisionRecord | null)[]> {
    // Two requests with one key at the same time: the first to get here decides for both.
    const earlier = options.claim ? this.#core.claimed(options.claim) : null;
    if (earlier !== null && earlier !== "conflict" && earlier.decisionId !== records[0]?.decisionId) return [earlier];
    const stored = this.#core.putDecisions(records, options.provisional ?? []);
    const decisionId = stored[0]?.decisionId ?? records[0]?.decisionId;
    if (options.claim && decisionId !== undefined) this.#core.claim(options.claim, decisionId, Date.now());
    await this.#armAlarm(LOG_DELAY_MS);
    return stored;
  }

  storedDecisions(decisionIds: readonly string[]): DecisionRecord[] {
    return this.#core.storedDecisions(decisionIds);
  }

  decisionsOf(orderId: string): DecisionRecord[] {
    return this.#core.decisionsOf(orderId);
  }

  claimed(claim: IdempotencyClaim): DecisionRecord | "conflict" | null {
    return this.#core.claimed(claim);
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    const now = Date.now();
    const batch = this.#core.unlogged();
    if (batch.length > 0) await this.#writeLog(batch, now);
    this.#core.expire(now);
    await this.#armAlarm(batch.length === MAX_LOG_BATCH ? 0 : SWEEP_INTERVAL_MS);
  }

  /** One object per batch. The key follows from the first decision, so a retry after a crash writes the same object again. */
  async #writeLog(batch: readonly { id: number; decisionId: string; body: string }[], now: number): Promise<void> {
    const tenant = (this.ctx.id.name ?? "default/0").split("/")[0];
    const hour = new Date(now).toISOString().slice(0, 13);
    const key = `${tenant}/decisions/decided=${hour}/${batch[0]?.decisionId}.ndjson.gz`;
    const lines = new Blob([batch.map((entry) => `${entry.body}\n`).join("")]);
    const compressed = await new Response(lines.stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
    await this.env.LOGS.put(key, compressed);
    this.#core.markLogged(batch.at(-1)?.id ?? 0, key);
  }

  async #armAlarm(delayMs: number): Promise<void> {
    const at = Date.now() + delayMs;
    if (this.#alarmAt !== null && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    await this.ctx.storage.setAlarm(at);
  }
}

/** The name of the object that holds an order and its decisions. */
export function decisionShardName(place: { tenant: string; orderId: string; objects: number }): string {
  return `${place.tenant}/${objectOf(place.orderId, place.objects)}`;
}
