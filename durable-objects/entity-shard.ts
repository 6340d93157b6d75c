import { DurableObject } from "cloudflare:workers";
import { FEATURE_CATALOG } from "../models/catalog/feature-catalog.ts";
import type { FactBatch } from "../models/features/fact-batch.ts";
import { objectOf } from "../models/sharding/virtual-shards.ts";
import { writeCopies } from "./entity-copies.ts";
import { type AppliedFacts, type AttemptAnswer, type EntityStates, EntityShardCore } from "./entity-shard.core.ts";
import type { ClaimOutcome, EventClaim } from "./event-identities.ts";
import type { DropPage, TransferCursor, TransferPage } from "./entity-transfer.ts";

import { type LoadState, type StagedLoad, type StagedPart, STAGED_TTL_MS } from "./staged-loads.ts";

/** Time between sweeps while there is more to remove, and when there is not. */
const BUSY_SWEEP_MS = 1_000;
const IDLE_SWEEP_MS = 3_600_000;
/** A changed copy is written this much later, once for all changes in between; tried again later where that fails. */
const COPY_INTERVAL_MS = 1_000;
const COPY_RETRY_MS = 10_000;
const SWEEP_NOTE = "sweepAt";

/** State of the entities that hash to one object, and identities of events. Thin: everything but the clock is in the core. */
export class EntityShard extends DurableObject {
  readonly #core: EntityShardCore;
  /** When the alarm is known to ring; null: unknown. */
  #alarmAt: number | null = null;

  constructor(state: DurableObjectState, env: Cloudflare.Env) {
    super(state, env);
    this.#core = new EntityShardCore(state.storage, FEATURE_CATALOG);
  }

