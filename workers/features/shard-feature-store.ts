import { canonicalJson } from "../../models/contract/canonical-json.ts";
import type { DegradedFlag, Watermark } from "../../models/contract/decision-record.ts";
import type { StoredEvent } from "../../models/contract/events.ts";
import type { Catalog, EntityFact } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import { addEntityFact, copyEntity, decodeEntity, emptyEntity } from "../../models/features/entity-state.ts";
import type { EntityState } from "../../models/features/entity-state.ts";
import { entityName, entityTypeOf, FactBatchWriter } from "../../models/features/fact-batch.ts";
import type {
  ApplyOutcome,
  FeatureStore,
  FeatureVector,
  OrderFeatureRequest,
} from "../../models/features/feature-store.ts";
import { finishVector, requestEntities } from "../../models/features/finish-vector.ts";
import type { FactOutcome } from "../../models/features/group-state.ts";
import { contentHash, eventIdentity } from "../../models/features/hash.ts";
import { answeredBy } from "./deadline.ts";
import type { CachedEntity, EntityCache } from "./entity-cache.ts";
import type { EntityShardClient, EntityShardPlaces } from "../adapters/entity-shards.ts";

/** An event that is older than this and not known is refused: its identity may have been forgotten. See the shard's own limit. */
const MAX_UNKNOWN_AGE_MS = 35 * 86_400_000;
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
    const claimed = await this.#claim(tenant, events);
    const writers = new Map<
      string,
      { writer: FactBatchWriter; events: number[]; facts: EntityFact[]; times: number[] }
    >();
    for (const [index, event] of events.entries()) {
      if (claimed[index] === "conflict" || claimed[index] === "too-old") continue;
      for (const fact of this.#deps.catalog.factsOf(event)) {
        const object = this.#deps.places.nameOf(tenant, entityName(fact.entity));
        const target = writers.get(object) ?? { writer: new FactBatchWriter(), events: [], facts: [], times: [] };
        writers.set(object, target);
        target.writer.add(fact, event.ingestedAt);
        target.events.push(index);
        target.facts.push(fact);
        target.times.push(event.ingestedAt);
      }
    }
    const completed = new Set<number>();
    await Promise.all(
      [...writers].map(async ([object, { writer, events: owners, facts, times }]) => {
        const batch = writer.take();
        const applied = await this.#deps.places.client(object).apply(batch);
        for (const [at, outcome] of applied.outcomes.entries())
          if (outcome === "applied") completed.add(owners[at] ?? -1);
        this.#applyToCopies(tenant, { entities: batch.entities, facts, times, ...applied });
      }),
    );
    return claimed.map((claim, index): ApplyOutcome => {
      if (claim === "conflict" || claim === "too-old") return claim;
      return claim === "new" || completed.has(index) ? "applied" : "duplicate";
    });
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
    const round = Promise.all(calls.map((call) => this.#attemptAt(request.tenant, call, before)));
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

  async #claim(tenant: string, events: readonly StoredEvent[]) {
    const oldest = this.#deps.now() - MAX_UNKNOWN_AGE_MS;
    const claims = events.map((event) => ({
      identity: eventIdentity(event.source, event.id),
      content: contentHash(canonicalJson([event.type, event.time, event.data])),
      // An import names the time of recording and proves by the log what it has sent.
      old: event.recordedtime === undefined && Date.parse(event.time) < oldest,
    }));
    const outcomes: ("new" | "known" | "conflict" | "too-old")[] = Array.from({ length: claims.length });
    const groups = Map.groupBy(claims.keys(), (index) =>
      this.#deps.places.nameOf(tenant, claims[index]?.identity ?? ""),
    );
    await Promise.all(
      [...groups].map(async ([object, indexes]) => {
        const answers = await this.#deps.places.client(object).claim(indexes.flatMap((index) => claims[index] ?? []));
        for (const [at, index] of indexes.entries()) outcomes[index] = answers[at] ?? "known";
      }),
    );
    return outcomes;
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

  #attemptCalls({ service }: Prepared, request: OrderFeatureRequest, names: readonly string[]): AttemptCall[] {
    const now = this.#deps.now();
    const facts = this.#deps.catalog.factsOfPayload(service.definition.request, request.order, now);
    const calls = new Map<string, AttemptCall>();
    const callFor = (name: string): AttemptCall => {
      const object = this.#deps.places.nameOf(request.tenant, name);
      const call = calls.get(object) ?? { object, writer: new FactBatchWriter(), facts: [], now };
      calls.set(object, call);
      return call;
    };
    for (const name of names) callFor(name).writer.touch(name);
    for (const fact of facts) {
      const call = callFor(entityName(fact.entity));
      call.writer.add(fact, now);
      call.facts.push(fact);
    }
    return [...calls.values()];
  }

  async #attemptAt(tenant: string, call: AttemptCall, before: Map<string, CachedEntity>): Promise<void> {
    const batch = call.writer.take();
    const known = batch.entities.map((name) => this.#deps.cache.get(tenant, name));
    const answer = await this.#deps.places.client(call.object).attempt(
      batch,
      known.map((entity) => entity?.version ?? -1),
    );
    const entities = this.#entitiesOf(batch.entities, known, answer);
    for (const [index, entity] of entities.entries()) {
      const name = batch.entities[index] ?? "";
      before.set(name, entity);
      this.#deps.cache.put(tenant, name, entity);
    }
    this.#applyToCopies(tenant, {
      entities: batch.entities,
      facts: call.facts,
      times: call.facts.map(() => call.now),
      outcomes: answer.outcomes,
      before: answer.before,
      after: answer.after,
    });
  }

  /** Brings copies that equal the state before a batch to the state after it, so that the next decision finds them current. */
  #applyToCopies(tenant: string, applied: AppliedBatch): void {
    const indexOf = new Map(applied.entities.map((name, index) => [name, index]));
    const copies = new Map<number, { state: EntityState; ingestedAt: number }>();
    for (const [at, { group, entity, fact }] of applied.facts.entries()) {
      const name = entityName(entity);
      const index = indexOf.get(name) ?? -1;
      if (applied.outcomes[at] !== "applied" || applied.before[index] === applied.after[index]) continue;
      let copy = copies.get(index);
      if (!copy) {
        const cached = this.#deps.cache.get(tenant, name);
        if (!cached || cached.version !== applied.before[index]) continue;
        const state =
          cached.state === null ? emptyEntity(this.#deps.catalog.layouts(entity.type)) : copyEntity(cached.state);
        copy = { state, ingestedAt: cached.ingestedAt };
        copies.set(index, copy);
      }
      copy.ingestedAt = Math.max(copy.ingestedAt, applied.times[at] ?? 0);
      addEntityFact(copy.state, group, fact, copy.ingestedAt, NOTHING_COARSENED);
    }
    const checkedAt = this.#deps.now();
    for (const [index, copy] of copies) {
      const version = applied.after[index] ?? 0;
      this.#deps.cache.put(tenant, applied.entities[index] ?? "", { ...copy, version, checkedAt });
    }
  }
}

interface AttemptCall {
  readonly object: string;
  readonly writer: FactBatchWriter;
  readonly facts: EntityFact[];
  readonly now: number;
}

interface AppliedBatch {
  readonly entities: readonly string[];
  readonly facts: readonly EntityFact[];
  readonly times: readonly number[];
  readonly outcomes: readonly FactOutcome[];
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** The shard has already said which facts are new. */
const NOTHING_COARSENED = { has: () => false, add: () => {} };
