import type { EventType } from "../contract/events.ts";
import type { DataSensitivity } from "../contract/events/define.ts";
import { concat, fields, type Expr, type Fields, type Node } from "./expression.ts";
import type { EntityType } from "./feature-store.ts";

/**
 * What a feature definition is made of. All of it is plain data; the functions here only type it. Names are snake_case; a
 * definition never changes: a change is a new version beside the old one.
 */

/** Where facts come from. One fact per identity, whichever of the events arrives first. */
export interface SourceDefinition {
  readonly name: string;
  readonly version: number;
  /** Event types, each with the path inside `data` at which the payload of the fact starts; "" is `data` itself. */
  readonly events: readonly { readonly type: EventType; readonly root: string }[];
  /** Path to a list inside the payload: one fact per element, whose root is `{ item, parent }`. */
  readonly each: string | null;
  /** Identity of the fact; null: that of the event. */
  readonly identity: Node | null;
  /** Event time of the fact, epoch milliseconds; null: that of the event. */
  readonly time: Node | null;
  /** Facts for which this does not hold are none. */
  readonly where: Node | null;
}

/** A source with the type of its payload, known to the compiler only. */
export interface Source<T> extends SourceDefinition {
  readonly payload?: T;
}

interface SourceOptions<T> {
  readonly name: string;
  readonly version: number;
  readonly events: SourceDefinition["events"];
  readonly identity?: (payload: Fields<T>) => Expr<"text">;
  readonly time?: (payload: Fields<T>) => Expr<"number">;
  readonly where?: (payload: Fields<T>) => Expr<"flag">;
}

export function source<T>(options: SourceOptions<T>): Source<T> {
  return { ...sourceOf(options), each: null };
}

/** A source with one fact per element of a list in the payload; an identity is needed to tell the elements apart. */
export function sourceOfEach<Item, Parent>(
  options: SourceOptions<{ item: Item; parent: Parent }> & { readonly each: string },
): Source<{ item: Item; parent: Parent }> {
  return { ...sourceOf(options), each: options.each };
}

/** A row of values that were computed elsewhere. */
export interface LoadedValues {
  readonly entity: string;
  readonly at: string;
  readonly values: Readonly<Record<string, number | null>>;
}

/** A source that no event feeds: its facts are loaded. One fact per entity and time, so loading a file again changes nothing. */
export function loadedSource(name: string, version: number): Source<LoadedValues> {
  return source<LoadedValues>({
    name,
    version,
    events: [],
    identity: (row) => concat(row.text("entity"), row.text("at")),
    time: (row) => row.time("at"),
  });
}

function sourceOf<T>({ name, version, events, identity, time, where }: SourceOptions<T>) {
  const payload = fields<T>();
  return {
    name,
    version,
    events,
    identity: identity?.(payload) ?? null,
    time: time?.(payload) ?? null,
    where: where?.(payload) ?? null,
  };
}

/** What a coarsened fact leaves behind of a column; exact facts keep the value itself. */
export interface Keep {
  readonly sum?: true;
  readonly squares?: true;
  readonly extremes?: true;
  readonly ends?: true;
  readonly distinct?: true;
  /** Newest values, 1–16. */
  readonly recent?: number;
  readonly halfLifeMs?: number;
}

export interface ColumnDefinition {
  readonly name: string;
  readonly value: Node;
  readonly keep: Keep;
}

/**
 * How much an entity keeps of a group. The newest `facts` facts are exact; older ones are merged into tiles of `tileMs`, at most
 * `tiles` of them (the oldest two are merged above that). What is older than `horizonMs` is dropped; null: never.
 */
export interface KeepDefinition {
  readonly horizonMs: number | null;
  readonly facts: number;
  readonly tileMs: number;
  readonly tiles: number;
}

/**
 * Copies of the group's state in KV, for reads that allow age. They cost a write per changed entity and second at most, and nothing where
 * a group declares none. No part of a hash: they change where a value is read, not the value.
 */
export interface CopiesDefinition {
  /** How long a copy lives without a change, seconds; at least 60, the shortest life that KV gives. */
  readonly ttlSeconds: number;
}

