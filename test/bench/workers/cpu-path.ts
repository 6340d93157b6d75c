/**
 * The real Worker with its three calls per decision answered from memory once an order's entities are warm: what a decision costs in
 * this isolate alone. Everything else is the product's own code: identity remembered, validation, pseudonyms, features finished
 * from memory, engine, record, answer, counts.
 */
import { createApp } from "../../../workers/app.ts";
import { compose } from "../../../workers/compose.ts";
import { SampledRateLimit } from "../../../workers/http/sampled-rate-limit.ts";
import { consumeBatch } from "../../../workers/jobs/queue-batches.ts";
import type { ScoreDeps } from "../../../workers/fraud/score-order.ts";

export { DecisionShard } from "../../../durable-objects/decision-shard.ts";
export { EntityShard } from "../../../durable-objects/entity-shard.ts";
export { MetricsAggregator } from "../../../durable-objects/metrics-aggregator.ts";
export { ModelRouting } from "../../../durable-objects/model-routing.ts";
export { ProductCatalogue } from "../../../durable-objects/product-catalogue.ts";
export { VisitorHistory } from "../../../durable-objects/visitor-history.ts";

type Composition = ReturnType<typeof compose>;

let isolate: { composition: Composition; fetch: ReturnType<typeof createApp>["fetch"] } | null = null;

function isolateOf(env: Env): NonNullable<typeof isolate> {
  if (isolate) return isolate;
  const composition = compose(env);
  const { app } = composition;
  const rateLimit = new SampledRateLimit(() => Promise.resolve(true), app.http.now);
  const http = { ...app.http, withinRateLimit: (key: string) => rateLimit.admits(key) };
  isolate = {
    composition,
    fetch: createApp({ ...app, http, fraud: { ...app.fraud, ...fromMemory(app.fraud) } }).fetch,
  };
  return isolate;
}

function fromMemory({ features, decisions }: ScoreDeps): Pick<ScoreDeps, "features" | "decisions"> {
  return {
    features: {
      apply: (tenant, events) => features.apply(tenant, events),
      settle: (tenant, events) => features.settle(tenant, events),
      ingested: (tenant, source, ids) => features.ingested(tenant, source, ids),
      read: (requests, deadlineMs) => features.read(requests, deadlineMs),
      peek: (request) => features.peek(request),
      // What the use case has just seen in memory is confirmed. Only an order with an unknown entity goes to the shards.
      attempt: (request, deadlineMs, peeked) =>
        peeked ? Promise.resolve({ vector: peeked, confirmed: true }) : features.attempt(request, deadlineMs),
    },
    decisions: {
      order: (tenant, orderId) => decisions.order(tenant, orderId),
      claimed: (tenant, orderId, claim) => decisions.claimed(tenant, orderId, claim),
      put: (record) => Promise.resolve(record),
    },
  };
}

export default {
  fetch(request, env, context) {
    return isolateOf(env).fetch(request, env, context);
  },
  async queue(batch, env) {
    const { composition } = isolateOf(env);
    await consumeBatch(composition.consume, batch);
  },
} satisfies ExportedHandler<Env>;
