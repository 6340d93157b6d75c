import { DurableObject } from "cloudflare:workers";
import { RoutingRecord } from "../models/contract/api/models.ts";
import { applyMigrations } from "./migrations.ts";
import { emptyRouting, MAX_HISTORY, promote, rollBack, type RoutingState } from "./model-routing.core.ts";

const MIGRATIONS = [
  { id: "first", sql: "CREATE TABLE routing (epoch INTEGER PRIMARY KEY, record TEXT NOT NULL)" },
] as const;

export type RoutingAnswer =
  | { readonly changed: boolean; readonly record: RoutingRecord; readonly previous: string | null }
  | { readonly error: "nothing-to-roll-back" };

/** The truth about what serves for one model of one tenant. One writer, so a flip is atomic and epochs have no gaps. */
export class ModelRouting extends DurableObject {
  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as Cloudflare.Env);
    applyMigrations(state.storage, MIGRATIONS);
  }

  record(): RoutingRecord | null {
    const { record } = this.#state();
    return record.epoch === 0 ? null : record;
  }

  /** Every record that is kept, oldest first; the last one is in force. */
  history(): RoutingRecord[] {
    const { record, history } = this.#state();
    return record.epoch === 0 ? [] : [...history, record];
  }

  promote(version: string, by: string): RoutingAnswer {
    const before = this.#state();
    return this.#save(before, promote(before, version, { by, now: Date.now() }));
  }

  rollBack(by: string): RoutingAnswer {
    const before = this.#state();
    const after = rollBack(before, { by, now: Date.now() });
    return after === null ? { error: "nothing-to-roll-back" } : this.#save(before, after);
  }

  #save(before: RoutingState, after: RoutingState): RoutingAnswer {
    const changed = after.record.epoch !== before.record.epoch;
    if (changed) {
      const { epoch } = after.record;
      this.ctx.storage.sql.exec(
        "INSERT INTO routing (epoch, record) VALUES (?, ?)",
        epoch,
        JSON.stringify(after.record),
      );
      this.ctx.storage.sql.exec("DELETE FROM routing WHERE epoch < ?", epoch - MAX_HISTORY);
    }
    return { changed, record: after.record, previous: before.record.serving };
  }

  #state(): RoutingState {
    const records = this.ctx.storage.sql
      .exec<{ record: string }>("SELECT record FROM routing ORDER BY epoch")
      .toArray()
      .map((row): RoutingRecord => RoutingRecord.parse(JSON.parse(row.record)));
    const record = records.at(-1);
    return record ? { record, history: records.slice(0, -1) } : emptyRouting(this.#model());
  }

  #model(): string {
    return (this.ctx.id.name ?? "default/unknown").split("/").slice(1).join("/");
  }
}

export function modelRouting(
  namespace: DurableObjectNamespace<ModelRouting>,
  tenant: string,
  model: string,
): DurableObjectStub<ModelRouting> {
  return namespace.getByName(`${tenant}/${model}`);
}
