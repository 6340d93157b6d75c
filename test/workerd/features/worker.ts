/** The smallest Worker around an entity shard: the object, and nothing else. */
export { EntityShard } from "../../../durable-objects/entity-shard.ts";

export default {
  fetch: () => new Response(null, { status: 404 }),
} satisfies ExportedHandler;
