import type { ServingModel } from "../../models/engine/serving-model.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { logWarning } from "../http/log.ts";
import { type LoadDeps, type LoadedModel, loadModel } from "./load-model.ts";
import type { ProvenModels } from "./model-provider.ts";

/** A refused version is not tried again before this; doubling with each refusal, up to the maximum. */
const REFUSAL_BASE_MS = 30_000;
const REFUSAL_MAX_MS = 600_000;

export interface ProvenModelDeps extends LoadDeps {
  readonly now: () => number;
  readonly background: (promise: Promise<unknown>) => void;
  readonly metrics: MetricRegistry;
}

export class ProvenModelCache implements ProvenModels {
  readonly #deps: ProvenModelDeps;
  readonly #loaded = new Map<string, LoadedModel>();
  readonly #refused = new Map<string, { until: number; count: number }>();

  constructor(deps: ProvenModelDeps) {
    this.#deps = deps;
  }

  peek(tenant: string, name: string, version: string): ServingModel | "refused" | null {
    const key = `${tenant}/${name}/${version}`;
    const loaded = this.#loaded.get(key);
    if (loaded) return loaded;
    const refusal = this.#refused.get(key);
    return refusal && refusal.until > this.#deps.now() ? "refused" : null;
  }

  async load(
    tenant: string,
    name: string,
    version: string,
    _deadlineMs: number,
  ): Promise<ServingModel | "refused" | "late"> {
    const key = `${tenant}/${name}/${version}`;
    const result = await loadModel(this.#deps, { tenant, name, version });
    if (result.ok) {
      this.#loaded.set(key, result.value);
      return result.value;
    }
    const count = (this.#refused.get(key)?.count ?? 0) + 1;
    this.#refused.set(key, {
      until: this.#deps.now() + Math.min(REFUSAL_MAX_MS, REFUSAL_BASE_MS * 2 ** (count - 1)),
      count,
    });
    logWarning("model refused", { model: name, version, reason: result.error });
    return "refused";
  }
}
