import { covers, partsNeeded } from "./aggregation.ts";
import { compileSource, groupName, type Catalog, type CompiledGroup, type CompiledSource } from "./catalog.ts";
import type {
  AggregateFeature,
  Aggregation,
  FeatureDefinition,
  GroupDefinition,
  ServiceDefinition,
  Window,
} from "./definition.ts";
import { compileExpression, type Evaluate } from "./evaluate.ts";
import type { Node } from "./expression.ts";
import type { EntityType } from "./feature-store.ts";
import { FIRST_COLUMN } from "./group-state.ts";
import { definitionHash } from "./hash.ts";
import type { Parts } from "./summary.ts";

/** A window over one group of one entity, whose ends are looked up once per vector. */
export interface CompiledWindow {
  readonly entity: number;
  readonly group: CompiledGroup;
  /** +∞ reaches back to the first fact. */
  readonly lengthMs: number;
  readonly delayMs: number;
  /** The group has facts of the request's source, the request's own among them. */
  readonly isOfRequest: boolean;
}

interface CompiledBase {
  readonly name: string;
  /** NaN: missing stays missing. */
  readonly fallback: number;
}
export interface CompiledRequest extends CompiledBase {
  readonly kind: "request";
  readonly value: Evaluate;
}
export interface CompiledAggregate extends CompiledBase {
  readonly kind: "aggregate";
  readonly window: number;
  readonly aggregation: Aggregation;
  /** Offset of the column in a row; 1, the identity, where the facts themselves are aggregated. */
  readonly offset: number;
  /** Index of the column; -1: the facts themselves. */
  readonly column: number;
  readonly needs: Parts;
  /** Nothing but the sum and count of a column is needed. */
  readonly isSum: boolean;
  readonly countsRequest: boolean;
}
export interface CompiledDerived extends CompiledBase {
  readonly kind: "derived";
  readonly value: Evaluate;
  readonly inputs: readonly number[];
}
export type CompiledFeature = CompiledRequest | CompiledAggregate | CompiledDerived;

export interface CompiledService {
  readonly definition: ServiceDefinition;
  readonly name: string;
  /** SHA-256 of what determines the values: names, order, expressions, groups, sources; not the prose. */
  readonly hash: string;
  readonly names: readonly string[];
  readonly width: number;
  readonly request: CompiledSource;
  readonly entities: readonly { readonly type: EntityType; readonly key: Evaluate }[];
  readonly windows: readonly CompiledWindow[];
  /** In an order in which every input precedes what is derived from it. */
  readonly features: readonly CompiledFeature[];
  /** Vector position → index into `features`. */
  readonly vector: readonly number[];
  /** Position in the vector; -1: not in it. */
  readonly indexOf: (name: string) => number;
  /** What a feature is, for a person. */
  readonly describe: (name: string) => string;
  /** Index into `features`, support features included; -1: unknown. */
  readonly positionOf: (name: string) => number;
}

/** Throws a precise error where a feature asks for what its group does not keep. */
export function compileService(definition: ServiceDefinition, catalog: Catalog): CompiledService {
  const ordered = byGroup(inOrder(definition));
  const positions = new Map(ordered.map((feature, index) => [feature.name, index]));
  const inVector = new Map(definition.features.map((feature, index) => [feature.name, index]));
  const windows: CompiledWindow[] = [];
  const context: ServiceContext = { definition, catalog, windows, positions };
  return {
    definition,
    name: definition.name,
    hash: serviceHash(definition),
    names: definition.features.map((feature) => feature.name),
    width: definition.features.length,
    request: compileSource(definition.request),
    entities: definition.entities.map(({ type, key }) => ({ type, key: compileExpression(key) })),
    windows,
    features: ordered.map((feature) => compileFeature(feature, context)),
    vector: definition.features.map((feature) => positions.get(feature.name) ?? -1),
    indexOf: (name) => inVector.get(name) ?? -1,
    describe: (name) => ordered[positions.get(name) ?? -1]?.description ?? name,
    positionOf: (name) => positions.get(name) ?? -1,
  };
}

/** What determines a service's values, without names of owners and prose. */
export function serviceHash(definition: ServiceDefinition): string {
  return definitionHash({
    name: definition.name,
    request: definition.request,
    entities: definition.entities,
    features: definition.features.map(valueOf),
    support: definition.support.map(valueOf),
  });
}

/** What determines what a group keeps, and so what its features are. */
export function valuesOfGroup(group: GroupDefinition): unknown {
  const { owner: _owner, description: _description, sensitivity: _sensitivity, copies: _copies, ...values } = group;
  return values;
}

/** What determines a feature's values. */
export function valueOf(feature: FeatureDefinition): unknown {
  const { description: _description, checks: _checks, ...rest } = feature;
  if (rest.kind !== "aggregate") return rest;
  return { ...rest, group: valuesOfGroup(rest.group) };
}

interface ServiceContext {
  readonly definition: ServiceDefinition;
  readonly catalog: Catalog;
  readonly windows: CompiledWindow[];
  readonly positions: ReadonlyMap<string, number>;
}

/** Request and aggregate features first, then derived ones as their inputs become known. */
function inOrder(definition: ServiceDefinition): FeatureDefinition[] {
  const all = [...definition.support, ...definition.features];
  const names = new Set(all.map((feature) => feature.name));
  if (names.size !== all.length) throw new Error(`service ${definition.name} has two features of one name`);
  const ordered: FeatureDefinition[] = all.filter((feature) => feature.kind !== "derived");
  let waiting = all.filter((feature) => feature.kind === "derived");
  while (waiting.length > 0) {
    const known = new Set(ordered.map((feature) => feature.name));
    const ready = waiting.filter((feature) => featureInputs(feature.value).every((name) => known.has(name)));
    if (ready.length === 0) {
      const [first] = waiting;
      const unknown = first ? featureInputs(first.value).filter((name) => !known.has(name)) : [];
      throw new Error(
        `derived feature ${first?.name} needs ${unknown.join(", ")}, which is unknown or derived from it`,
      );
    }
    ordered.push(...ready);
    waiting = waiting.filter((feature) => !ready.includes(feature));
  }
  return ordered;
}

