import { finish } from "./aggregation.ts";
import { type CompiledGroup, factOf } from "./catalog.ts";
import type { CompiledAggregate, CompiledService, CompiledWindow } from "./compile-service.ts";
import type { EntityState } from "./entity-state.ts";
import { asNumber, type Scope } from "./evaluate.ts";
import type { FeatureStatus } from "./feature-store.ts";
import { findIdentity, rowsUpTo, type Fact } from "./group-state.ts";
import { hash48 } from "./hash.ts";
import { prepare, resetSummary, update } from "./summary.ts";
import { addRows, addTiles, countFacts, hasSeen, newestFact, type OpenedWindow } from "./window-rows.ts";

/** The request that a vector is finished for. */
export interface RequestContext {
  /** Payload of the service's request source, with pseudonyms where state has them; null: there is no request. */
  readonly payload: unknown;
  /** Epoch milliseconds. */
  readonly asOf: number;
  /** The request's identity and own facts, where they are known without the payload. */
  readonly own?: { readonly identity: number; readonly facts: ReadonlyMap<CompiledGroup, Fact> };
}

export interface FinishedVector {
  readonly vector: Float32Array;
  readonly statuses: FeatureStatus[];
  readonly ages: (number | null)[];
}

/** Ids of the request's entities, in the service's order; null where the request has none. */
export function requestEntities(service: CompiledService, { payload, asOf }: RequestContext): (string | null)[] {
  const scope: Scope = { root: payload, time: asOf, asOf, feature: null };
  return service.entities.map(({ key }) => {
    const id = key(scope);
    return typeof id === "string" ? id : null;
  });
}

/** A vector without what is known of each value. */
export interface FinishedValues {
  readonly vector: Float32Array;
  /** Seconds since the newest earlier fact behind any value; null where there is none. */
  readonly newestAge: number | null;
}

/** One finisher a service, for one vector after the other: finishing is synchronous, so its memory can be used again. */
const finisherOfService = new WeakMap<CompiledService, Finisher>();

function finisherFor(service: CompiledService): Finisher {
  let finisher = finisherOfService.get(service);
  if (!finisher) {
    finisher = new Finisher(service);
    finisherOfService.set(service, finisher);
  }
  return finisher;
}

function finisherOf(
  service: CompiledService,
  states: readonly (EntityState | null | undefined)[],
  request: RequestContext,
): Finisher {
  return finisherFor(service).open(states, request);
}

/**
 * Finishes the vector of a service from the states of its entities. `states` are in the service's order of entities: null where the
 * entity has no state, undefined where the request has no such entity or its state could not be read; its features are missing.
 */
export function finishVector(
  service: CompiledService,
  states: readonly (EntityState | null | undefined)[],
  request: RequestContext,
): FinishedVector {
  return finisherOf(service, states, request).run();
}

/** As `finishVector`, without status and age of each value, which take as long again as the values. */
export function finishValues(
  service: CompiledService,
  states: readonly (EntityState | null | undefined)[],
  request: RequestContext,
): FinishedValues {
  return finisherOf(service, states, request).runValues();
}

/** Values of all features, support features included, in the order of `CompiledService.features`. */
export interface FinishedFeatures {
  readonly values: Float64Array;
  readonly statuses: readonly FeatureStatus[];
  readonly ages: readonly (number | null)[];
}

/** As `finishVector`, for every feature in double precision. */
export function finishAll(
  service: CompiledService,
  states: readonly (EntityState | null | undefined)[],
  request: RequestContext,
): FinishedFeatures {
  return finisherOf(service, states, request).runAll();
}

/** Values of the aggregates of one entity of a service, written into `values`, which has a place for every feature. */
export function finishEntity(
  service: CompiledService,
  entity: { readonly index: number; readonly state: EntityState | null },
  request: RequestContext,
  values: Float64Array,
): void {
  finisherFor(service).openOne(entity, request).aggregatesInto(entity.index, values);
}

/** Values of the request's own features, written into `values`. */
export function finishRequest(service: CompiledService, request: RequestContext, values: Float64Array): void {
  const scope: Scope = { root: request.payload, time: request.asOf, asOf: request.asOf, feature: null };
  for (let index = 0; index < service.features.length; index++) {
    const feature = service.features[index];
    if (feature?.kind === "request") values[index] = withFallback(asNumber(feature.value(scope)), feature.fallback);
  }
}

/**
 * The derived features of many rows, once request features and aggregates are in `columns`: one column per compiled feature, one value per row.
 * `asOf` has the time of each row.
 */
