import { MAX_FUTURE_SKEW_MS, type EventType, type StoredEvent } from "../contract/events.ts";
import type { GroupDefinition, Keep, RetractionDefinition, ServiceDefinition, SourceDefinition } from "./definition.ts";
import { asNumber, compileExpression, readPath, type Evaluate, type Scope } from "./evaluate.ts";
import type { Node } from "./expression.ts";
import { type EntityKey, type EntityType, isComposite } from "./feature-store.ts";
import { FIRST_COLUMN, type Fact, type GroupLayout } from "./group-state.ts";
import { hash48 } from "./hash.ts";
import { parseTime } from "./parse-time.ts";
import { sharedCompiler } from "./shared-compiler.ts";
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

/** KV lets nothing live shorter. */
const MIN_COPY_TTL_SECONDS = 60;

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
  // Groups of one source ask for the same expressions of the same event, which are evaluated once.
  const compile = sharedCompiler();
  const groups = compileGroups(services, compile);
  const byId = new Map(groups.map((group) => [group.id, group]));
  if (byId.size !== groups.length) throw new Error("two feature groups have the same 32-bit id; rename one");
  const byType = Map.groupBy(groups, (group) => group.definition.entity);
  const sources = compileSources(groups, compile);
  const extractions = extractionsByType(sources);
  const retractions = retractionsByType(groups);
  const bySource = new Map(sources.map((source) => [groupName(source.source.definition), source]));
  return {
    groups,
    services,
    layouts: (type) => byType.get(type) ?? [],
    groupById: (id) => byId.get(id),
    groupByName: (name) => groups.find((group) => group.name === name),
    factsOf: (event) => {
      const facts: EntityFact[] = [];
      for (const extraction of extractions.get(event.type) ?? []) extract(extraction, event, facts);
      for (const retraction of retractions.get(event.type) ?? []) retract(retraction, event, facts);
      return facts;
    },
    factsOfPayload: (source, payload, now) => {
      const facts: EntityFact[] = [];
      const extraction = bySource.get(groupName(source));
      if (extraction) addFactsAt(extraction, { eventTime: now, ingestedAt: now, identity: null }, payload, facts);
      return facts;
    },
  };
}

export function groupName(group: { readonly name: string; readonly version: number }): string {
  return `${group.name}@${group.version}`;
}

type Compile = (node: Node) => Evaluate;

export function compileSource(definition: SourceDefinition, compile: Compile = compileExpression): CompiledSource {
  return {
    definition,
    identity: definition.identity && compile(definition.identity),
    time: definition.time && compile(definition.time),
    where: definition.where && compile(definition.where),
  };
}

function compileGroups(services: readonly ServiceDefinition[], compile: Compile): CompiledGroup[] {
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
    return compileGroup({ name, definition, slot, compile });
  });
}

function compileGroup(of: {
  name: string;
  definition: GroupDefinition;
  slot: number;
  compile: Compile;
}): CompiledGroup {
  const { name, definition, slot, compile } = of;
  const { columns, keep, retraction, copies } = definition;
  if (copies !== null && !(Number.isInteger(copies.ttlSeconds) && copies.ttlSeconds >= MIN_COPY_TTL_SECONDS))
    throw new Error(`group ${name}: copies live at least ${MIN_COPY_TTL_SECONDS} s, a whole number of them`);
  // A loaded row names a pair as one text.
  if (definition.source.events.length > 0 && isComposite(definition.entity) !== (definition.key.op === "pair"))
    throw new Error(
      `group ${name}: the key of ${definition.entity} is ${isComposite(definition.entity) ? "a pair of ids: use pair(…)" : "one id"}`,
    );
  return {
    slot,
    id: hash48(name) % 2 ** 32,
    name,
    definition,
    key: compile(definition.key),
    columns: columns.map((column) => compile(column.value)),
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

function compileSources(groups: readonly CompiledGroup[], compile: Compile): SourceOfGroups[] {
  const bySource = Map.groupBy(groups, (group) => groupName(group.definition.source));
  return [...bySource.values()].flatMap((members) => {
    const definition = members[0]?.definition.source;
    if (!definition) return [];
    if (members.some((member) => member.definition.source !== definition))
      throw new Error(`source ${groupName(definition)} is defined twice; a changed definition needs a new version`);
    return [{ source: compileSource(definition, compile), groups: members }];
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

function extract(extraction: Extraction, event: StoredEvent, into: EntityFact[]): void {
  const parent = extraction.root(event.data);
  const eventTime = parseTime(event.time);
  const context = (suffix: string): FactContext => ({
    eventTime,
    ingestedAt: event.ingestedAt,
    identity: extraction.source.identity === null ? `${event.source}\n${event.id}${suffix}` : null,
  });
  if (extraction.each === null) {
    addFactsAt(extraction, context(""), parent, into);
    return;
  }
  const list = extraction.each(parent);
  if (!Array.isArray(list)) return;
  const count = Math.min(list.length, MAX_FAN_OUT);
  for (let index = 0; index < count; index++)
    addFactsAt(extraction, context(`\n${index}`), { item: list[index] as unknown, parent }, into);
}

interface FactContext {
  readonly eventTime: number;
  readonly ingestedAt: number;
  /** Identity of the event, for sources whose facts have none of their own. */
  readonly identity: string | null;
}

function addFactsAt({ source, groups }: SourceOfGroups, context: FactContext, root: unknown, into: EntityFact[]): void {
  const scope: Scope = { root, time: context.eventTime, asOf: context.ingestedAt, feature: null };
  if (source.where !== null && source.where(scope) !== true) return;
  const time = source.time?.(scope) ?? context.eventTime;
  const identity = source.identity === null ? context.identity : source.identity(scope);
  if (typeof identity !== "string" || !isPlausible(time, context.ingestedAt)) return;
  const hashed = hash48(identity);
  for (const group of groups) {
    const id = group.key(scope);
    if (typeof id !== "string") continue;
    into.push({ group, entity: { type: group.definition.entity, id }, fact: factOf(group, scope, time, hashed) });
  }
}

/** The fact of a group at a scope, with the columns evaluated. */
export function factOf(group: CompiledGroup, scope: Scope, time: number, identity: number): Fact {
  const columns: number[] = [];
  for (const column of group.columns) columns.push(asNumber(column(scope)));
  return { time, identity, columns, retractedAt: Number.POSITIVE_INFINITY, retraction: false };
}

function retract(retraction: CompiledRetraction, event: StoredEvent, into: EntityFact[]): void {
  const retractedAt = parseTime(event.time);
  const scope: Scope = { root: retraction.root(event.data), time: retractedAt, asOf: event.ingestedAt, feature: null };
  if (retraction.where !== null && retraction.where(scope) !== true) return;
  const identity = retraction.identity(scope);
  const id = retraction.key(scope);
  const time = retraction.time(scope);
  if (typeof identity !== "string" || typeof id !== "string" || !isPlausible(time, event.ingestedAt)) return;
  const fact: Fact = { time, identity: hash48(identity), columns: [], retractedAt, retraction: true };
  into.push({ group: retraction.group, entity: { type: retraction.group.definition.entity, id }, fact });
}

function isPlausible(time: unknown, ingestedAt: number): time is number {
  return typeof time === "number" && time <= ingestedAt + MAX_FUTURE_SKEW_MS;
}
