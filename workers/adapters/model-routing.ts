import { type ModelRouting, modelRouting, type RoutingAnswer } from "../../durable-objects/model-routing.ts";
import { RoutingRecord } from "../../models/contract/api/models.ts";
import { logError } from "../http/log.ts";
import type { RoutingSource } from "../inference/routing-cache.ts";
import type { Routing } from "../registry/route.ts";

/** The routing record over its object (the truth) and KV (the cold-start copy). */
export class ModelRoutingAdapter implements Routing, RoutingSource {
  readonly #namespace: DurableObjectNamespace<ModelRouting>;
  readonly #kv: KVNamespace;

  constructor(namespace: DurableObjectNamespace<ModelRouting>, kv: KVNamespace) {
    this.#namespace = namespace;
    this.#kv = kv;
  }

  async record(tenant: string, model: string): Promise<RoutingRecord | null> {
    return await modelRouting(this.#namespace, tenant, model).record();
  }

  async history(tenant: string, model: string): Promise<RoutingRecord[]> {
    return await modelRouting(this.#namespace, tenant, model).history();
  }

  async promote(tenant: string, model: string, version: string, by: string): Promise<RoutingAnswer> {
    return await modelRouting(this.#namespace, tenant, model).promote(version, by);
  }

  async rollBack(tenant: string, model: string, by: string): Promise<RoutingAnswer> {
    return await modelRouting(this.#namespace, tenant, model).rollBack(by);
  }

  /** KV takes one write a second and key: a copy that is refused stays old, and every isolate revalidates what it reads. */
  async writeCopy(tenant: string, record: RoutingRecord): Promise<void> {
    try {
      await this.#kv.put(keyOf(tenant, record.model), JSON.stringify(record));
    } catch (error) {
      logError("the routing copy was not written", error, { model: record.model, epoch: record.epoch });
    }
  }

  /** Null where there is none that can be read: then the object is asked. */
  async readCopy(tenant: string, model: string): Promise<RoutingRecord | null> {
    try {
      const parsed = RoutingRecord.safeParse(await this.#kv.get(keyOf(tenant, model), "json"));
      return parsed.success ? parsed.data : null;
    } catch (error) {
      logError("the routing copy was not read", error, { model });
      return null;
    }
  }
}

function keyOf(tenant: string, model: string): string {
  return `${tenant}:routing:${model}`;
}
