import { DurableObject } from "cloudflare:workers";
import { objectOf } from "../models/sharding/virtual-shards.ts";
import { applyMigrations } from "./migrations.ts";
import {
  VISITOR_HISTORY_MIGRATIONS,
  type VisitorChange,
  VisitorHistoryCore,
  type VisitorState,
} from "./visitor-history.core.ts";

/** Histories of visitors by pseudonym. Thin: state is in the core. */
export class VisitorHistory extends DurableObject {
  readonly #core: VisitorHistoryCore;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as Cloudflare.Env);
    applyMigrations(state.storage, VISITOR_HISTORY_MIGRATIONS);
    this.#core = new VisitorHistoryCore(state.storage);
  }

  apply(changes: readonly VisitorChange[]): string[][] {
    return this.#core.apply(changes, Date.now());
  }

  states(visitors: readonly string[]): VisitorState[] {
    return this.#core.states(visitors);
  }
}

/** The name of the object that holds a visitor. */
export function visitorHistoryName(place: { tenant: string; visitor: string; objects: number }): string {
  return `${place.tenant}/${objectOf(place.visitor, place.objects)}`;
}