/** Removes a fact again: from the retraction's time on it no longer counts. Reaches facts that are still exact. */
export interface RetractionDefinition {
  readonly events: readonly { readonly type: EventType; readonly root: string }[];
  readonly identity: Node;
  readonly key: Node;
  /** Event time of the fact that is retracted. */
  readonly time: Node;
  readonly where: Node | null;
}

/** The facts of one source that one type of entity keeps: the unit of state, ownership and time to live. */
export interface GroupDefinition {
  readonly name: string;
  readonly version: number;
  readonly owner: string;
  readonly description: string;
  readonly sensitivity: DataSensitivity;
  readonly entity: EntityType;
  /** The entity's id inside the payload; no fact where it is missing. */
  readonly key: Node;
  readonly source: SourceDefinition;
  readonly columns: readonly ColumnDefinition[];
  readonly keep: KeepDefinition;
  /** Values whose newest fact is older than this are `expired`; null: never. */
  readonly ttlMs: number | null;
  readonly retraction: RetractionDefinition | null;
  /** Null: no copies, every read asks the shards. */
  readonly copies: CopiesDefinition | null;
}

/** A group with the names of its columns, known to the compiler only: one with more columns fits where fewer are needed. */
export interface Group<Column extends string> extends GroupDefinition {
  readonly hasColumn?: (column: Column) => void;
}

interface GroupOptions<T, C extends string> {
  readonly name: string;
  readonly version: number;
  readonly owner: string;
  readonly description: string;
  readonly sensitivity: DataSensitivity;
  readonly entity: EntityType;
  readonly source: Source<T>;
  readonly key: (payload: Fields<T>) => Expr<"text">;
  readonly columns: (payload: Fields<T>) => Record<C, { readonly value: Expr; readonly keep?: Keep }>;
  readonly keep: KeepDefinition;
  readonly ttlMs?: number;
  readonly retraction?: RetractionDefinition;
  readonly copies?: CopiesDefinition;
}

export function group<T, C extends string>(options: GroupOptions<T, C>): Group<C> {
  const payload = fields<T>();
  const columns = Object.entries(options.columns(payload)) as [C, { value: Expr; keep?: Keep }][];
  return {
    name: options.name,
    version: options.version,
    owner: options.owner,
    description: options.description,
    sensitivity: options.sensitivity,
    entity: options.entity,
    key: options.key(payload),
    source: options.source,
    columns: columns.map(([name, column]) => ({ name, value: column.value, keep: column.keep ?? {} })),
    keep: options.keep,
    ttlMs: options.ttlMs ?? null,
    retraction: options.retraction ?? null,
    copies: options.copies ?? null,
  };
}

export type Aggregation =
  /** Facts in the window; with a column, those where it is not missing. */
  | { readonly op: "count"; readonly column: string | null }
  | {
      readonly op: "sum" | "mean" | "variance" | "deviation" | "min" | "max" | "first" | "last" | "distinct";
      readonly column: string;
    }
  /** The n-th newest value, 1 = the newest. */
  | { readonly op: "nth-last"; readonly column: string; readonly n: number }
  /** (sum + prior · weight) / (count + weight): a mean that starts at the prior. */
  | { readonly op: "rate"; readonly column: string; readonly prior: number; readonly weight: number }
  /** Seconds from the newest or the oldest fact of the window to the as-of time. */
  | { readonly op: "since-last" | "since-first" }
  /** Σ value · 2^(−age / half-life); tiles need a column that keeps the same half-life. */
  | { readonly op: "decayed-sum"; readonly column: string; readonly halfLifeMs: number }
  /** 1 where some fact of the window has the value that the request has, else 0. */
  | { readonly op: "seen"; readonly column: string };

/** (asOf − delay − length, asOf − delay]; a length of null reaches back to the first fact. */
export interface Window {
  readonly lengthMs: number | null;
  readonly delayMs: number;
}

