import type { StoredEvent } from "../../models/contract/events.ts";
import type { Catalog, EntityFact } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import { addEntityFact, emptyEntity, type EntityState } from "../../models/features/entity-state.ts";
import { entityName } from "../../models/features/fact-batch.ts";
import { type FinishedVector, finishVector, requestEntities } from "../../models/features/finish-vector.ts";
import type { CoarsenedFacts, FactOutcome } from "../../models/features/group-state.ts";

/** Entity state in the memory of one process: what the shards hold, without storage. */
export class ReplayState {
  readonly #catalog: Catalog;
  readonly #entities = new Map<string, { readonly state: EntityState; ingestedAt: number }>();
  /** Identities of facts in tiles, by entity and group. */
  readonly #coarsened = new Map<string, Set<number>>();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** Applies the facts of an event, each once. */
  apply(event: StoredEvent): FactOutcome[] {
    return this.#catalog.factsOf(event).map((fact) => this.applyFact(fact, event.ingestedAt));
  }

  applyFact({ group, entity, fact }: EntityFact, ingestedAt: number): FactOutcome {
    const name = entityName(entity);
    let known = this.#entities.get(name);
    if (!known) {
      known = { state: emptyEntity(this.#catalog.layouts(entity.type)), ingestedAt: 0 };
      this.#entities.set(name, known);
    }
    known.ingestedAt = Math.max(known.ingestedAt, ingestedAt);
    return addEntityFact(known.state, group, fact, known.ingestedAt, this.#coarsenedFacts(`${group.id}/${name}`));
  }

  /** The vector of a request as of a time, from everything applied so far. */
  vector(service: CompiledService, payload: unknown, asOf: number): FinishedVector {
    const request = { payload, asOf };
    const states = requestEntities(service, request).map((id, index) => {
      const type = service.entities[index]?.type;
      if (id === null || type === undefined) return undefined;
      return this.#entities.get(entityName({ type, id }))?.state ?? null;
    });
    return finishVector(service, states, request);
  }

  /** State of an entity by its name, `type:id`. */
  entity(name: string): EntityState | undefined {
    return this.#entities.get(name)?.state;
  }

  #coarsenedFacts(key: string): CoarsenedFacts {
    return {
      has: (identity) => this.#coarsened.get(key)?.has(identity) === true,
      add: (identity) => {
        const known = this.#coarsened.get(key);
        if (known) known.add(identity);
        else this.#coarsened.set(key, new Set([identity]));
      },
    };
  }
}
