/**
 * A Worker that answers nothing: what the runtime itself costs. Same runtime, bindings and configuration as the real Worker;
 * its objects and consumers do nothing.
 */
import { DurableObject } from "cloudflare:workers";

export class EntityShard extends DurableObject {}
export class DecisionShard extends DurableObject {}
export class ModelRouting extends DurableObject {}
export class MetricsAggregator extends DurableObject {}
export class ProductCatalogue extends DurableObject {}
export class VisitorHistory extends DurableObject {}

export default {
  async fetch(request) {
    // A body that nobody reads makes the runtime close the connection.
    if (request.body) await request.arrayBuffer();
    return new Response("{}", { headers: { "content-type": "application/json" } });
  },
  queue(batch) {
    batch.ackAll();
  },
} satisfies ExportedHandler;
