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

/** Histories of visitors by pseudonym, and what became of the lists they were shown. Thin: state is in the core. */
export class VisitorHistory extends DurableObject {
  readonly #core: VisitorHistoryCore;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as Cloudflare.Env);
    applyMigrations(state.storage, VISITOR_HISTORY_MIGRATIONS);
    this.#core = new VisitorHistoryCore(state.storage);
  }

  apply(changes: readonly VisitorChange[]): void {
    this.#core.apply(changes, Date.now());
  }

  attribute(lists: readonly AnsweredList[], outcomes: readonly ListOutcome[]): Attributed {
    return this.#core.attribute(lists, outcomes, Date.now());
  }

  states(visitors: readonly string[]): VisitorState[] {
    return this.#core.states(visitors);
  }
}

/** The name of the object that holds the visitors of a virtual shard. */
export function visitorHistoryName(place: { tenant: string; shard: number; objects: number }): string {
  return `${place.tenant}/${objectOfShard(place.shard, place.objects)}`;
}

export const shardOfVisitor = virtualShardOf;