export function finishDerived(service: CompiledService, asOf: Float64Array, columns: readonly Float64Array[]): void {
  for (const [index, feature] of service.features.entries()) {
    const column = columns[index];
    if (feature.kind !== "derived" || column === undefined) continue;
    const names = feature.inputs.map((input) => service.features[input]?.name ?? "");
    const inputs = feature.inputs.map((input) => columns[input]);
    let row = 0;
    const valueOf = (name: string): number => inputs[names.indexOf(name)]?.[row] ?? Number.NaN;
    const scope = { root: null, time: 0, asOf: 0, feature: valueOf };
    for (row = 0; row < asOf.length; row++) {
      scope.time = asOf[row] as number;
      scope.asOf = scope.time;
      column[row] = withFallback(asNumber(feature.value(scope)), feature.fallback);
    }
  }
}

function withFallback(value: number, fallback: number): number {
  return Number.isNaN(value) ? fallback : value;
}

class Finisher {
  private readonly service: CompiledService;
  private readonly opened: readonly OpenedWindow[];
  private readonly values: Float64Array;
  private readonly ages: Float64Array;
  private readonly expired: Uint8Array;
  private readonly feature: (name: string) => number;
  private states: readonly (EntityState | null | undefined)[] = [];
  private asOf = 0;
  private scope: Scope = { root: null, time: 0, asOf: 0, feature: null };
  private identity = -1;
  private requestFacts = new Map<CompiledGroup, Fact>();
  /** Of each entity: its windows, and the features that are aggregated over them. */
  private readonly windowsOf: readonly (readonly number[])[];
  private readonly aggregatesOf: readonly (readonly number[])[];
  private readonly allWindows: readonly number[];
  private readonly alone: (EntityState | null | undefined)[];

  constructor(service: CompiledService) {
    const { length } = service.features;
    this.service = service;
    this.opened = service.windows.map(() => ({
      isKnown: false,
      state: null,
      from: 0,
      to: 0,
      firstRow: 0,
      endRow: 0,
      skip: -1,
      newest: Number.NEGATIVE_INFINITY,
    }));
    this.values = new Float64Array(length);
    this.ages = new Float64Array(length);
    this.expired = new Uint8Array(length);
    this.feature = (name) => this.values[service.positionOf(name)] ?? Number.NaN;
    this.allWindows = service.windows.map((_, at) => at);
    this.windowsOf = service.entities.map((_, entity) =>
      this.allWindows.filter((at) => service.windows[at]?.entity === entity),
    );
    this.aggregatesOf = service.entities.map((_, entity) =>
      service.features.flatMap((feature, index) =>
        feature.kind === "aggregate" && service.windows[feature.window]?.entity === entity ? [index] : [],
      ),
    );
    this.alone = service.entities.map(() => undefined);
  }

  /** Begins a vector; nothing of the one before is left. */
  open(states: readonly (EntityState | null | undefined)[], request: RequestContext): this {
    return this.begin(states, request, this.allWindows);
  }

  /** Begins the aggregates of one entity. */
  openOne(entity: { readonly index: number; readonly state: EntityState | null }, request: RequestContext): this {
    this.alone.fill(undefined);
    this.alone[entity.index] = entity.state;
    return this.begin(this.alone, request, this.windowsOf[entity.index] ?? []);
  }

  private begin(
    states: readonly (EntityState | null | undefined)[],
    { payload, asOf, own }: RequestContext,
    windows: readonly number[],
  ): this {
    this.values.fill(0);
    this.ages.fill(Number.NaN);
    this.expired.fill(0);
    this.states = states;
    this.asOf = asOf;
    this.scope = { root: payload, time: asOf, asOf, feature: this.feature };
    this.requestFacts.clear();
    if (own !== undefined) for (const [group, fact] of own.facts) this.requestFacts.set(group, fact);
    const identity = own === undefined ? this.service.request.identity?.(this.scope) : undefined;
    this.identity = typeof identity === "string" ? hash48(identity) : (own?.identity ?? -1);
    this.openWindows(windows);
    return this;
  }

  runValues(): FinishedValues {
    const { vector: positions, width } = this.service;
    this.evaluateAll();
    const vector = new Float32Array(width);
    let newestAge = Number.POSITIVE_INFINITY;
    for (let position = 0; position < width; position++) {
      const index = positions[position] as number;
      vector[position] = this.values[index] as number;
      const age = this.ages[index] as number;
      // Age 0 is the request itself; no age is not above it.
      if (age > 0 && age < newestAge) newestAge = age;
    }
    return { vector, newestAge: newestAge === Number.POSITIVE_INFINITY ? null : newestAge };
  }

  run(): FinishedVector {
    const { vector, width } = this.service;
    this.evaluateAll();
    const finished: FinishedVector = { vector: new Float32Array(width), statuses: [], ages: [] };
    for (let position = 0; position < width; position++) {
      const index = vector[position] as number;
      finished.vector[position] = this.values[index] as number;
      finished.statuses.push(this.statusOf(index));
      finished.ages.push(this.ageOf(index));
    }
    return finished;
  }

  runAll(): FinishedFeatures {
    this.evaluateAll();
    const indexes = this.service.features.map((_, index) => index);
    return {
      values: this.values.slice(),
      statuses: indexes.map((index) => this.statusOf(index)),
      ages: indexes.map((index) => this.ageOf(index)),
    };
  }

