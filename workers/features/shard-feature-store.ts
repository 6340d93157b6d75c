import type { FeatureExplanation } from "../../models/contract/api/features.ts";
import type { DegradedFlag, Watermark } from "../../models/contract/decision-record.ts";
import type { StoredEvent } from "../../models/contract/events.ts";
import type { CompiledGroup, EntityFact } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import { explainFeatureValue } from "../../models/features/explain-feature.ts";
import { entityName } from "../../models/features/fact-batch.ts";
import type {
  ApplyOutcome,
  FeatureStore,
  FeatureVector,
  OrderFeatureRequest,
  VectorRequest,
} from "../../models/features/feature-store.ts";
import {
  finishValues,
  finishVector,
  type FinishedVector,
  requestEntities,
  type RequestContext,
} from "../../models/features/finish-vector.ts";
import { eventIdentity } from "../../models/features/hash.ts";
import type { EntityShardClient } from "../adapters/entity-shards.ts";
import { applyEvents, applyFacts } from "./apply-events.ts";
import { answeredBy } from "./deadline.ts";
import type { CachedEntity } from "./entity-cache.ts";
import { applyToCopies, OutgoingFacts } from "./entity-copies.ts";
import { mergedEntity, partsOf, type Replicas, routedFact } from "./replicas.ts";
import { entitiesOf, type ReadDeps, readEntities } from "./read-entities.ts";

export interface FeatureStoreDeps extends ReadDeps {
  readonly service: (name: string) => CompiledService | undefined;
  /** Parts that hot entities are kept in; 1 for all others. */
  readonly replicas: Replicas;
}

/** What is known of one entity of a request; undefined: nothing. */
type Known = CachedEntity | undefined;

/** A request with the entities it is about. */
interface Prepared {
  readonly tenant: string;
  readonly service: CompiledService;
  readonly context: RequestContext;
  /** By position of the service's entities; null: the request has no such entity. */
  readonly names: readonly (string | null)[];
}

/** Entity state over Durable Object shards and isolate memory. */
export class ShardFeatureStore implements FeatureStore {
  readonly #deps: FeatureStoreDeps;

  constructor(deps: FeatureStoreDeps) {
    this.#deps = deps;
  }