/** What must hold of a feature's values in a training set or a load; a failed check stops publication. No part of its hash. */
export interface Checks {
  readonly maxNullShare?: number;
  readonly min?: number;
  readonly max?: number;
  readonly minDistinct?: number;
  /** Of the newest value of a load. */
  readonly maxAgeSeconds?: number;
  /** Population stability index against the set that was accepted before. */
  readonly maxShift?: number;
}

interface FeatureBase<N extends string> {
  readonly name: N;
  readonly description: string;
  /** The value where there is none: NaN in the vector when null. */
  readonly fallback: number | null;
  readonly checks: Checks;
}

export interface RequestFeature<N extends string = string> extends FeatureBase<N> {
  readonly kind: "request";
  readonly value: Node;
}

export interface AggregateFeature<N extends string = string> extends FeatureBase<N> {
  readonly kind: "aggregate";
  readonly group: GroupDefinition;
  readonly aggregation: Aggregation;
  readonly window: Window;
  /** Whether the fact being decided, which state excludes, counts as well. Needs a window without delay. */
  readonly countsRequest: boolean;
}

export interface DerivedFeature<N extends string = string> extends FeatureBase<N> {
  readonly kind: "derived";
  /** Over `featureValue` nodes and constants only, so that it can be computed wherever its inputs are. */
  readonly value: Node;
}

export type FeatureDefinition<N extends string = string> = RequestFeature<N> | AggregateFeature<N> | DerivedFeature<N>;

interface FeatureOptions {
  readonly description: string;
  readonly fallback?: number;
  readonly checks?: Checks;
}

const common = ({ description, fallback, checks }: FeatureOptions) => ({
  description,
  fallback: fallback ?? null,
  checks: checks ?? {},
});

export function requestFeature<const N extends string>(
  name: N,
  value: Expr<"number" | "flag"> | Expr<"number"> | Expr<"flag">,
  options: FeatureOptions,
): RequestFeature<N> {
  return { kind: "request", name, value, ...common(options) };
}

export function derivedFeature<const N extends string>(
  name: N,
  value: Expr<"number"> | Expr<"flag">,
  options: FeatureOptions,
): DerivedFeature<N> {
  return { kind: "derived", name, value, ...common(options) };
}

type ColumnAggregation<C extends string> = Aggregation & { readonly column?: C | null };

export function aggregateFeature<const N extends string, C extends string>(
  name: N,
  group: Group<C>,
  aggregation: ColumnAggregation<C>,
  options: FeatureOptions & {
    readonly windowMs: number | null;
    readonly delayMs?: number;
    readonly countsRequest?: boolean;
  },
): AggregateFeature<N> {
  return {
    kind: "aggregate",
    name,
    group,
    aggregation,
    window: { lengthMs: options.windowMs, delayMs: options.delayMs ?? 0 },
    countsRequest: options.countsRequest ?? false,
    ...common(options),
  };
}

/** The ordered vector of one model. `support` features are computed for derived ones and are not in the vector. */
export interface ServiceDefinition<N extends string = string> {
  readonly name: string;
  readonly owner: string;
  readonly description: string;
  /** The source whose payload is the request: the request's own fact is one of its facts. */
  readonly request: SourceDefinition;
  /** Where the ids of the request's entities are; an entity whose id is missing has missing features. */
  readonly entities: readonly { readonly type: EntityType; readonly key: Node }[];
  readonly features: readonly FeatureDefinition<N>[];
  readonly support: readonly FeatureDefinition[];
}

export function service<T, const F extends readonly FeatureDefinition[]>(options: {
  readonly name: string;
  readonly owner: string;
  readonly description: string;
  readonly request: Source<T>;
  readonly entities: (request: Fields<T>) => Partial<Record<EntityType, Expr<"text">>>;
  readonly features: F;
  readonly support?: readonly FeatureDefinition[];
}): ServiceDefinition<F[number]["name"]> {
  const entities = Object.entries(options.entities(fields<T>())) as [EntityType, Expr<"text">][];
  return {
    ...options,
    entities: entities.map(([type, key]) => ({ type, key })),
    support: options.support ?? [],
  };
}
