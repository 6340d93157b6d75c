import { waitUntil } from "cloudflare:workers";
import { createHash } from "node:crypto";
import { sql } from "drizzle-orm";
import { drizzle, type DrizzleD1Database } from "drizzle-orm/d1";
import { apiKeyByHash } from "../d1/queries/api-keys.ts";
import { insertDeadLetters } from "../d1/queries/dead-letters.ts";
import { deleteRefusal, insertRefusal } from "../d1/queries/registration-refusals.ts";
import { isRegistered, registerVersion } from "../d1/queries/registry.ts";
import { type EntityShard, entityShardName } from "../durable-objects/entity-shard.ts";
import { metricsAggregator } from "../durable-objects/metrics-aggregator.ts";
import type { Manifest } from "../models/contract/manifest.ts";
import type { Event } from "../models/contract/events.ts";
import type { FeatureVector } from "../models/features/feature-store.ts";
import { FRAUD_MODEL } from "../models/catalog/fraud-orders/model.ts";
import kernels from "../models/engine/kernels/kernels.wasm";
import { createFeatureStore } from "./features/create-feature-store.ts";
import { LoadStore } from "./features/load-store.ts";
import { replicasOf } from "./features/replicas.ts";
import { hex, sha256 } from "../models/contract/sha256.ts";
import { encodeUtf8 } from "../models/onnx/utf8.ts";
import { RANKING_SERVICE } from "../models/recommend/ranking-features.ts";
import { ok } from "../models/result.ts";
import { MetricRegistry } from "../models/stats/metric-registry.ts";
import { ConsistencyReports } from "./adapters/consistency-reports.ts";
import { DecisionLog } from "./adapters/decision-log.ts";
import { DecisionShards } from "./adapters/decision-shards.ts";
import { EventLog } from "./adapters/event-log.ts";
import { ModelRoutingAdapter } from "./adapters/model-routing.ts";
import { ManifestTrust } from "./adapters/manifest-trust.ts";
import { ModelStore } from "./adapters/model-store.ts";
import { Pseudonyms } from "./adapters/pseudonyms.ts";
import { sendInBatches } from "./adapters/queue.ts";
import { vectorizeIndex } from "./adapters/vectorize-index.ts";
import type { AppDeps } from "./app.ts";
import { type Config, readConfig } from "./config.ts";
import {
  FEATURE_CATALOG,
  FEATURE_SERVICES,
  featureService,
  FRAUD_FEATURES,
} from "../models/catalog/feature-catalog.ts";
import { VectorIds } from "./fraud/vector-id.ts";
import { Authenticator } from "./http/authenticator.ts";
import type { HttpDeps } from "./http/mount.ts";
import { SampledRateLimit } from "./http/sampled-rate-limit.ts";
import { loadModel, MODEL_FILE, proveModel } from "./inference/load-model.ts";
import { RoutedModels } from "./inference/model-provider.ts";
import { RoutingCache } from "./inference/routing-cache.ts";
import type { ConsumeDeps, RefusedEvent } from "./jobs/consume-events.ts";
import type { ReshardDeps, ReshardPlan } from "./jobs/reshard-entities.ts";
import { type ScorePaidOrdersDeps, scorePaidOrders } from "./jobs/score-paid-orders.ts";
import type { RegisterUploadsDeps } from "./jobs/register-uploads.ts";
import { registerStored } from "./registry/register-stored.ts";
import { composeRecommendations } from "./recommendations/compose.ts";
import { keepShop } from "./jobs/keep-shop.ts";
import { inJurisdiction } from "./adapters/jurisdiction.ts";
import type { VectorsDeps } from "./vectors/deployed-index.ts";
import { claimForServing } from "./vectors/write-vectors.ts";
import { flushMetrics, type MonitoringDeps } from "./monitoring/route.ts";
import { openRecommender } from "./recommendations/load-recommender.ts";

/** Counts are sent on at most this often per isolate: what the death of an isolate can lose. */
const METRIC_FLUSH_INTERVAL_MS = 1_000;

/** Everything this isolate is made of, built once from its environment. */
export interface Composition {
  readonly config: Config;
  readonly app: AppDeps;
  readonly consume: ConsumeDeps;
  readonly uploads: RegisterUploadsDeps;
  readonly flush: () => Promise<void>;
}

const now = (): number => Date.now();
const background = (promise: Promise<unknown>): void => waitUntil(promise);