  async apply(tenant: string, events: readonly StoredEvent[]): Promise<ApplyOutcome[]> {
    return await applyEvents(this.#deps, tenant, events);
  }

  /** Stores rows of a batch-loaded group, each once by entity and time. Returns how many were new. */
  async load(tenant: string, facts: readonly EntityFact[]): Promise<number> {
    return await applyFacts(this.#deps, tenant, facts, this.#deps.now());
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
    const prepared = requests.map((request) => this.#prepareOrder(request));
    return await this.#readPrepared(prepared, { deadlineMs, maxAgeMs: 0 });
  }

  /** Vectors of any entities. Copies up to `maxAgeMs` old are used; 0 asks the shards about everything. */
  async vectors(
    requests: readonly VectorRequest[],
    options: { readonly deadlineMs: number; readonly maxAgeMs: number },
  ): Promise<FeatureVector[]> {
    return await this.#readPrepared(
      requests.map((request) => this.#prepare(request)),
      options,
    );
  }

  /** How a value comes about, from current state; null where the service has no such feature. */
  async explain(request: VectorRequest, feature: string, deadlineMs: number): Promise<FeatureExplanation | null> {
    const prepared = this.#prepare(request);
    const found = new Map<string, CachedEntity>();
    const names = this.#partNames(prepared);
    const reading = readEntities(this.#deps, request.tenant, names, { maxAgeMs: 0, found });
    await answeredBy(reading, deadlineMs, this.#deps.background);
    const states = prepared.names.map((name) => this.#merged(name, (part) => found.get(part))?.state);
    return explainFeatureValue(prepared.service, states, prepared.context, feature);
  }

  peek(request: OrderFeatureRequest): FeatureVector | null {
    const prepared = this.#prepareOrder(request);
    const known: Known[] = [];
    const inMemory = (part: string): Known => this.#deps.cache.get(request.tenant, part);
    for (const name of prepared.names) {
      const cached = this.#merged(name, inMemory);
      if (name !== null && !cached) return null;
      known.push(cached);
    }
    return new FinishedFeatures(prepared, known, []);
  }

  async attempt(
    request: OrderFeatureRequest,
    deadlineMs: number,
    peeked: FeatureVector | null = null,
  ): Promise<{ vector: FeatureVector; confirmed: boolean }> {
    const prepared = this.#prepareOrder(request);
    const before = new Map<string, CachedEntity>();
    const calls = this.#attemptCalls(prepared);
    const round = Promise.all(
      [...calls].map(([object, sent]) => this.#attemptAt({ tenant: request.tenant, object, sent }, before)),
    );
    await answeredBy(round, deadlineMs, this.#deps.background);
    const degraded = new Set<DegradedFlag>();
    const known = prepared.names.map((name) =>
      this.#merged(name, (part) => before.get(part) ?? this.#fallBack(request.tenant, part, degraded)),
    );
    // The same versions give the same vector: it is not made twice.
    if (degraded.size === 0 && peeked && isSame(peeked.watermarks, watermarksOf(prepared, known))) {
      return { vector: peeked, confirmed: true };
    }
    return { vector: new FinishedFeatures(prepared, known, [...degraded]), confirmed: false };
  }

  #service(name: string): CompiledService {
    const service = this.#deps.service(name);
    if (!service) throw new Error(`there is no feature service ${name}`);
    return service;
  }

  #prepareOrder({ tenant, service: name, order, asOf }: OrderFeatureRequest): Prepared {
    const service = this.#service(name);
    const context = { payload: order, asOf };
    const ids = requestEntities(service, context);
    return { tenant, service, context, names: service.entities.map(({ type }, at) => nameOrNull(type, ids[at])) };
  }

  #prepare({ tenant, service: name, entities, payload, asOf }: VectorRequest): Prepared {
    const service = this.#service(name);
    const names = service.entities.map(({ type }) => nameOrNull(type, entities[type]));
    return { tenant, service, context: { payload, asOf }, names };
  }

  async #readPrepared(
    prepared: readonly Prepared[],
    options: { readonly deadlineMs: number; readonly maxAgeMs: number },
  ): Promise<FeatureVector[]> {
    const found = new Map<string, Map<string, CachedEntity>>();
    const reads = [...Map.groupBy(prepared, ({ tenant }) => tenant)].map(async ([tenant, members]) => {
      const names = new Set(members.flatMap((member) => this.#partNames(member)));
      const ofTenant = new Map<string, CachedEntity>();
      found.set(tenant, ofTenant);
      await readEntities(this.#deps, tenant, [...names], {
        maxAgeMs: options.maxAgeMs,
        found: ofTenant,
        ...(options.maxAgeMs > 0 && { groups: this.#groupsOf(members) }),
        // The other half is for the shards, where there are no copies.
        copyDeadlineMs: options.deadlineMs / 2,
      });
    });
    await answeredBy(Promise.all(reads), options.deadlineMs, this.#deps.background);
    return prepared.map((one) => {
      const degraded = new Set<DegradedFlag>();
      const known = one.names.map((name) =>
        this.#merged(name, (part) => found.get(one.tenant)?.get(part) ?? this.#fallBack(one.tenant, part, degraded)),
      );
      return new FinishedFeatures(one, known, [...degraded]);
    });
  }

  /** Groups that the requests' services read, by entity. */
  #groupsOf(members: readonly Prepared[]): Map<string, CompiledGroup[]> {
    const groups = new Map<string, CompiledGroup[]>();
    for (const { service, names } of members) {
      for (const { entity, group } of service.windows) {
        const name = names[entity];
        if (typeof name !== "string") continue;
        for (const part of partsOf(name, this.#deps.replicas)) {
          const known = groups.get(part) ?? [];
          if (!known.includes(group)) groups.set(part, [...known, group]);
        }
      }
    }
    return groups;
  }

  #partNames({ names }: Pick<Prepared, "names">): string[] {
    return names.flatMap((name) => (name === null ? [] : partsOf(name, this.#deps.replicas)));
  }

  /** The state of an entity from those of its parts; undefined where the request has none or a part is unknown. */
  #merged(name: string | null, partOf: (name: string) => Known): Known {
    if (name === null) return undefined;
    if (this.#deps.replicas(name) <= 1) return partOf(name);
    const parts = partsOf(name, this.#deps.replicas).map(partOf);
    return mergedEntity(parts, name, this.#deps.catalog);
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

  /** The request's facts and the names of its entities, by object. */
  #attemptCalls({ tenant, service, context, names }: Prepared): Map<string, OutgoingFacts> {
    const now = this.#deps.now();
    const facts = this.#deps.catalog.factsOfPayload(service.definition.request, context.payload, now);
    const calls = new Map<string, OutgoingFacts>();
    const callFor = (name: string): OutgoingFacts => {
      const object = this.#deps.places.nameOf(tenant, name);
      const call = calls.get(object) ?? new OutgoingFacts();
      calls.set(object, call);
      return call;
    };
    for (const name of this.#partNames({ names })) callFor(name).touch(name);
    for (const whole of facts) {
      const fact = routedFact(whole, this.#deps.replicas);
      callFor(entityName(fact.entity)).add(fact, now, 0);
    }
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
    for (const [index, entity] of entitiesOf(this.#deps, batch.entities, known, answer).entries()) {
      const name = batch.entities[index] ?? "";
      before.set(name, entity);
      cache.put(tenant, name, entity);
    }
    applyToCopies(cache, catalog, tenant, { entities: batch.entities, sent, now: this.#deps.now(), ...answer });
  }
}

function nameOrNull(type: CompiledService["entities"][number]["type"], id: string | null | undefined): string | null {
  return typeof id === "string" ? entityName({ type, id }) : null;
}

function watermarksOf({ names }: Prepared, known: readonly Known[]): Watermark[] {
  const watermarks: Watermark[] = [];
  for (let index = 0; index < known.length; index++) {
    const entity = known[index];
    const name = names[index];
    if (entity && typeof name === "string")
      watermarks.push({ entity: name, version: entity.version, ingestedAt: entity.ingestedAt });
  }
  return watermarks;
}

function isSame(one: readonly Watermark[], other: readonly Watermark[]): boolean {
  return one.length === other.length && one.every(({ version }, index) => version === other[index]?.version);
}

/** A vector, and on demand, which a decision makes no use of, status and age of each value. */
class FinishedFeatures implements FeatureVector {
  readonly service: FeatureVector["service"];
  readonly vector: Float32Array;
  readonly newestAge: number | null;
  readonly watermarks: readonly Watermark[];
  readonly degraded: readonly DegradedFlag[];
  readonly #details: () => FinishedVector;

  constructor(prepared: Prepared, known: readonly Known[], degraded: readonly DegradedFlag[]) {
    const { service, context } = prepared;
    // States are never changed in place, so that the details are those of the same vector.
    const states = known.map((entity) => entity?.state);
    const { vector, newestAge } = finishValues(service, states, context);
    this.service = service;
    this.vector = vector;
    this.newestAge = newestAge;
    this.watermarks = watermarksOf(prepared, known);
    this.degraded = degraded;
    this.#details = () => finishVector(service, states, context);
  }

  get statuses(): FeatureVector["statuses"] {
    return this.#details().statuses;
  }

  get ages(): FeatureVector["ages"] {
    return this.#details().ages;
  }
}