function readsPayload(node: Node): boolean {
  if (node.op === "path" || node.op === "total" || node.op === "length") return true;
  if ("args" in node) return node.args.some(readsPayload);
  return "arg" in node && readsPayload(node.arg);
}

/** Aggregates of one group next to each other, so that its windows are too and share their lookups. Derived ones stay last. */
function byGroup(features: readonly FeatureDefinition[]): FeatureDefinition[] {
  const aggregates = features.filter((feature) => feature.kind === "aggregate");
  return [
    ...features.filter((feature) => feature.kind === "request"),
    ...[...Map.groupBy(aggregates, (feature) => feature.group).values()].flat(),
    ...features.filter((feature) => feature.kind === "derived"),
  ];
}

/** Names of the features that an expression refers to. */
export function featureInputs(node: Node): string[] {
  if (node.op === "feature") return [node.name];
  if ("args" in node) return node.args.flatMap(featureInputs);
  if ("arg" in node) return featureInputs(node.arg);
  return [];
}

/** Paths of the request's payload that an expression reads. */
export function requestPaths(node: Node): string[] {
  if (node.op === "path" || node.op === "length" || node.op === "total") return [node.path];
  if ("args" in node) return node.args.flatMap(requestPaths);
  return "arg" in node ? requestPaths(node.arg) : [];
}

function compileFeature(feature: FeatureDefinition, context: ServiceContext): CompiledFeature {
  const base = { name: feature.name, fallback: feature.fallback ?? Number.NaN };
  switch (feature.kind) {
    case "request":
      return { ...base, kind: "request", value: compileExpression(feature.value) };
    case "derived":
      if (readsPayload(feature.value))
        throw new Error(
          `derived feature ${feature.name} reads the request; make that a request feature and derive from it`,
        );
      return {
        ...base,
        kind: "derived",
        value: compileExpression(feature.value),
        inputs: featureInputs(feature.value).map((name) => context.positions.get(name) ?? -1),
      };
    case "aggregate":
      return { ...base, ...compileAggregate(feature, context) };
  }
}

function compileAggregate(
  feature: AggregateFeature,
  context: ServiceContext,
): Omit<CompiledAggregate, "name" | "fallback"> {
  const group = context.catalog.groups.find((candidate) => candidate.definition === feature.group);
  const refuse = (why: string): never => {
    throw new Error(`feature ${feature.name} over group ${groupName(feature.group)}: ${why}`);
  };
  if (!group) return refuse("the group is not in the catalog");
  const { aggregation, window, countsRequest } = feature;
  const column =
    "column" in aggregation && aggregation.column !== null ? group.columnNames.indexOf(aggregation.column) : -1;
  if ("column" in aggregation && aggregation.column !== null && column < 0)
    return refuse(`there is no column ${aggregation.column}; it has ${group.columnNames.join(", ")}`);
  const needs = partsNeeded(aggregation);
  const kept = group.parts[column];
  if (kept && !covers(kept, needs)) return refuse(`column ${aggregation.op} is not kept for tiles; extend its keep`);
  if (aggregation.op === "seen" && kept?.distinct !== true) return refuse("seen needs a column that keeps distinct");
  if (
    (aggregation.op === "distinct" || aggregation.op === "seen") &&
    group.definition.columns[column]?.value.op !== "hash"
  )
    return refuse(`${aggregation.op} needs a hashed column`);
  if (window.lengthMs !== null && window.lengthMs + window.delayMs > group.keep.horizonMs)
    return refuse(
      `its window reaches ${window.lengthMs + window.delayMs} ms back, the group keeps ${group.keep.horizonMs} ms`,
    );
  if (window.lengthMs === null && group.keep.horizonMs !== Number.POSITIVE_INFINITY)
    return refuse("a lifetime window needs a group without horizon");
  const fromRequest = groupName(group.definition.source) === groupName(context.definition.request);
  if ((countsRequest || aggregation.op === "seen") && !fromRequest)
    return refuse("the request is no fact of its source, so it can neither count nor be looked up");
  if (countsRequest && window.delayMs > 0) return refuse("a delayed window cannot count the request");
  return {
    kind: "aggregate",
    window: windowIndex(feature.group.entity, group, window, context),
    aggregation,
    offset: column < 0 ? 1 : FIRST_COLUMN + column,
    column,
    needs,
    isSum: column >= 0 && (aggregation.op === "sum" || aggregation.op === "mean" || aggregation.op === "rate"),
    countsRequest,
  };
}

function windowIndex(entity: EntityType, group: CompiledGroup, window: Window, context: ServiceContext): number {
  const { windows, definition } = context;
  const at = definition.entities.findIndex((candidate) => candidate.type === entity);
  if (at < 0)
    throw new Error(
      `service ${definition.name} has no ${entity} in its request, which ${groupName(group.definition)} needs`,
    );
  const lengthMs = window.lengthMs ?? Number.POSITIVE_INFINITY;
  const known = windows.findIndex(
    (other) => other.group === group && other.lengthMs === lengthMs && other.delayMs === window.delayMs,
  );
  const isOfRequest = groupName(group.definition.source) === groupName(definition.request);
  return known >= 0 ? known : windows.push({ entity: at, group, lengthMs, delayMs: window.delayMs, isOfRequest }) - 1;
}
