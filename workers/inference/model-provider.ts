import type { DegradedFlag } from "../../models/contract/decision-record.ts";
import type { RoutingRecord } from "../../models/contract/api/models.ts";
import { proveSession } from "../../models/engine/prove-session.ts";
import type { ModelProvider, ModelSelection } from "../../models/engine/serving-model.ts";
import { type Served, SessionCache, SessionUnavailable, VersionRefused } from "../../models/engine/session-cache.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import type { ArtefactPlace } from "../adapters/model-store.ts";
import { within } from "../deadline.ts";
import { logWarning } from "../http/log.ts";
import type { Result } from "../../models/result.ts";
import type { LoadedModel, LoadError } from "./load-model.ts";
import type { RoutingCache } from "./routing-cache.ts";

/** All models of an isolate together: an isolate has 128 MB, and entity state and requests need room too. */
const SESSION_BUDGET_BYTES = 48 * 1024 * 1024;

/** The first look of an isolate: a routing object that must wake up answers well within this. Then the rules answer. */
const ROUTING_DEADLINE_MS = 1_000;
/** A decision waits this long for a model that no isolate memory holds: reading, compiling and proving takes a few hundred milliseconds. */
const LOAD_DEADLINE_MS = 2_000;

export interface RoutedModelsDeps {
  readonly routing: RoutingCache;
  readonly load: (place: ArtefactPlace) => Promise<Result<LoadedModel, LoadError>>;
  readonly now: () => number;
  readonly after: (milliseconds: number) => Promise<void>;
  readonly background: (promise: Promise<unknown>) => void;
  readonly metrics: MetricRegistry;
}

/** Chooses what serves: the promoted version, else the one before it, else nothing (the rules answer). */
export class RoutedModels implements ModelProvider {
  readonly #deps: RoutedModelsDeps;
  readonly #sessions: SessionCache<LoadedModel>;

  constructor(deps: RoutedModelsDeps) {
    this.#deps = deps;
    this.#sessions = new SessionCache({
      budgetBytes: SESSION_BUDGET_BYTES,
      load: (key, version) => this.#load(key, version),
      prove: async (model) => await proveSession(model, model.golden),
      now: deps.now,
      after: deps.after,
      keepAlive: deps.background,
    });
  }

  select(tenant: string, model: string, _subject: string): ModelSelection | Promise<ModelSelection> {
    const record = this.#deps.routing.peek(tenant, model);
    if (record === undefined) return this.#selectFirst(tenant, model);
    if (!record?.serving) return nothing(record, "no-model");
    const ready = this.#sessions.peek(`${tenant}/${model}`, record.serving);
    return ready ? selection(record, ready) : this.#selectLoading(tenant, model, record, record.serving);
  }

  async #selectFirst(tenant: string, model: string): Promise<ModelSelection> {
    try {
      const { routing, background } = this.#deps;
      const record = await within(routing.load(tenant, model), ROUTING_DEADLINE_MS, background);
      if (!record?.serving) return nothing(record, "no-model");
      return await this.#selectLoading(tenant, model, record, record.serving);
    } catch (error) {
      logWarning("the routing record cannot be read", { model, reason: String(error) });
      return nothing(null, "no-model");
    }
  }

  async #selectLoading(tenant: string, model: string, record: RoutingRecord, serving: string): Promise<ModelSelection> {
    const key = `${tenant}/${model}`;
    try {
      return selection(record, await this.#session(key, serving));
    } catch (error) {
      const flag = unavailableFlag(error, model, serving);
      if (record.previous === null) return nothing(record, flag);
      try {
        const previous = await this.#session(key, record.previous);
        return { ...selection(record, previous), degraded: [flag] };
      } catch (second) {
        unavailableFlag(second, model, record.previous);
        return nothing(record, flag);
      }
    }
  }

  async #session(key: string, version: string): Promise<Served<LoadedModel>> {
    return await within(this.#sessions.get(key, version), LOAD_DEADLINE_MS, this.#deps.background);
  }

  async #load(key: string, version: string): Promise<LoadedModel> {
    const [tenant = "", name = ""] = key.split("/");
    const loaded = await this.#deps.load({ tenant, name, version });
    this.#deps.metrics.count("model_loads_total", {
      outcome: loaded.ok ? "loaded" : loaded.error.permanent ? "refused" : "failed",
    });
    if (loaded.ok) return loaded.value;
    logWarning("a model version was not loaded", { model: name, version, reason: loaded.error.reason });
    throw loaded.error.permanent ? new VersionRefused(loaded.error.reason) : new Error(loaded.error.reason);
  }
}

function selection(record: RoutingRecord, served: Served<LoadedModel>): ModelSelection {
  const degraded: DegradedFlag[] =
    served.instead === null ? [] : [served.instead === "refused" ? "model-refused" : "model-stale"];
  return { model: served.session, arm: "serving", epoch: record.epoch, degraded };
}

function nothing(record: RoutingRecord | null, flag: DegradedFlag): ModelSelection {
  return { model: null, arm: "serving", epoch: record?.epoch ?? 0, degraded: [flag] };
}

function unavailableFlag(error: unknown, model: string, version: string): DegradedFlag {
  const code = error instanceof SessionUnavailable ? error.code : "failed";
  logWarning("a model version cannot serve", { model, version, code, reason: String(error) });
  return code === "refused" ? "model-refused" : "model-stale";
}
