import { MAX_FUTURE_SKEW_MS, type EventType, type StoredEvent } from "../contract/events.ts";
import type { GroupDefinition, Keep, RetractionDefinition, ServiceDefinition, SourceDefinition } from "./definition.ts";
import { asNumber, compileExpression, readPath, type Evaluate, type Scope } from "./evaluate.ts";
import type { EntityKey, EntityType } from "./feature-store.ts";
import { FIRST_COLUMN, type Fact, type GroupLayout } from "./group-state.ts";
import { hash48 } from "./hash.ts";
import type { Parts } from "./summary.ts";

/** A group ready to take facts. */
export interface CompiledGroup extends GroupLayout {
  readonly definition: GroupDefinition;
  readonly key: Evaluate;
  readonly columns: readonly Evaluate[];
}

export interface CompiledSource {
  readonly definition: SourceDefinition;
  readonly identity: Evaluate | null;
  readonly time: Evaluate | null;
  readonly where: Evaluate | null;
}

/** One fact of one event for one entity's group. */
export interface EntityFact {
  readonly group: CompiledGroup;
  readonly entity: EntityKey;
  readonly fact: Fact;
}

interface Extraction {
  readonly root: (data: unknown) => unknown;
  readonly each: ((root: unknown) => unknown) | null;
  readonly source: CompiledSource;
  readonly groups: readonly CompiledGroup[];
}

interface CompiledRetraction {
  readonly root: (data: unknown) => unknown;
  readonly group: CompiledGroup;
  readonly identity: Evaluate;
  readonly key: Evaluate;
  readonly time: Evaluate;
  readonly where: Evaluate | null;
}

/** Elements of one fan-out list that are looked at: an order has at most 200 lines, so more is a wrong path. */
const MAX_FAN_OUT = 1_000;

/** The definitions of a set of services, compiled: which facts an event holds, and how entity state is laid out. */
export interface Catalog {
  readonly groups: readonly CompiledGroup[];
  readonly services: readonly ServiceDefinition[];
  /** Groups of an entity type, by slot. */
  readonly layouts: (type: EntityType) => readonly CompiledGroup[];
  readonly groupById: (id: number) => CompiledGroup | undefined;
  /** By `name@version`. */
  readonly groupByName: (name: string) => CompiledGroup | undefined;
  /** Facts of an event, for every entity that it touches. Facts dated further ahead than a clock may run are none. */
  readonly factsOf: (event: StoredEvent) => EntityFact[];
  /** Facts of a payload of a source that has not come as an event yet; its event is recognised by the fact's identity. */
  readonly factsOfPayload: (source: SourceDefinition, payload: unknown, now: number) => EntityFact[];
}

/** Throws where definitions contradict each other: two groups of one name and version, a column that does not exist. */
export function compileCatalog(services: readonly ServiceDefinition[]): Catalog {
  const groups = compileGroups(services);
  const byId = new Map(groups.map((group) => [group.id, group]));
  if (byId.size !== groups.length) throw new Error("two feature groups have the same 32-bit id; rename one");
  const byType = Map.groupBy(groups, (group) => group.definition.entity);
  const sources = compileSources(groups);
  const extractions = extractionsByType(sources);
  const retractions = retractionsByType(groups);
  const bySource = new Map(sources.map((source) => [groupName(source.source.definition), source]));
  return {
    groups,
    services,
    layouts: (type) => byType.get(type) ?? [],
    groupById: (id) => byId.get(id),
    groupByName: (name) => groups.find((group) => group.name === name),
    factsOf: (event) => [
      ...(extractions.get(event.type) ?? []).flatMap((extraction) => extract(extraction, event)),
      ...(retractions.get(event.type) ?? []).flatMap((retraction) => retract(retraction, event)),
    ],
    factsOfPayload: (source, payload, now) => {
      const extraction = bySource.get(groupName(source));
      return extraction ? factsAt(extraction, { eventTime: now, ingestedAt: now, identity: null }, payload) : [];
    },
  };
}

export function groupName(group: { readonly name: string; readonly version: number }): string {
  return `${group.name}@${group.version}`;
}

export function compileSource(definition: SourceDefinition): CompiledSource {
  return {
    definition,
    identity: definition.identity && compileExpression(definition.identity),
    time: definition.time && compileExpression(definition.time),
    where: definition.where && compileExpression(definition.where),
  };
}

function compileGroups(services: readonly ServiceDefinition[]): CompiledGroup[] {
  const definitions = new Map<string, GroupDefinition>();
  for (const service of services) {
    for (const feature of [...service.features, ...service.support]) {
      if (feature.kind !== "aggregate") continue;
      const name = groupName(feature.group);
      const known = definitions.get(name);
      if (known !== undefined && known !== feature.group)
        throw new Error(`feature group ${name} is defined twice; a changed definition needs a new version`);
      definitions.set(name, feature.group);
    }
  }
  const slots = new Map<EntityType, number>();
  return [...definitions].map(([name, definition]) => {
    const slot = slots.get(definition.entity) ?? 0;
    slots.set(definition.entity, slot + 1);
    return compileGroup(name, definition, slot);
  });
}

function compileGroup(name: string, definition: GroupDefinition, slot: number): CompiledGroup {
  const { columns, keep, retraction } = definition;
  return {
    slot,
    id: hash48(name) % 2 ** 32,
    name,
    definition,
    key: compileExpression(definition.key),
    columns: columns.map((column) => compileExpression(column.value)),
    columnNames: columns.map((column) => column.name),
    parts: columns.map((column) => partsOf(column.keep)),
    stride: FIRST_COLUMN + columns.length + (retraction === null ? 0 : 1),
    retractedAt: retraction === null ? -1 : FIRST_COLUMN + columns.length,
    keep: { ...keep, horizonMs: keep.horizonMs ?? Number.POSITIVE_INFINITY },
    ttlMs: definition.ttlMs ?? Number.POSITIVE_INFINITY,
  };
}