export function compose(env: Env): Composition {
  const config = readConfig(env);
  const metrics = new MetricRegistry();
  const db = drizzle(env.DB);
  const store = new ModelStore(env.MODELS, new ManifestTrust(config.modelPublicKeys));
  const log = new EventLog(env.LOGS);
  const routing = new ModelRoutingAdapter(inJurisdiction(env.MODEL_ROUTING, config), env.KV);
  const decisions = new DecisionShards(inJurisdiction(env.DECISION_SHARDS, config), config.decisionShardObjects);
  const decisionLog = new DecisionLog(env.LOGS);
  const features = createFeatureStore({
    namespace: inJurisdiction(env.ENTITY_SHARDS, config),
    objects: config.entityShardObjects,
    metrics,
    now,
    background,
    replicas: replicasOf(config.hotEntities),
    // KV has no jurisdiction: where one is set, state stays in the objects.
    copies: config.jurisdiction === null ? env.KV : undefined,
  });
  const pseudonyms = new Pseudonyms(config.pseudonymKey);
  const vectors = vectorizeIndex(env.VECTORS, config.vectorIndex);
  const routingCache = new RoutingCache({ source: routing, now, background });
  const models = new RoutedModels({
    routing: routingCache,
    load: (place) => loadModel({ store, kernels, ort: env.ORT }, place),
    now,
    after: (milliseconds) => scheduler.wait(milliseconds),
    background,
    metrics,
  });
  // A stub belongs to the request that made it: every call gets its own.
  const aggregate = () => metricsAggregator(inJurisdiction(env.METRICS, config));
  const aggregator: MonitoringDeps["aggregator"] = {
    add: (points) => aggregate().add(points),
    all: () => aggregate().all(),
  };
  const flush = (): Promise<void> => flushMetrics(metrics, aggregator);
  const vectorIds = new VectorIds();
  const scoring = {
    model: FRAUD_MODEL,
    service: FRAUD_FEATURES,
    features,
    models,
    vectorId: (serviceHash: string, asOf: number, vector: Float32Array) => vectorIds.of(serviceHash, asOf, vector),
    now,
    onDecided: observeFreshness(metrics),
  };
  const forTenant = (tenant: string) => pseudonyms.of(tenant);
  const send = (events: readonly Event[]): Promise<void> => sendInBatches(env.ML_EVENTS, events);

  const shop = composeRecommendations(env, config, {
    routing: routingCache,
    store,
    pseudonyms: forTenant,
    metrics,
    send,
    vectors,
    features: (requests, options) => features.vectors(requests, options),
  });
  const paidOrders: ScorePaidOrdersDeps = {
    ...scoring,
    decisionIdOf: paidDecisionId,
    storedDecisions: (tenant, wanted) => decisions.storedDecisions(tenant, wanted),
    putDecisions: (tenant, records) => decisions.putDecisions(tenant, records),
    send,
    metrics,
  };
  const publishing = {
    store,
    knowsFeatureService: (name: string, hash: string) =>
      featureService(name)?.hash === hash || (name === RANKING_SERVICE.name && hash === RANKING_SERVICE.hash),
    prove: async (tenant: string, manifest: Manifest, files: ReadonlyMap<string, Uint8Array>) => {
      if (manifest.kind !== "retrieval") {
        const model = files.get(MODEL_FILE) ?? new Uint8Array(0);
        return await proveModel({ kernels, ort: env.ORT }, tenant, manifest, model);
      }
      const opened = await openRecommender(kernels, manifest, files);
      return opened.ok ? ok(null) : opened;
    },
    register: async (tenant: string, manifest: Manifest, by: string) => {
      await registerVersion(db, { tenant, manifest, now: now(), by });
      await deleteRefusal(db, { tenant, name: manifest.name, version: manifest.version });
    },
  };
  const versionVectors: VectorsDeps = {
    db,
    store,
    index: vectors === null || config.vectorIndex === null ? null : { search: vectors, ...config.vectorIndex },
    history: (tenant, model) => routing.history(tenant, model),
    now,
  };
  return {
    config,
    flush,
    uploads: {
      now,
      metrics,
      register: (place) =>
        registerStored({ ...publishing, isRegistered: (key) => isRegistered(db, key) }, place, "bucket-notification"),
      storeRefusal: (place, refusal, refusedAt) => insertRefusal(db, { ...place, ...refusal, refusedAt }),
    },
    app: {
      http: httpDeps(env, config, db, metrics, flush),
      events: {
        db,
        log,
        enqueue: (messages) => sendInBatches(env.EVENTS, messages),
        ingested: (tenant, source, ids) => features.ingested(tenant, source, ids),
      },
      fraud: {
        ...scoring,
        pseudonyms: forTenant,
        decisions,
        setAside: (record) => decisionLog.setAside(record),
        decisionsOf: (tenant, orderId) => decisions.decisionsOf(tenant, orderId),
        newDecisionId: () => `fd-${crypto.randomUUID()}`,
      },
      features: {
        store: features,
        loads: new LoadStore({
          nameOf: (tenant, key) => entityShardName({ tenant, key, objects: config.entityShardObjects }),
          client: (object) => inJurisdiction(env.ENTITY_SHARDS, config).getByName(object),
          replicas: replicasOf(config.hotEntities),
          now,
        }),
        services: FEATURE_SERVICES,
        catalog: FEATURE_CATALOG,
        pseudonyms: forTenant,
      },
      consistency: { services: FEATURE_SERVICES, reports: new ConsistencyReports(env.LOGS) },
      shards: {
        objects: config.entityShardObjects,
        hotEntities: config.hotEntities,
        reshard: (tenant) => reshardDeps(inJurisdiction(env.ENTITY_SHARDS, config), config.entityShardObjects, tenant),
      },
      recommendations: { ...shop.routes, enqueue: (messages) => sendInBatches(env.EVENTS, messages) },
      registry: {
        ...publishing,
        db,
        routing,
        claimVectors: (tenant, manifest) => claimForServing(versionVectors, tenant, manifest),
        send,
      },
      vectors: versionVectors,
      training: { db },
      access: { db },
      monitoring: {
        version: env.VERSION.id,
        metrics,
        aggregator,
        checks: {
          d1: () => db.run(sql`SELECT 1`),
          kv: () => env.KV.get("readiness"),
          r2: () => env.LOGS.head("readiness"),
          routing: () => routing.record("default", FRAUD_MODEL),
          entities: () => features.ingested("default", "readiness", []),
        },
      },
      asset: (name) => env.ASSETS.fetch(`https://assets.local/${name}`),
    },
    consume: {
      now,
      metrics,
      pseudonyms: forTenant,
      apply: (tenant, events) => features.apply(tenant, events),
      settle: (tenant, events) => features.settle(tenant, events),
      keepOrders: (tenant, orders) => decisions.keepOrders(tenant, orders),
      appendLog: (tenant, events, at) => log.append(tenant, events, at),
      keepShop: (tenant, events, at) => keepShop(shop.keep, tenant, events, at),
      scorePaidOrders: (tenant, orders) => scorePaidOrders(paidOrders, tenant, orders),
      storeDeadLetters: (refused, at) =>
        insertDeadLetters(
          db,
          refused.map((entry) => deadLetterRow(entry, at)),
        ),
    },
  };
}