  async claim(claims: EventClaim[]): Promise<ClaimOutcome[]> {
    const outcomes = this.#core.claim(claims, Date.now());
    if (this.#needsAlarm) await this.#arm();
    return outcomes;
  }

  async ingest(claims: EventClaim[], batch: FactBatch): Promise<{ claims: ClaimOutcome[]; applied: AppliedFacts }> {
    const answer = this.#core.ingest(claims, batch, Date.now());
    if (this.#needsAlarm) await this.#arm();
    return answer;
  }

  async settle(identities: string[]): Promise<void> {
    this.#core.settle(identities);
  }

  async settled(identities: string[]): Promise<boolean[]> {
    return this.#core.settled(identities);
  }

  async apply(batch: FactBatch): Promise<AppliedFacts> {
    const applied = this.#core.apply(batch);
    if (this.#needsAlarm) await this.#arm();
    return applied;
  }

  async read(names: string[], known: number[]): Promise<EntityStates> {
    if (!this.#core.loads.any) return this.#core.read(names, known);
    const undecided = await this.#settleLoads(names);
    if (this.#needsAlarm) await this.#arm();
    return { ...this.#core.read(names, known), undecided };
  }

  async attempt(batch: FactBatch, known: number[]): Promise<AttemptAnswer> {
    if (this.#core.loads.any) await this.#settleLoads(batch.entities);
    const answer = this.#core.attempt(batch, known);
    if (this.#needsAlarm) await this.#arm();
    return answer;
  }

  async exportPage(cursor: TransferCursor): Promise<TransferPage> {
    // What is committed moves as state; what is not is staged again where it then belongs.
    if (this.#core.loads.any) await this.#settleLoads(null);
    return this.#core.exportPage(cursor);
  }

  async importPage(page: Pick<TransferPage, "entities" | "events">): Promise<void> {
    this.#core.importPage(page);
    if (this.#needsAlarm) await this.#arm();
  }

  async dropElsewhere(place: { index: number; objects: number }, cursor: TransferCursor): Promise<DropPage> {
    return this.#core.dropElsewhere(place, cursor);
  }

  async stageLoad(part: StagedPart, batch: FactBatch): Promise<void> {
    this.#core.loads.stage(part, batch, Date.now());
    if (this.#needsAlarm) await this.#arm();
  }

  async loadPartStaged(load: string, part: number, objects: string[]): Promise<void> {
    this.#core.loads.partStaged(load, part, objects, Date.now());
  }

  async loadState(load: string): Promise<LoadState | null> {
    return this.#core.loads.state(load);
  }

  async commitLoad(load: string, parts: number): Promise<{ committedAt: number; objects: string[] } | null> {
    return this.#core.loads.commit(load, parts, Date.now());
  }

  /** Folds a bounded part of a committed load; returns whether more is left. */
  async foldLoad(load: string, committedAt: number): Promise<boolean> {
    const left = this.#core.loads.fold(load, committedAt, null);
    if (this.#needsAlarm) await this.#arm();
    return left;
  }

  async note(name: string): Promise<string | null> {
    return this.#core.note(name);
  }

  async setNote(name: string, value: string): Promise<void> {
    this.#core.setNote(name, value);
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    let sweepAt = this.#sweepAt(now);
    if (sweepAt <= now) {
      await this.#sweepLoads(now);
      sweepAt = now + (this.#core.sweep(now) ? BUSY_SWEEP_MS : IDLE_SWEEP_MS);
      this.#core.setNote(SWEEP_NOTE, String(sweepAt));
    }
    const copyDelay = this.#core.hasPendingCopies ? await this.#writeCopies() : COPY_INTERVAL_MS;
    this.#alarmAt = this.#core.hasPendingCopies ? Math.min(sweepAt, Date.now() + copyDelay) : sweepAt;
    await this.ctx.storage.setAlarm(this.#alarmAt);
  }

  /**
   * Folds staged facts of these entities, or of all, whose load is committed: the coordinator is asked, so that every reader sees a load
   * from the moment of its commit, or nothing of it. Rejects where the coordinator does not answer: then nobody knows. Returns the loads
   * that were not committed when it was asked.
   */
  async #settleLoads(names: readonly string[] | null): Promise<StagedLoad[]> {
    const undecided: StagedLoad[] = [];
    for (const held of this.#core.loads.held(names)) {
      const committedAt = await this.#committedAt(held.load, held.coordinator);
      if (committedAt === null) undecided.push(held);
      else while (this.#core.loads.fold(held.load, committedAt, names));
    }
    return undecided;
  }

  async #sweepLoads(now: number): Promise<void> {
    this.#core.loads.sweep(now);
    for (const { load, coordinator, at } of this.#core.loads.held(null)) {
      const committedAt = await this.#committedAt(load, coordinator).catch(() => undefined);
      if (committedAt === undefined) continue;
      if (committedAt !== null) while (this.#core.loads.fold(load, committedAt, null));
      else if (at < now - STAGED_TTL_MS) this.#core.loads.drop(load);
    }
  }

  async #committedAt(load: string, coordinator: string): Promise<number | null> {
    if (coordinator === this.ctx.id.name) return this.#core.loads.state(load)?.committedAt ?? null;
    const { ENTITY_SHARDS, JURISDICTION } = this.env;
    const namespace = JURISDICTION
      ? ENTITY_SHARDS.jurisdiction(JURISDICTION as DurableObjectJurisdiction)
      : ENTITY_SHARDS;
    return (await namespace.getByName(coordinator).loadState(load))?.committedAt ?? null;
  }

  /** Writes the copies that are due. Returns when to look again, milliseconds. */
  async #writeCopies(): Promise<number> {
    const tenant = (this.ctx.id.name ?? "default/0").split("/")[0] ?? "default";
    const due = this.#core.dueCopies(tenant);
    try {
      // KV has no jurisdiction: where one is set, state stays in the objects.
      const done = this.env.JURISDICTION ? due : await writeCopies(this.env.KV, due);
      this.#core.copiesWritten(done);
      return done.length < due.length ? COPY_RETRY_MS : COPY_INTERVAL_MS;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      console.error(JSON.stringify({ level: "error", message: "copies were not written", copies: due.length, reason }));
      return COPY_RETRY_MS;
    }
  }

  /** When expired rows are looked for next, epoch milliseconds; kept, since copies ring the same alarm. */
  #sweepAt(now: number): number {
    const note = this.#core.note(SWEEP_NOTE);
    return note === null ? now : Number(note);
  }

  /** Asked after every call: nearly always there is nothing to do, and then nothing is awaited. */
  get #needsAlarm(): boolean {
    return this.#alarmAt === null || (this.#core.hasPendingCopies && this.#alarmAt > Date.now() + COPY_INTERVAL_MS);
  }

  async #arm(): Promise<void> {
    const now = Date.now();
    this.#alarmAt ??= await this.ctx.storage.getAlarm();
    const wanted = now + (this.#core.hasPendingCopies ? COPY_INTERVAL_MS : IDLE_SWEEP_MS);
    if (this.#alarmAt !== null && this.#alarmAt <= wanted) return;
    this.#alarmAt = wanted;
    await this.ctx.storage.setAlarm(wanted);
  }
}

/** The name of the object that holds a key: an entity's name, or an event's identity. */
export function entityShardName(place: { tenant: string; key: string; objects: number }): string {
  return `${place.tenant}/${objectOf(place.key, place.objects)}`;
}
