import type { AppliedFacts, AttemptAnswer, EntityStates } from "../../durable-objects/entity-shard.core.ts";
import type { ClaimOutcome, EventClaim } from "../../durable-objects/event-identities.ts";
import { type EntityShard, entityShardName } from "../../durable-objects/entity-shard.ts";
import type { LoadState } from "../../durable-objects/staged-loads.ts";
import type { FactBatch } from "../../models/features/fact-batch.ts";

/** The operations of one entity shard object. */
export interface EntityShardClient {
  claim(claims: EventClaim[]): Promise<ClaimOutcome[]>;
  /** `claim` and `apply` in one call, where one object holds the identities and the entities. */
  ingest(claims: EventClaim[], batch: FactBatch): Promise<{ claims: ClaimOutcome[]; applied: AppliedFacts }>;
  settle(identities: string[]): Promise<void>;
  settled(identities: string[]): Promise<boolean[]>;
  apply(batch: FactBatch): Promise<AppliedFacts>;
  read(names: string[], known: number[]): Promise<EntityStates>;
  /** At a load's coordinator: whether it is committed. */
  loadState(load: string): Promise<LoadState | null>;
  attempt(batch: FactBatch, known: number[]): Promise<AttemptAnswer>;
}

/** Finds the objects that hold entities and event identities. */
export interface EntityShardPlaces {
  /** Object that holds a key: an entity's name or an event's identity. */
  nameOf(tenant: string, key: string): string;
  client(objectName: string): EntityShardClient;
}

export class EntityShards implements EntityShardPlaces {
  readonly #namespace: DurableObjectNamespace<EntityShard>;
  readonly #objects: number;

  constructor(namespace: DurableObjectNamespace<EntityShard>, objects: number) {
    this.#namespace = namespace;
    this.#objects = objects;
  }

  nameOf(tenant: string, key: string): string {
    return entityShardName({ tenant, key, objects: this.#objects });
  }

  client(objectName: string): EntityShardClient {
    return this.#namespace.getByName(objectName);
  }
}