function httpDeps(
  env: Env,
  config: Config,
  db: DrizzleD1Database,
  metrics: MetricRegistry,
  flush: () => Promise<void>,
): HttpDeps {
  let flushedAt = 0;
  const rateLimit = new SampledRateLimit(async (key) => (await env.RATE_LIMITER.limit({ key })).success, now);
  return {
    authenticator: new Authenticator({ config, apiKeyByHash: (hash) => apiKeyByHash(db, hash) }),
    metrics,
    now,
    withinRateLimit: (key) => rateLimit.admits(key),
    afterResponse: (keepAlive) => {
      const at = now();
      if (at - flushedAt < METRIC_FLUSH_INTERVAL_MS) return;
      flushedAt = at;
      keepAlive(flush());
    },
  };
}

/** The newest earlier fact behind a decision tells how fresh its features were; an order with no history tells nothing. */
function observeFreshness(metrics: MetricRegistry): (features: FeatureVector) => void {
  return ({ newestAge }) => {
    if (newestAge !== null) metrics.observe("feature_freshness_seconds", newestAge, { service: FRAUD_FEATURES.name });
  };
}

/** A reshard of one tenant's entities. Its progress is kept by the first object, which every layout has. */
function reshardDeps(namespace: DurableObjectNamespace<EntityShard>, serving: number, tenant: string): ReshardDeps {
  const object = (index: number) => namespace.getByName(`${tenant}/${index}`);
  return {
    object,
    serving,
    now,
    load: async () => {
      const note = await object(0).note("reshard");
      return note === null ? null : (JSON.parse(note) as ReshardPlan);
    },
    save: (plan) => object(0).setNote("reshard", JSON.stringify(plan)),
  };
}

/** The decision that the consumer makes for a paid order has one id for ever. */
export function paidDecisionId(tenant: string, orderId: string): string {
  return `fd-${hex(sha256(encodeUtf8(`${tenant}\norder-paid\n${orderId}`)).subarray(0, 16))}`;
}

/** Identity and type of an event that may be anything; the fingerprint makes the same failure one row. */
function deadLetterRow(refused: RefusedEvent, storedAt: number): Parameters<typeof insertDeadLetters>[1][number] {
  const fields: Record<string, unknown> =
    typeof refused.event === "object" && refused.event !== null ? { ...refused.event } : {};
  const text = (value: unknown): string | null => (typeof value === "string" ? value.slice(0, 256) : null);
  const event = JSON.stringify(refused.event) ?? "null";
  return {
    tenant: refused.tenant,
    source: text(fields["source"]),
    eventId: text(fields["id"]),
    type: text(fields["type"]),
    reason: refused.reason,
    detail: refused.detail,
    event: event.slice(0, MAX_DEAD_LETTER_CHARACTERS),
    fingerprint: createHash("sha256").update(`${refused.reason}\n${event}`).digest("hex"),
    storedAt,
  };
}

/** D1 takes rows up to 2 MB; a queue message is at most 128 KB, so nothing is cut in practice. */
const MAX_DEAD_LETTER_CHARACTERS = 200_000;
