import { DurableObject } from "cloudflare:workers";
import { FEATURE_CATALOG } from "../models/catalog/feature-catalog.ts";
import type { FactBatch } from "../models/features/fact-batch.ts";
import { objectOf } from "../models/sharding/virtual-shards.ts";
import { type AppliedFacts, type AttemptAnswer, type EntityStates, EntityShardCore } from "./entity-shard.core.ts";
import type { ClaimOutcome, EventClaim } from "./event-identities.ts";
import type { DropPage, TransferCursor, TransferPage } from "./entity-transfer.ts";

/** Time between sweeps while there is more to remove, and when there is not. */
const BUSY_SWEEP_MS = 1_000;
const IDLE_SWEEP_MS = 3_600_000;

/** State of the entities that hash to one object, and identities of events. Thin: everything but the clock is in the core. */
export class EntityShard extends DurableObject {
  readonly #core: EntityShardCore;
  #alarmArmed = false;

  constructor(state: DurableObjectState, env: Cloudflare.Env) {
    super(state, env);
    this.#core = new EntityShardCore(state.storage, FEATURE_CATALOG);
  }

  async claim(claims: EventClaim[]): Promise<ClaimOutcome[]> {
    await this.#armAlarm();
    return this.#core.claim(claims, Date.now());
  }

  async ingest(claims: EventClaim[], batch: FactBatch): Promise<{ claims: ClaimOutcome[]; applied: AppliedFacts }> {
    await this.#armAlarm();
    return this.#core.ingest(claims, batch, Date.now());
  }

  async settle(identities: string[]): Promise<void> {
    this.#core.settle(identities);
  }

  async settled(identities: string[]): Promise<boolean[]> {
    return this.#core.settled(identities);
  }

  async apply(batch: FactBatch): Promise<AppliedFacts> {
    await this.#armAlarm();
    return this.#core.apply(batch);
  }

  async read(names: string[], known: number[]): Promise<EntityStates> {
    return this.#core.read(names, known);
  }

  async attempt(batch: FactBatch, known: number[]): Promise<AttemptAnswer> {
    return this.#core.attempt(batch, known);
  }

  async exportPage(cursor: TransferCursor): Promise<TransferPage> {
    return this.#core.exportPage(cursor);
  }

  async importPage(page: Pick<TransferPage, "entities" | "events">): Promise<void> {
    await this.#armAlarm();
    this.#core.importPage(page);
  }

  async dropElsewhere(place: { index: number; objects: number }, cursor: TransferCursor): Promise<DropPage> {
    return this.#core.dropElsewhere(place, cursor);
  }

  async note(name: string): Promise<string | null> {
    return this.#core.note(name);
  }

  async setNote(name: string, value: string): Promise<void> {
    this.#core.setNote(name, value);
  }

  override async alarm(): Promise<void> {
    const isBusy = this.#core.sweep(Date.now());
    this.#alarmArmed = true;
    await this.ctx.storage.setAlarm(Date.now() + (isBusy ? BUSY_SWEEP_MS : IDLE_SWEEP_MS));
  }

  async #armAlarm(): Promise<void> {
    if (this.#alarmArmed) return;
    this.#alarmArmed = true;
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + IDLE_SWEEP_MS);
  }
}

/** The name of the object that holds a key: an entity's name, or an event's identity. */
export function entityShardName(place: { tenant: string; key: string; objects: number }): string {
  return `${place.tenant}/${objectOf(place.key, place.objects)}`;
}