  aggregatesInto(entity: number, values: Float64Array): void {
    for (const index of this.aggregatesOf[entity] ?? [])
      values[index] = withFallback(this.evaluate(index), this.service.features[index]?.fallback ?? Number.NaN);
  }

  private evaluateAll(): void {
    const { features } = this.service;
    for (let i = 0; i < features.length; i++) {
      this.values[i] = withFallback(this.evaluate(i), features[i]?.fallback ?? Number.NaN);
    }
  }

  private ageOf(index: number): number | null {
    const age = this.ages[index] as number;
    return Number.isNaN(age) ? null : age;
  }

  /** Finds the ends of windows. What windows of one group share is looked up once. */
  private openWindows(numbers: readonly number[]): void {
    const { windows } = this.service;
    let group: CompiledGroup | null = null;
    let skip = -1;
    let endNow = 0;
    for (const at of numbers) {
      const window = windows[at] as CompiledWindow;
      const opened = this.opened[at] as OpenedWindow;
      const entity = this.states[window.entity];
      opened.isKnown = entity !== undefined;
      opened.state = entity?.groups[window.group.slot] ?? null;
      opened.to = this.asOf - window.delayMs;
      opened.from = opened.to - window.lengthMs;
      opened.firstRow = 0;
      opened.endRow = 0;
      opened.skip = -1;
      opened.newest = Number.NEGATIVE_INFINITY;
      const { state } = opened;
      if (state === null) continue;
      if (window.group !== group) {
        group = window.group;
        skip = window.isOfRequest && this.identity >= 0 ? findIdentity(state, group, this.identity) : -1;
        endNow = rowsUpTo(state, group, this.asOf);
      }
      opened.skip = skip;
      opened.firstRow = rowsUpTo(state, group, opened.from);
      opened.endRow = window.delayMs === 0 ? endNow : rowsUpTo(state, group, opened.to);
      opened.newest = newestFact(opened, window);
    }
  }

  /** The value of a feature; leaves its age. */
  private evaluate(index: number): number {
    const feature = this.service.features[index];
    if (!feature) return Number.NaN;
    if (feature.kind === "aggregate") return this.aggregate(feature, index);
    const value = asNumber(feature.value(this.scope));
    if (feature.kind === "request") {
      if (!Number.isNaN(value)) this.ages[index] = 0;
    } else {
      for (const input of feature.inputs) {
        const age = this.ages[input] as number;
        if (!Number.isNaN(age) && !(age <= (this.ages[index] as number))) this.ages[index] = age;
        if (this.expired[input] === 1) this.expired[index] = 1;
      }
    }
    return value;
  }

  private aggregate(feature: CompiledAggregate, index: number): number {
    const window = this.service.windows[feature.window];
    const opened = this.opened[feature.window];
    if (!window || opened?.isKnown !== true) return Number.NaN;
    const { newest } = opened;
    if (newest > Number.NEGATIVE_INFINITY) {
      this.ages[index] = (this.asOf - newest) / 1000;
      if (this.asOf - newest > window.group.ttlMs) {
        this.expired[index] = 1;
        return Number.NaN;
      }
    }
    const request = feature.countsRequest && this.scope.root !== null ? this.requestFact(window) : null;
    if (feature.aggregation.op === "count" && feature.column < 0)
      return countFacts(opened, window, this.asOf) + (request === null ? 0 : 1);
    if (feature.aggregation.op === "since-last" && request === null)
      return newest > Number.NEGATIVE_INFINITY ? (this.asOf - newest) / 1000 : Number.NaN;
    if (feature.aggregation.op === "seen" && this.scope.root === null) return Number.NaN;
    if (feature.aggregation.op === "seen") return hasSeen(feature, opened, window, this.requestFact(window), this.asOf);
    const summary = resetSummary(scratch);
    addRows(summary, feature, opened, window, this.asOf);
    addTiles(summary, feature, opened);
    if (request !== null) {
      const value = feature.column < 0 ? 1 : (request.columns[feature.column] ?? Number.NaN);
      update(summary, feature.needs, request.time, request.identity, value);
    }
    return finish(feature.aggregation, summary, this.asOf);
  }

  private requestFact({ group }: CompiledWindow): Fact {
    const known = this.requestFacts.get(group);
    if (known) return known;
    const fact = factOf(group, this.scope, this.asOf, this.identity);
    this.requestFacts.set(group, fact);
    return fact;
  }

  private statusOf(index: number): FeatureStatus {
    if (this.expired[index] === 1) return "expired";
    const feature = this.service.features[index];
    if (feature?.kind === "aggregate" && !feature.countsRequest)
      return Number.isNaN(this.ages[index]) ? "missing" : "present";
    return Number.isNaN(this.values[index]) ? "missing" : "present";
  }
}

/** One summary for every feature in turn: finishing is synchronous, and allocating forty a vector is what would cost most. */
const scratch = prepare();
