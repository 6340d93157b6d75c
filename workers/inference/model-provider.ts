import type { ModelProvider, ModelSelection, ServingModel } from "../../models/engine/serving-model.ts";
import type { RoutingRecord } from "../../models/contract/api/models.ts";
import type { RoutingCache } from "./routing-cache.ts";

/** A decision waits this long for a model's first load; then the previous version or the rules answer. */
const LOAD_DEADLINE_MS = 2_000;

/** Proven models of this isolate. */
export interface ProvenModels {
  /** The model if it is loaded; `refused` while a refusal is remembered; null when it must be loaded. */
  peek(tenant: string, name: string, version: string): ServingModel | "refused" | null;
  /** Loads and proves; never throws. `refused`: it must not serve. `late`: it is not there before the deadline, and goes on loading. */
  load(tenant: string, name: string, version: string, deadlineMs: number): Promise<ServingModel | "refused" | "late">;
}

/** Chooses what serves: the promoted version, else the one before it, else nothing (the rules). */
export class RoutedModels implements ModelProvider {
  readonly #routing: RoutingCache;
  readonly #models: ProvenModels;
  readonly #background: (promise: Promise<unknown>) => void;

  constructor(deps: { routing: RoutingCache; models: ProvenModels; background: (promise: Promise<unknown>) => void }) {
    this.#routing = deps.routing;
    this.#models = deps.models;
    this.#background = deps.background;
  }

  select(tenant: string, model: string, _subject: string): ModelSelection | Promise<ModelSelection> {
    const record = this.#routing.peek(tenant, model);
    if (record === undefined) return this.#firstSelect(tenant, model);
    return this.#fromRecord(tenant, model, record);
  }

  async #firstSelect(tenant: string, model: string): Promise<ModelSelection> {
    try {
      return await this.#fromRecord(tenant, model, await this.#routing.load(tenant, model));
    } catch {
      return { model: null, arm: "serving", epoch: 0, degraded: ["no-model"] };
    }
  }

  #fromRecord(tenant: string, name: string, record: RoutingRecord | null): ModelSelection | Promise<ModelSelection> {
    if (!record?.serving) return { model: null, arm: "serving", epoch: record?.epoch ?? 0, degraded: ["no-model"] };
    const serving = this.#models.peek(tenant, name, record.serving);
    if (serving !== null && serving !== "refused") {
      return { model: serving, arm: "serving", epoch: record.epoch, degraded: [] };
    }
    const previous = record.previous === null ? null : this.#models.peek(tenant, name, record.previous);
    if (previous !== null && previous !== "refused") {
      // The old version serves until the new one is proven: nobody waits for a load.
      if (serving === null) this.#background(this.#models.load(tenant, name, record.serving, LOAD_DEADLINE_MS));
      return {
        model: previous,
        arm: "serving",
        epoch: record.epoch,
        degraded: [serving === "refused" ? "model-refused" : "model-stale"],
      };
    }
    return this.#fromStore(tenant, name, record);
  }

  async #fromStore(tenant: string, name: string, record: RoutingRecord): Promise<ModelSelection> {
    const base = { arm: "serving", epoch: record.epoch } as const;
    const serving = await this.#models.load(tenant, name, record.serving ?? "", LOAD_DEADLINE_MS);
    if (typeof serving === "object") return { model: serving, ...base, degraded: [] };
    const flag = serving === "refused" ? "model-refused" : "model-stale";
    if (record.previous === null) return { model: null, ...base, degraded: [flag] };
    const previous = await this.#models.load(tenant, name, record.previous, LOAD_DEADLINE_MS);
    return { model: typeof previous === "object" ? previous : null, ...base, degraded: [flag] };
  }
}
