import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { Order } from "../../../models/contract/events/orders.ts";
import type { FraudDecision } from "../../../models/contract/decision-record.ts";
import { createApp } from "../../../workers/app.ts";
import { compose } from "../../../workers/compose.ts";
import type { QueueBatch } from "../../../workers/jobs/queue-batches.ts";
import { registerUploads } from "../../../workers/jobs/register-uploads.ts";
import { tokenFor } from "./client.ts";

/** What becomes of a call to a binding: it goes through, never answers, or fails. */
export type Condition = "whole" | "hangs" | "throws";
export type BindingName = Exclude<keyof Env, `JWT_${string}`>;

export interface BindingCall {
  readonly binding: string;
  readonly method: string;
  /** One more than the number of calls that had to be answered, one after the other, before this one was made. */
  readonly round: number;
}

/**
 * One isolate of the Worker over the real bindings, each of which can be slow or broken, and each call of which is written down with its
 * round. The rate limiter and metrics are left out: the first is memory of the machine, the second are sent after the response.
 */
export class Isolate {
  readonly conditions = new Map<string, Condition>();
  calls: BindingCall[] = [];
  #round = 0;
  readonly #app: ReturnType<typeof createApp>;
  readonly #env: Env;

  /** @param variables in place of those of wrangler.toml @param vectors bound as the vector index */
  constructor(variables: Readonly<Record<string, string>> = {}, vectors: object | null = null) {
    const observed = ["DB", "MODELS", "LOGS", "KV", "EVENTS", "ML_EVENTS", "ORT", "ASSETS"] as const;
    const objects = ["ENTITY_SHARDS", "DECISION_SHARDS", "MODEL_ROUTING", "PRODUCTS", "VISITORS"] as const;
    const replaced: Record<string, unknown> = {};
    for (const name of observed) replaced[name] = this.#observe(name, env[name]);
    for (const name of objects) replaced[name] = this.#observeNamespace(name, env[name]);
    if (vectors !== null) replaced["VECTORS"] = this.#observe("VECTORS", vectors);
    this.#env = { ...env, ...replaced, ...variables };
    this.#app = createApp(compose(this.#env).app);
  }

  /** @param init `leave`: does not wait for what goes on after the response */
  async fetch(
    path: string,
    init: { body: unknown; headers?: Record<string, string>; tenant?: string; leave?: boolean },
  ): Promise<Response> {
    this.calls = [];
    this.#round = 0;
    const token = await tokenFor(["admin"], init.tenant === undefined ? {} : { tenant: init.tenant });
    const request = new Request(`https://edgewise.test${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}`, ...init.headers },
      body: JSON.stringify(init.body),
    });
    return await this.handle(request, init.leave);
  }

  /** @param leave does not wait for what goes on after the response */
  async handle(request: Request, leave = false): Promise<Response> {
    const context = createExecutionContext();
    const response = await this.#app.fetch(request, {}, context);
    const settles = !leave && ![...this.conditions.values()].includes("hangs");
    if (settles) await waitOnExecutionContext(context);
    return response;
  }

  async score(
    order: Order | { orderId: string },
    options: { tenant?: string; headers?: Record<string, string>; explain?: boolean } = {},
  ): Promise<{ response: Response; decision: FraudDecision; calls: BindingCall[] }> {
    const { explain, ...rest } = options;
    const body = "placedAt" in order ? { order } : order;
    const response = await this.fetch(`/api/v1/fraud/score${explain === true ? "?explain=1" : ""}`, { body, ...rest });
    return { response, decision: await response.clone().json<FraudDecision>(), calls: this.calls };
  }

  /** Delivers notifications of the bucket to this isolate. */
  async consumeUploads(batch: QueueBatch): Promise<void> {
    await registerUploads(compose(this.#env).uploads, batch);
  }

  #observeNamespace(binding: string, namespace: object): object {
    return new Proxy(namespace, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property);
        if (typeof value !== "function") return value;
        const bound = value.bind(target) as (...args: unknown[]) => unknown;
        return property === "getByName" || property === "get"
          ? (...args: unknown[]) => this.#observe(binding, bound(...args) as object)
          : bound;
      },
    });
  }

  #observe<T extends object>(binding: string, target: T): T {
    return new Proxy(target, {
      get: (object, property) => {
        const value: unknown = Reflect.get(object, property);
        if (typeof value !== "function" || property === "then") return value;
        const method = String(property);
        // Statements of D1 are made without a call; they make one when they run.
        if (binding === "DB" && (method === "prepare" || method === "bind"))
          return (...args: unknown[]) => this.#observe(binding, Reflect.apply(value, object, args) as object);
        return (...args: unknown[]) =>
          this.#call({ binding, method }, () => Reflect.apply(value, object, args) as unknown);
      },
    });
  }

  #call(call: { binding: string; method: string }, work: () => unknown): unknown {
    const round = this.#round + 1;
    this.calls.push({ ...call, round });
    const condition = this.conditions.get(call.binding) ?? "whole";
    if (condition === "hangs") return new Promise(() => {});
    if (condition === "throws") return Promise.reject(new Error(`${call.binding} is broken`));
    const answer = work();
    if (!isThenable(answer)) return answer;
    return answer.then((value: unknown) => {
      this.#round = Math.max(this.#round, round);
      return value;
    });
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  // The promise of a remote call is callable too.
  return (typeof value === "object" || typeof value === "function") && value !== null && "then" in value;
}
