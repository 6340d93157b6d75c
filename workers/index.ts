import { createApp } from "./app.ts";
import { type Composition, compose } from "./compose.ts";
import { consumeBatch, storeExhausted } from "./jobs/queue-batches.ts";
import { registerUploads } from "./jobs/register-uploads.ts";

export { DecisionShard } from "../durable-objects/decision-shard.ts";
export { EntityShard } from "../durable-objects/entity-shard.ts";
export { MetricsAggregator } from "../durable-objects/metrics-aggregator.ts";
export { ModelRouting } from "../durable-objects/model-routing.ts";
export { ProductCatalogue } from "../durable-objects/product-catalogue.ts";
export { VisitorHistory } from "../durable-objects/visitor-history.ts";

interface Isolate extends Composition {
  readonly fetch: ReturnType<typeof createApp>["fetch"];
}

/** Built at the first request or batch: global scope has a start-up limit, and the environment is not there yet. */
let isolate: Isolate | null = null;

function isolateOf(env: Env): Isolate {
  if (isolate) return isolate;
  const composition = compose(env);
  isolate = { ...composition, fetch: createApp(composition.app).fetch };
  return isolate;
}

export default {
  fetch(request, env, context) {
    return isolateOf(env).fetch(request, env, context);
  },

  async queue(batch, env) {
    const { consume, uploads, flush } = isolateOf(env);
    // Queues of an environment carry its name at the end.
    if (batch.queue.includes("-dead-letters")) await storeExhausted(consume, batch);
    else if (batch.queue.includes("-model-uploads")) await registerUploads(uploads, batch);
    else await consumeBatch(consume, batch);
    await flush();
  },
} satisfies ExportedHandler<Env>;
