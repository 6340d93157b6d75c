import type { StoredEvent } from "../../models/contract/events.ts";
import type { Catalog, CompiledGroup, EntityFact } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import { addEntityFact, emptyEntity, type EntityState } from "../../models/features/entity-state.ts";
import type { EntityKey, EntityType } from "../../models/features/feature-store.ts";
import { type FinishedVector, finishVector, requestEntities } from "../../models/features/finish-vector.ts";
import type { CoarsenedFacts, FactOutcome } from "../../models/features/group-state.ts";

/** Entity state in the memory of one process: what the shards hold, without storage. */
export class ReplayState {
  readonly #catalog: Catalog;
  readonly #entities = new Map<EntityType, Map<string, KnownEntity>>();
  readonly #coarsened = new Coarsened();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** Applies the facts of an event, each once. */
  apply(event: StoredEvent): FactOutcome[] {
    return this.#catalog.factsOf(event).map((fact) => this.applyFact(fact, event.ingestedAt));
  }

  applyFact({ group, entity, fact }: EntityFact, ingestedAt: number): FactOutcome {
    const entities = this.#ofType(entity.type);
    let known = entities.get(entity.id);
    if (!known) {
      known = { state: emptyEntity(this.#catalog.layouts(entity.type)), ingestedAt: 0 };
      entities.set(entity.id, known);
    }
    known.ingestedAt = Math.max(known.ingestedAt, ingestedAt);
    this.#coarsened.group = group;
    this.#coarsened.entity = entity;
    return addEntityFact(known.state, group, fact, known.ingestedAt, this.#coarsened);
  }

  #ofType(type: EntityType): Map<string, KnownEntity> {
    let entities = this.#entities.get(type);
    if (!entities) {
      entities = new Map();
      this.#entities.set(type, entities);
    }
    return entities;
  }

  /** The vector of a request as of a time, from everything applied so far. */
  vector(service: CompiledService, payload: unknown, asOf: number): FinishedVector {
    const request = { payload, asOf };
    const states = requestEntities(service, request).map((id, index) => {
      const type = service.entities[index]?.type;
      if (id === null || type === undefined) return undefined;
      return this.entity({ type, id }) ?? null;
    });
    return finishVector(service, states, request);
  }

  /** State of an entity. */
  entity({ type, id }: EntityKey): EntityState | undefined {
    return this.#entities.get(type)?.get(id)?.state;
  }
}

interface KnownEntity {
  readonly state: EntityState;
  ingestedAt: number;
}

/** Identities of facts in tiles. One object for all facts: which entity and group it speaks of is set before each use. */
class Coarsened implements CoarsenedFacts {
  readonly #known = new Set<string>();
  group: CompiledGroup | null = null;
  entity: EntityKey | null = null;

  readonly has = (identity: number): boolean => this.#known.has(this.#key(identity));
  readonly add = (identity: number): void => {
    this.#known.add(this.#key(identity));
  };

  #key(identity: number): string {
    return `${this.group?.id}/${this.entity?.type}:${this.entity?.id}/${identity}`;
  }
}
