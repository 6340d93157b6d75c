import { type EntityShard as EntityShardObject, entityShardName } from "../../../durable-objects/entity-shard.ts";
import type { TransferredEntity } from "../../../durable-objects/entity-transfer.ts";
import { FEATURE_CATALOG, featureService } from "../../../models/catalog/feature-catalog.ts";
import type { StoredEvent } from "../../../models/contract/events.ts";
import { addEntityFact, emptyEntity, encodeEntity } from "../../../models/features/entity-state.ts";
import { entityName } from "../../../models/features/fact-batch.ts";
import type { OrderFeatureRequest } from "../../../models/features/feature-store.ts";
import { EntityShards } from "../../../workers/adapters/entity-shards.ts";
import { EntityCache } from "../../../workers/features/entity-cache.ts";
import { ShardFeatureStore } from "../../../workers/features/shard-feature-store.ts";

/** A Worker for benchmarks: the store over its shards, driven in bulk by a program outside, which also keeps the time. */
export { EntityShard } from "../../../durable-objects/entity-shard.ts";

interface BenchEnv {
  readonly ENTITY_SHARDS: DurableObjectNamespace<EntityShardObject>;
}

const DEADLINE_MS = 60_000;
/** The time of the data, while old data is driven through as if it happened now. */
let simulatedNow: number | null = null;
const reads = { memory: 0, shard: 0 };
let remembering: ShardFeatureStore | null = null;

function createStore(env: BenchEnv, objects: number): ShardFeatureStore {
  return new ShardFeatureStore({
    places: new EntityShards(env.ENTITY_SHARDS, objects),
    cache: new EntityCache(),
    catalog: FEATURE_CATALOG,
    service: featureService,
    replicas: () => 1,
    now: () => simulatedNow ?? Date.now(),
    background: () => {},
    onCacheReads: (fromMemory, fromShard) => {
      reads.memory += fromMemory;
      reads.shard += fromShard;
    },
  });
}

/** A store that remembers nothing between calls: every read goes to the shards. */
const forgetful = (env: BenchEnv, objects: number): ShardFeatureStore => createStore(env, objects);

interface Body {
  readonly objects: number;
  readonly batch?: number;
  readonly events?: StoredEvent[];
  readonly requests?: OrderFeatureRequest[];
  readonly steps?: ({ readonly event: StoredEvent } | { readonly request: OrderFeatureRequest })[];
}

/** Consumers that run side by side; a queue may start ten. */
const CONSUMERS = 4;

/** Applies events in batches, the way a queue delivers them. */
async function apply(store: ShardFeatureStore, { events = [], batch = 100 }: Body): Promise<Response> {
  let next = 0;
  const consume = async (): Promise<void> => {
    while (next < events.length) {
      const part = events.slice(next, next + batch);
      next += batch;
      await store.apply("bench", part);
      await store.settle("bench", part);
    }
  };
  await Promise.all(Array.from({ length: CONSUMERS }, consume));
  return Response.json({ applied: events.length });
}

/** Takes entities over as a reshard does, each with the one fact of its event: a shard of a million is filled in a minute. */
async function fill(env: BenchEnv, { objects, events = [] }: Body): Promise<Response> {
  const entities = events.flatMap((event) =>
    FEATURE_CATALOG.factsOf(event).map(({ entity, group, fact }): TransferredEntity => {
      const layouts = FEATURE_CATALOG.layouts(entity.type);
      const state = emptyEntity(layouts);
      addEntityFact(state, group, fact, event.ingestedAt, { has: () => false, add: () => {} });
      const name = entityName(entity);
      return { name, version: 1, ingestedAt: event.ingestedAt, state: encodeEntity(state, layouts), coarsened: [] };
    }),
  );
  const byObject = Map.groupBy(entities, ({ name: key }) => entityShardName({ tenant: "bench", key, objects }));
  for (const [name, part] of byObject)
    await env.ENTITY_SHARDS.getByName(name).importPage({ entities: part, events: [] });
  return Response.json({ entities: entities.length });
}

/** Milliseconds of each call, and the vectors if they are wanted. */
async function timed(calls: (() => Promise<unknown>)[]): Promise<Response> {
  const times: number[] = [];
  for (const call of calls) {
    const started = performance.now();
    await call();
    times.push(performance.now() - started);
  }
  return Response.json({ times });
}

/** Events and decisions in the order given, each after the one before it; answers the vectors of the decisions. */
async function inSequence(store: ShardFeatureStore, { steps = [] }: Body): Promise<Response> {
  const vectors: (number | null)[][] = [];
  for (const step of steps) {
    if ("event" in step) await store.apply("bench", [step.event]);
    else {
      simulatedNow = step.request.asOf;
      vectors.push(asJson((await store.attempt(step.request, DEADLINE_MS)).vector.vector));
    }
  }
  simulatedNow = null;
  return Response.json(vectors);
}

function asJson(vector: Float32Array): (number | null)[] {
  return Array.from(vector, (value) => (Number.isNaN(value) ? null : value));
}

export default {
  async fetch(request, env): Promise<Response> {
    const body: Body = await request.json();
    remembering ??= createStore(env, body.objects);
    const { requests = [] } = body;
    switch (new URL(request.url).pathname) {
      case "/apply":
        return await apply(remembering, body);
      case "/fill":
        return await fill(env, body);
      case "/read-each":
        return await timed(requests.map((one) => () => forgetful(env, body.objects).read([one], DEADLINE_MS)));
      case "/read-all":
        return await timed([() => forgetful(env, body.objects).read(requests, DEADLINE_MS)]);
      case "/attempt-each": {
        const store = remembering;
        return await timed(
          requests.map((one) => async () => {
            return await store.attempt(one, DEADLINE_MS, store.peek(one));
          }),
        );
      }
      case "/in-sequence":
        return await inSequence(remembering, body);
      case "/vectors": {
        const vectors = await forgetful(env, body.objects).read(requests, DEADLINE_MS);
        return Response.json(vectors.map(({ vector }) => asJson(vector)));
      }
      case "/reads": {
        const counted = { ...reads };
        reads.memory = 0;
        reads.shard = 0;
        return Response.json(counted);
      }
      default:
        return new Response(null, { status: 404 });
    }
  },
} satisfies ExportedHandler<BenchEnv>;