export function partsOf(keep: Keep): Parts {
  return {
    sum: keep.sum === true || keep.squares === true,
    squares: keep.squares === true,
    extremes: keep.extremes === true,
    ends: keep.ends === true,
    distinct: keep.distinct === true,
    recent: keep.recent ?? 0,
    halfLifeMs: keep.halfLifeMs ?? 0,
  };
}

interface SourceOfGroups {
  readonly source: CompiledSource;
  readonly groups: readonly CompiledGroup[];
}

function compileSources(groups: readonly CompiledGroup[]): SourceOfGroups[] {
  const bySource = Map.groupBy(groups, (group) => groupName(group.definition.source));
  return [...bySource.values()].flatMap((members) => {
    const definition = members[0]?.definition.source;
    if (!definition) return [];
    if (members.some((member) => member.definition.source !== definition))
      throw new Error(`source ${groupName(definition)} is defined twice; a changed definition needs a new version`);
    return [{ source: compileSource(definition), groups: members }];
  });
}

function extractionsByType(sources: readonly SourceOfGroups[]): Map<EventType, Extraction[]> {
  const byType = new Map<EventType, Extraction[]>();
  for (const { source, groups } of sources) {
    const { each: list, events } = source.definition;
    const each = list === null ? null : readPath(list);
    for (const { type, root } of events) {
      const extraction = { root: readPath(root), each, source, groups };
      byType.set(type, [...(byType.get(type) ?? []), extraction]);
    }
  }
  return byType;
}

function retractionsByType(groups: readonly CompiledGroup[]): Map<EventType, CompiledRetraction[]> {
  const byType = new Map<EventType, CompiledRetraction[]>();
  for (const group of groups) {
    const { retraction } = group.definition;
    if (!retraction) continue;
    for (const { type, root } of retraction.events)
      byType.set(type, [...(byType.get(type) ?? []), compileRetraction(group, retraction, root)]);
  }
  return byType;
}

function compileRetraction(group: CompiledGroup, retraction: RetractionDefinition, root: string): CompiledRetraction {
  return {
    group,
    root: readPath(root),
    identity: compileExpression(retraction.identity),
    key: compileExpression(retraction.key),
    time: compileExpression(retraction.time),
    where: retraction.where && compileExpression(retraction.where),
  };
}

function extract(extraction: Extraction, event: StoredEvent): EntityFact[] {
  const parent = extraction.root(event.data);
  const context = (suffix: string): FactContext => ({
    eventTime: Date.parse(event.time),
    ingestedAt: event.ingestedAt,
    identity: `${event.source}\n${event.id}${suffix}`,
  });
  if (extraction.each === null) return factsAt(extraction, context(""), parent);
  const list = extraction.each(parent);
  if (!Array.isArray(list)) return [];
  return list
    .slice(0, MAX_FAN_OUT)
    .flatMap((item, index) => factsAt(extraction, context(`\n${index}`), { item: item as unknown, parent }));
}

interface FactContext {
  readonly eventTime: number;
  readonly ingestedAt: number;
  /** Identity of the event, for sources whose facts have none of their own. */
  readonly identity: string | null;
}

function factsAt({ source, groups }: SourceOfGroups, context: FactContext, root: unknown): EntityFact[] {
  const scope: Scope = { root, time: context.eventTime, asOf: context.ingestedAt, feature: null };
  if (source.where !== null && source.where(scope) !== true) return [];
  const time = source.time?.(scope) ?? context.eventTime;
  const identity = source.identity === null ? context.identity : source.identity(scope);
  if (typeof identity !== "string" || !isPlausible(time, context.ingestedAt)) return [];
  const facts: EntityFact[] = [];
  for (const group of groups) {
    const id = group.key(scope);
    if (typeof id !== "string") continue;
    facts.push({
      group,
      entity: { type: group.definition.entity, id },
      fact: factOf(group, scope, time, hash48(identity)),
    });
  }
  return facts;
}

/** The fact of a group at a scope, with the columns evaluated. */
export function factOf(group: CompiledGroup, scope: Scope, time: number, identity: number): Fact {
  const columns = new Float64Array(group.columns.length);
  for (let i = 0; i < columns.length; i++) columns[i] = asNumber((group.columns[i] as Evaluate)(scope));
  return { time, identity, columns, retractedAt: Number.POSITIVE_INFINITY, retraction: false };
}

function retract(retraction: CompiledRetraction, event: StoredEvent): EntityFact[] {
  const retractedAt = Date.parse(event.time);
  const scope: Scope = { root: retraction.root(event.data), time: retractedAt, asOf: event.ingestedAt, feature: null };
  if (retraction.where !== null && retraction.where(scope) !== true) return [];
  const identity = retraction.identity(scope);
  const id = retraction.key(scope);
  const time = retraction.time(scope);
  if (typeof identity !== "string" || typeof id !== "string" || !isPlausible(time, event.ingestedAt)) return [];
  const fact: Fact = { time, identity: hash48(identity), columns: [], retractedAt, retraction: true };
  return [{ group: retraction.group, entity: { type: retraction.group.definition.entity, id }, fact }];
}

function isPlausible(time: unknown, ingestedAt: number): time is number {
  return typeof time === "number" && time <= ingestedAt + MAX_FUTURE_SKEW_MS;
}
