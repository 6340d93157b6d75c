import type { Catalog, EntityFact } from "../../models/features/catalog.ts";
import { addEntityFact, emptyEntity, type EntityState } from "../../models/features/entity-state.ts";
import { entityName, FactBatchWriter, type FactBatch } from "../../models/features/fact-batch.ts";
import { copyGroup, type FactOutcome } from "../../models/features/group-state.ts";
import type { EntityCache } from "./entity-cache.ts";

/** Facts on their way to one object, with what is needed to bring the isolate's copies up to date afterwards. */
export class OutgoingFacts {
  readonly #writer = new FactBatchWriter();
  readonly facts: EntityFact[] = [];
  /** Ingestion time of each fact, epoch milliseconds. */
  readonly times: number[] = [];
  /** Index of the event of each fact. */
  readonly owners: number[] = [];

  add(fact: EntityFact, ingestedAt: number, owner: number): void {
    this.#writer.add(fact, ingestedAt, owner);
    this.facts.push(fact);
    this.times.push(ingestedAt);
    this.owners.push(owner);
  }

  /** Makes an entity part of the batch, fact or not. */
  touch(name: string): void {
    this.#writer.touch(name);
  }

  /** The batch for the wire; nothing may be added afterwards. */
  take(): FactBatch {
    return this.#writer.take();
  }
}

interface AppliedBatch {
  readonly entities: readonly string[];
  readonly sent: OutgoingFacts;
  readonly outcomes: readonly FactOutcome[];
  /** Versions of the entities before and after. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly now: number;
}

/** The shard has already said which facts are new. */
const NOTHING_COARSENED = { has: () => false, add: () => {} };

/** Brings copies that equal the state before a batch to the state after it, so that the next decision finds them current. */
export function applyToCopies(cache: EntityCache, catalog: Catalog, tenant: string, applied: AppliedBatch): void {
  const { entities, sent, outcomes, before, after, now } = applied;
  const indexOf = new Map(entities.map((name, index) => [name, index]));
  const copies = new Map<number, { state: EntityState; ingestedAt: number; own: Set<number> }>();
  for (const [at, { group, entity, fact }] of sent.facts.entries()) {
    const name = entityName(entity);
    const index = indexOf.get(name) ?? -1;
    if (outcomes[at] !== "applied" || before[index] === after[index]) continue;
    let copy = copies.get(index);
    if (!copy) {
      const cached = cache.get(tenant, name);
      if (!cached || cached.version !== before[index]) continue;
      const state =
        cached.state === null
          ? emptyEntity(catalog.layouts(entity.type))
          : { groups: [...cached.state.groups], foreign: cached.state.foreign };
      copy = { state, ingestedAt: cached.ingestedAt, own: new Set() };
      copies.set(index, copy);
    }
    const known = copy.state.groups[group.slot];
    // Groups without a new fact are shared with the older copy: nobody changes them in place.
    if (known && !copy.own.has(group.slot)) copy.state.groups[group.slot] = copyGroup(known);
    copy.own.add(group.slot);
    copy.ingestedAt = Math.max(copy.ingestedAt, sent.times[at] ?? 0);
    addEntityFact(copy.state, group, fact, copy.ingestedAt, NOTHING_COARSENED);
  }
  for (const [index, { state, ingestedAt }] of copies)
    cache.put(tenant, entities[index] ?? "", { state, ingestedAt, version: after[index] ?? 0, checkedAt: now });
}
