import type { DegradedFlag, Watermark } from "../../models/contract/decision-record.ts";
import type { StoredEvent } from "../../models/contract/events.ts";
import type { Catalog } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import { decodeEntity } from "../../models/features/entity-state.ts";
import { entityName, entityTypeOf } from "../../models/features/fact-batch.ts";
import type {
  ApplyOutcome,
  FeatureStore,
  FeatureVector,
  OrderFeatureRequest,
} from "../../models/features/feature-store.ts";
import { finishVector, requestEntities } from "../../models/features/finish-vector.ts";
import { eventIdentity } from "../../models/features/hash.ts";
import { applyEvents } from "./apply-events.ts";
import { answeredBy } from "./deadline.ts";
import type { CachedEntity, EntityCache } from "./entity-cache.ts";
import { applyToCopies, OutgoingFacts } from "./entity-copies.ts";
import type { EntityShardClient, EntityShardPlaces } from "../adapters/entity-shards.ts";

/** Names per read call, so that an answer of large states stays far below the 32 MiB an RPC may carry. */
const MAX_NAMES_PER_READ = 1_000;

export interface FeatureStoreDeps {
  readonly places: EntityShardPlaces;
  readonly cache: EntityCache;
  readonly catalog: Catalog;
  readonly service: (name: string) => CompiledService | undefined;
  readonly now: () => number;
  /** Called with the number of entity states that a decision found in memory, current, and that came from shards. */
  readonly onCacheReads: (fromMemory: number, fromShard: number) => void;
  /** Keeps a call alive that nobody waits for any more. */
  readonly background: (promise: Promise<unknown>) => void;
}

/** What is known of one entity of a request; undefined: nothing. */
type Known = CachedEntity | undefined;

interface Prepared {
  readonly service: CompiledService;
  /** By position of the service's entities; null: the request has no such entity. */
  readonly names: readonly (string | null)[];
}

/** Entity state over Durable Object shards and isolate memory. */
export class ShardFeatureStore implements FeatureStore {
  readonly #deps: FeatureStoreDeps;
  /** Versions that the last `peek` of a request saw. */
  readonly #peeked = new WeakMap<OrderFeatureRequest, readonly number[]>();

  constructor(deps: FeatureStoreDeps) {
    this.#deps = deps;
  }

