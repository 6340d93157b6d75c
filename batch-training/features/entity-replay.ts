import type { CompiledGroup } from "../../models/features/catalog.ts";
import { addEntityFact, emptyEntity, type EntityState } from "../../models/features/entity-state.ts";
import { finishEntity } from "../../models/features/finish-vector.ts";
import { type CoarsenedFacts, type Fact, HORIZON_SLACK_MS } from "../../models/features/group-state.ts";
import { ASK_HEAD, type BuildPlan, FACT_HEAD, type PlannedEntity } from "./build-plan.ts";
import { FactColumns } from "./fact-columns.ts";
import { ColumnFinisher } from "./finish-columns.ts";

/**
 * Replays one entity after the other: its facts and the questions to it, in the order of the log. Facts are kept in columns as long as all of
 * them are exact; an entity with more facts than its groups keep exactly, or with retractions, goes on in the state that serves.
 */
export class EntityReplay {
  readonly #plan: BuildPlan;
  readonly #entity: PlannedEntity;
  /** By the stream of the group. */
  readonly #facts = new Map<number, FactColumns>();
  readonly #finisher: ColumnFinisher;
  readonly #hasRetractions: boolean;
  readonly #values: Float64Array;
  readonly #coarsened = new Map<CompiledGroup, KnownIdentities>();
  #state: EntityState | null = null;

  constructor(plan: BuildPlan, entity: PlannedEntity) {
    this.#plan = plan;
    this.#entity = entity;
    for (const { group, stream } of entity.groups) this.#facts.set(stream, new FactColumns(group, plan.service));
    this.#finisher = new ColumnFinisher(plan, entity, [...this.#facts.values()]);
    this.#hasRetractions = [...this.#facts.values()].some(({ group }) => group.retractedAt >= 0);
    this.#values = new Float64Array(plan.service.features.length);
  }

  /** Forgets the entity before. */
  begin(): void {
    for (const facts of this.#facts.values()) facts.clear();
    this.#state = null;
    if (this.#hasRetractions) this.#useState();
  }

  /** Applies a record of the group of a stream. Records of one group come in the order of the log, so the newest ingestion is their own. */
  apply(stream: number, record: Float64Array, at: number): void {
    const facts = this.#facts.get(stream);
    if (!facts) return;
    if (this.#state === null) {
      const oldest = (record[at + 2] as number) - facts.group.keep.horizonMs - HORIZON_SLACK_MS;
      if (facts.add(record, at + 4, at + FACT_HEAD, oldest) !== "full") return;
      this.#useState();
    }
    this.#applyToState(facts.group, record, at);
  }

  /** Writes the entity's aggregates for the ask record from `to` on; returns the position behind them. */
  answer(record: Float64Array, at: number, out: Float64Array, to: number): number {
    const identity = record[at + 4] as number;
    const asOf = record[at + 5] as number;
    if (this.#state === null) return this.#finisher.finish({ identity, asOf, record, at: at + ASK_HEAD }, out, to);
    const facts = new Map<CompiledGroup, Fact>();
    let column = at + ASK_HEAD;
    for (const group of this.#entity.ownGroups) {
      const columns = record.subarray(column, column + group.columns.length);
      facts.set(group, { time: asOf, identity, columns, retractedAt: Number.POSITIVE_INFINITY, retraction: false });
      column += group.columns.length;
    }
    const { service } = this.#plan;
    const { index, aggregates } = this.#entity;
    finishEntity(service, { index, state: this.#state }, { payload: {}, asOf, own: { identity, facts } }, this.#values);
    let end = to;
    for (const feature of aggregates) out[end++] = this.#values[feature] as number;
    return end;
  }

  #useState(): void {
    const state = emptyEntity(this.#plan.catalog.layouts(this.#entity.type));
    for (const facts of this.#facts.values()) state.groups[facts.group.slot] = facts.toState();
    this.#coarsened.clear();
    this.#state = state;
  }

  #applyToState(group: CompiledGroup, record: Float64Array, at: number): void {
    if (this.#state === null) return;
    let coarsened = this.#coarsened.get(group);
    if (!coarsened) {
      coarsened = new KnownIdentities();
      this.#coarsened.set(group, coarsened);
    }
    const retractedAt = record[at + 6] as number;
    const columns = at + FACT_HEAD;
    const fact: Fact = {
      time: record[at + 4] as number,
      identity: record[at + 5] as number,
      columns: record.subarray(columns, columns + group.columns.length),
      retractedAt,
      retraction: retractedAt !== Number.POSITIVE_INFINITY,
    };
    addEntityFact(this.#state, group, fact, record[at + 2] as number, coarsened);
  }
}

/** Identities of one group's facts in tiles. */
class KnownIdentities implements CoarsenedFacts {
  readonly #known = new Set<number>();
  readonly has = (identity: number): boolean => this.#known.has(identity);
  readonly add = (identity: number): void => {
    this.#known.add(identity);
  };
}
