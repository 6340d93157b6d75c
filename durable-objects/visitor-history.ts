import { DurableObject } from "cloudflare:workers";
import { objectOfShard, virtualShardOf } from "../models/sharding/virtual-shards.ts";
import type { AnsweredList, Attributed, ListOutcome } from "./list-outcomes.core.ts";
import { applyMigrations } from "./migrations.ts";
import {
  VISITOR_HISTORY_MIGRATIONS,
  type VisitorChange,
  VisitorHistoryCore,
  type VisitorState,
} from "./visitor-history.core.ts";

/** What is kept for a time ends also where nobody writes any more: an alarm looks once a day. */
const SWEEP_EVERY_MS = 86_400_000;

/** Histories of visitors by pseudonym, and what became of the lists they were shown. Thin: state is in the core. */
export class VisitorHistory extends DurableObject {
  readonly #core: VisitorHistoryCore;
  #isArmed = false;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as Cloudflare.Env);
    applyMigrations(state.storage, VISITOR_HISTORY_MIGRATIONS);
    this.#core = new VisitorHistoryCore(state.storage);
  }

  async apply(changes: readonly VisitorChange[]): Promise<void> {
    this.#core.apply(changes, Date.now());
    await this.#arm();
  }

  async attribute(lists: readonly AnsweredList[], outcomes: readonly ListOutcome[]): Promise<Attributed> {
    const attributed = this.#core.attribute(lists, outcomes, Date.now());
    await this.#arm();
    return attributed;
  }

  states(visitors: readonly string[]): VisitorState[] {
    return this.#core.states(visitors);
  }

  override async alarm(): Promise<void> {
    this.#isArmed = false;
    if (this.#core.sweep(Date.now())) await this.#arm();
  }

  async #arm(): Promise<void> {
    if (this.#isArmed) return;
    const { storage } = this.ctx;
    if ((await storage.getAlarm()) === null) await storage.setAlarm(Date.now() + SWEEP_EVERY_MS);
    this.#isArmed = true;
  }
}

/** The name of the object that holds the visitors of a virtual shard. */
export function visitorHistoryName(place: { tenant: string; shard: number; objects: number }): string {
  return `${place.tenant}/${objectOfShard(place.shard, place.objects)}`;
}

export const shardOfVisitor = virtualShardOf;