  async apply(tenant: string, events: readonly StoredEvent[]): Promise<ApplyOutcome[]> {
    return await applyEvents(this.#deps, tenant, events);
  }

  async settle(tenant: string, events: readonly StoredEvent[]): Promise<void> {
    const identities = events.map((event) => eventIdentity(event.source, event.id));
    await this.#perObject(tenant, identities, (client, part) => client.settle(part));
  }

  async ingested(tenant: string, source: string, ids: readonly string[]): Promise<boolean[]> {
    const identities = ids.map((id) => eventIdentity(source, id));
    const settled = new Map<string, boolean>();
    await this.#perObject(tenant, identities, async (client, part) => {
      const answers = await client.settled(part);
      for (const [index, identity] of part.entries()) settled.set(identity, answers[index] === true);
    });
    return identities.map((identity) => settled.get(identity) === true);
  }

  async read(requests: readonly OrderFeatureRequest[], deadlineMs: number): Promise<FeatureVector[]> {
    const prepared = requests.map((request) => this.#prepare(request));
    const byTenant = Map.groupBy(prepared.keys(), (index) => requests[index]?.tenant ?? "");
    const fresh = new Map<string, CachedEntity>();
    const reads = [...byTenant].map(async ([tenant, indexes]) => {
      const names = new Set(indexes.flatMap((index) => (prepared[index]?.names ?? []).filter((name) => name !== null)));
      await this.#readNames(tenant, [...names], fresh);
    });
    await answeredBy(Promise.all(reads), deadlineMs, this.#deps.background);
    return prepared.map((one, index) => {
      const request = requests[index] as OrderFeatureRequest;
      const degraded = new Set<DegradedFlag>();
      const known = one.names.map((name) => {
        if (name === null) return undefined;
        return fresh.get(`${request.tenant}/${name}`) ?? this.#fallBack(request.tenant, name, degraded);
      });
      return this.#vector(one, request, known, degraded);
    });
  }

  peek(request: OrderFeatureRequest): FeatureVector | null {
    const prepared = this.#prepare(request);
    const known: Known[] = [];
    for (const name of prepared.names) {
      const cached = name === null ? undefined : this.#deps.cache.get(request.tenant, name);
      if (name !== null && !cached) return null;
      known.push(cached);
    }
    this.#peeked.set(
      request,
      known.map((entity) => entity?.version ?? -1),
    );
    return this.#vector(prepared, request, known, new Set());
  }

  async attempt(
    request: OrderFeatureRequest,
    deadlineMs: number,
  ): Promise<{ vector: FeatureVector; confirmed: boolean }> {
    const prepared = this.#prepare(request);
    const present = prepared.names.filter((name) => name !== null);
    const before = new Map<string, CachedEntity>();
    const calls = this.#attemptCalls(prepared, request, present);
    const round = Promise.all(
      [...calls].map(([object, sent]) => this.#attemptAt({ tenant: request.tenant, object, sent }, before)),
    );
    await answeredBy(round, deadlineMs, this.#deps.background);
    const degraded = new Set<DegradedFlag>();
    const known = prepared.names.map((name) =>
      name === null ? undefined : (before.get(name) ?? this.#fallBack(request.tenant, name, degraded)),
    );
    const peeked = this.#peeked.get(request);
    const confirmed =
      degraded.size === 0 &&
      peeked !== undefined &&
      known.every((entity, index) => (entity?.version ?? -1) === peeked[index]);
    return { vector: this.#vector(prepared, request, known, degraded), confirmed };
  }

  #prepare(request: OrderFeatureRequest): Prepared {
    const service = this.#deps.service(request.service);
    if (!service) throw new Error(`there is no feature service ${request.service}`);
    const ids = requestEntities(service, { payload: request.order, asOf: request.asOf });
    return {
      service,
      names: ids.map((id, index) => {
        const type = service.entities[index]?.type;
        return id === null || type === undefined ? null : entityName({ type, id });
      }),
    };
  }

  #vector(
    { service, names }: Prepared,
    request: OrderFeatureRequest,
    known: readonly Known[],
    degraded: ReadonlySet<DegradedFlag>,
  ): FeatureVector {
    const states = known.map((entity) => entity?.state);
    const finished = finishVector(service, states, { payload: request.order, asOf: request.asOf });
    const watermarks: Watermark[] = [];
    for (const [index, entity] of known.entries()) {
      const name = names[index];
      if (entity && typeof name === "string")
        watermarks.push({ entity: name, version: entity.version, ingestedAt: entity.ingestedAt });
    }
    return {
      service: { name: service.name, hash: service.hash },
      ...finished,
      watermarks,
      degraded: [...degraded],
    };
  }

  /** What to use for an entity that no shard answered for in time. */
  #fallBack(tenant: string, name: string, degraded: Set<DegradedFlag>): Known {
    const cached = this.#deps.cache.get(tenant, name);
    degraded.add(cached ? "features-stale" : "features-missing");
    return cached;
  }

  async #perObject(
    tenant: string,
    keys: readonly string[],
    call: (client: EntityShardClient, part: string[]) => Promise<void>,
  ): Promise<void> {
    const groups = Map.groupBy(keys, (key) => this.#deps.places.nameOf(tenant, key));
    await Promise.all([...groups].map(([object, part]) => call(this.#deps.places.client(object), part)));
  }

  async #readNames(tenant: string, names: readonly string[], fresh: Map<string, CachedEntity>): Promise<void> {
    await this.#perObject(tenant, names, async (client, part) => {
      for (let from = 0; from < part.length; from += MAX_NAMES_PER_READ) {
        const chunk = part.slice(from, from + MAX_NAMES_PER_READ);
        const known = chunk.map((name) => this.#deps.cache.get(tenant, name));
        const answer = await client.read(
          chunk,
          known.map((entity) => entity?.version ?? -1),
        );
        const entities = this.#entitiesOf(chunk, known, answer);
        for (const [index, entity] of entities.entries()) {
          this.#deps.cache.put(tenant, chunk[index] ?? "", entity);
          fresh.set(`${tenant}/${chunk[index]}`, entity);
        }
      }
    });
  }

  /** The entities that a shard's answer describes, and the count of those that memory had already. */
  #entitiesOf(
    names: readonly string[],
    known: readonly Known[],
    answer: { versions: number[]; ingestedAt: number[]; states: (Uint8Array | null)[] },
  ): CachedEntity[] {
    const checkedAt = this.#deps.now();
    let fromMemory = 0;
    const entities = names.map((name, index) => {
      const version = answer.versions[index] ?? 0;
      const bytes = answer.states[index] ?? null;
      const cached = known[index];
      const isCurrent = cached !== undefined && cached.version === version;
      if (isCurrent) fromMemory++;
      const state = bytes
        ? decodeEntity(bytes, this.#deps.catalog.layouts(entityTypeOf(name)))
        : isCurrent
          ? cached.state
          : null;
      return { state, version, ingestedAt: answer.ingestedAt[index] ?? 0, checkedAt };
    });
    this.#deps.onCacheReads(fromMemory, names.length - fromMemory);
    return entities;
  }

  /** The order's facts and the names of its entities, by object. */
  #attemptCalls(
    { service }: Prepared,
    request: OrderFeatureRequest,
    names: readonly string[],
  ): Map<string, OutgoingFacts> {
    const now = this.#deps.now();
    const facts = this.#deps.catalog.factsOfPayload(service.definition.request, request.order, now);
    const calls = new Map<string, OutgoingFacts>();
    const callFor = (name: string): OutgoingFacts => {
      const object = this.#deps.places.nameOf(request.tenant, name);
      const call = calls.get(object) ?? new OutgoingFacts();
      calls.set(object, call);
      return call;
    };
    for (const name of names) callFor(name).touch(name);
    for (const fact of facts) callFor(entityName(fact.entity)).add(fact, now, 0);
    return calls;
  }

  async #attemptAt(
    { tenant, object, sent }: { tenant: string; object: string; sent: OutgoingFacts },
    before: Map<string, CachedEntity>,
  ): Promise<void> {
    const { cache, catalog } = this.#deps;
    const batch = sent.take();
    const known = batch.entities.map((name) => cache.get(tenant, name));
    const versions = known.map((entity) => entity?.version ?? -1);
    const answer = await this.#deps.places.client(object).attempt(batch, versions);
    for (const [index, entity] of this.#entitiesOf(batch.entities, known, answer).entries()) {
      const name = batch.entities[index] ?? "";
      before.set(name, entity);
      cache.put(tenant, name, entity);
    }
    applyToCopies(cache, catalog, tenant, { entities: batch.entities, sent, now: this.#deps.now(), ...answer });
  }
}
