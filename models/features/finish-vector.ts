import { finish } from "./aggregation.ts";
import { type CompiledGroup, factOf } from "./catalog.ts";
import type { CompiledAggregate, CompiledService, CompiledWindow } from "./compile-service.ts";
import type { EntityState } from "./entity-state.ts";
import { asNumber, type Scope } from "./evaluate.ts";
import type { FeatureStatus } from "./feature-store.ts";
import { findIdentity, rowsUpTo, type Fact, type GroupState, type Tile } from "./group-state.ts";
import { hash48 } from "./hash.ts";
import { insertDistinct, merge, prepare, update, type Summary } from "./summary.ts";

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

/** A window as it lies in one state: its ends, the rows inside, and the row of the request's own fact, which never counts. */
interface Opened {
  /** The request has the entity, and its state could be read. */
  isKnown: boolean;
  state: GroupState | null;
  from: number;
  to: number;
  firstRow: number;
  endRow: number;
  skip: number;
}

/** The windows of one service, opened for one vector after the other: finishing is synchronous, so they can be used again. */
const scratchOfService = new WeakMap<CompiledService, Opened[]>();

function openedScratch(service: CompiledService): Opened[] {
  const known = scratchOfService.get(service);
  if (known) return known;
  const opened = service.windows.map((): Opened => ({
    isKnown: false,
    state: null,
    from: 0,
    to: 0,
    firstRow: 0,
    endRow: 0,
    skip: -1,
  }));
  scratchOfService.set(service, opened);
  return opened;
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
  return new Finisher(service, states, request).run();
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
  return new Finisher(service, states, request).runAll();
}

/** Values of the aggregates of one entity of a service, written into `values`, which has a place for every feature. */
export function finishEntity(
  service: CompiledService,
  entity: { readonly index: number; readonly state: EntityState | null },
  request: RequestContext,
  values: Float64Array,
): void {
  const states: (EntityState | null | undefined)[] = service.entities.map(() => undefined);
  states[entity.index] = entity.state;
  new Finisher(service, states, request).aggregatesInto(entity.index, values);
}

/** Values of the request's own features, written into `values`. */
export function finishRequest(service: CompiledService, request: RequestContext, values: Float64Array): void {
  const scope: Scope = { root: request.payload, time: request.asOf, asOf: request.asOf, feature: null };
  for (const [index, feature] of service.features.entries())
    if (feature.kind === "request") values[index] = withFallback(asNumber(feature.value(scope)), feature.fallback);
}

/** The vector once request features and aggregates are in `values`: adds what is derived from them. */
export function finishDerived(service: CompiledService, asOf: number, values: Float64Array): Float32Array {
  const feature = (name: string): number => values[service.positionOf(name)] ?? Number.NaN;
  const scope: Scope = { root: null, time: asOf, asOf, feature };
  for (const [index, one] of service.features.entries())
    if (one.kind === "derived") values[index] = withFallback(asNumber(one.value(scope)), one.fallback);
  return Float32Array.from(service.vector, (index) => values[index] ?? Number.NaN);
}

function withFallback(value: number, fallback: number): number {
  return Number.isNaN(value) ? fallback : value;
}

class Finisher {
  private readonly service: CompiledService;
  private readonly states: readonly (EntityState | null | undefined)[];
  private readonly asOf: number;
  private readonly scope: Scope;
  private readonly identity: number;
  private readonly opened: readonly Opened[];
  private readonly requestFacts: Map<CompiledGroup, Fact>;
  private readonly values: Float64Array;
  private readonly ages: Float64Array;
  private readonly expired: boolean[] = [];

  constructor(
    service: CompiledService,
    states: readonly (EntityState | null | undefined)[],
    { payload, asOf, own }: RequestContext,
  ) {
    this.service = service;
    this.states = states;
    this.asOf = asOf;
    this.values = new Float64Array(service.features.length);
    this.ages = new Float64Array(service.features.length).fill(Number.NaN);
    this.scope = {
      root: payload,
      time: asOf,
      asOf,
      feature: (name) => this.values[service.positionOf(name)] ?? Number.NaN,
    };
    this.requestFacts = new Map(own?.facts);
    const identity = own === undefined ? service.request.identity?.(this.scope) : undefined;
    this.identity = typeof identity === "string" ? hash48(identity) : (own?.identity ?? -1);
    this.opened = openedScratch(service);
    this.openAll();
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
      values: this.values,
      statuses: indexes.map((index) => this.statusOf(index)),
      ages: indexes.map((index) => this.ageOf(index)),
    };
  }

  aggregatesInto(entity: number, values: Float64Array): void {
    for (const [index, feature] of this.service.features.entries()) {
      if (feature.kind === "aggregate" && this.service.windows[feature.window]?.entity === entity)
        values[index] = withFallback(this.evaluate(index), feature.fallback);
    }
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

  /** Finds the ends of every window. What windows of one group share is looked up once. */
  private openAll(): void {
    const { windows } = this.service;
    let group: CompiledGroup | null = null;
    let skip = -1;
    let endNow = 0;
    for (let at = 0; at < windows.length; at++) {
      const window = windows[at] as CompiledWindow;
      const opened = this.opened[at] as Opened;
      const entity = this.states[window.entity];
      opened.isKnown = entity !== undefined;
      opened.state = entity?.groups[window.group.slot] ?? null;
      opened.to = this.asOf - window.delayMs;
      opened.from = opened.to - window.lengthMs;
      opened.firstRow = 0;
      opened.endRow = 0;
      opened.skip = -1;
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
        if (this.expired[input]) this.expired[index] = true;
      }
    }
    return value;
  }

  private aggregate(feature: CompiledAggregate, index: number): number {
    const window = this.service.windows[feature.window];
    const opened = this.opened[feature.window];
    if (!window || opened?.isKnown !== true) return Number.NaN;
    const newest = newestFact(opened, window);
    if (newest > Number.NEGATIVE_INFINITY) {
      this.ages[index] = (this.asOf - newest) / 1000;
      if (this.asOf - newest > window.group.ttlMs) {
        this.expired[index] = true;
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
    const summary = reset(scratch);
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
    if (this.expired[index] === true) return "expired";
    const feature = this.service.features[index];
    if (feature?.kind === "aggregate" && !feature.countsRequest)
      return Number.isNaN(this.ages[index]) ? "missing" : "present";
    return Number.isNaN(this.values[index]) ? "missing" : "present";
  }
}

/** One summary for every feature in turn: finishing is synchronous, and allocating forty a vector is what would cost most. */
const scratch = prepare();

function reset(summary: Summary): Summary {
  summary.count = 0;
  summary.sum = 0;
  summary.m2 = 0;
  summary.min = Number.POSITIVE_INFINITY;
  summary.max = Number.NEGATIVE_INFINITY;
  summary.firstTime = Number.POSITIVE_INFINITY;
  summary.first = Number.NaN;
  summary.lastTime = Number.NEGATIVE_INFINITY;
  summary.last = Number.NaN;
  summary.distinct.length = 0;
  summary.recent.length = 0;
  summary.decayed = 0;
  summary.decayedAt = Number.NEGATIVE_INFINITY;
  return summary;
}

function isRetracted(rows: Float64Array, at: number, { group }: CompiledWindow, asOf: number): boolean {
  return group.retractedAt >= 0 && (rows[at + group.retractedAt] as number) <= asOf;
}

/** Time of the newest fact that counts, −∞ without one. */
function newestFact(opened: Opened, window: CompiledWindow): number {
  const { state } = opened;
  if (state === null) return Number.NEGATIVE_INFINITY;
  for (let row = opened.endRow - 1; row >= opened.firstRow; row--) {
    const at = row * window.group.stride;
    if (row !== opened.skip && !isRetracted(state.rows, at, window, opened.to + window.delayMs))
      return state.rows[at] as number;
  }
  let newest = Number.NEGATIVE_INFINITY;
  for (const tile of state.tiles) if (isInside(tile, opened)) newest = tile.facts.lastTime;
  return newest;
}

/** A tile counts as if all of its facts had happened with its newest: never before a window's end, at most a tile beyond its start. */
function isInside({ facts }: Tile, { from, to }: Opened): boolean {
  return facts.lastTime > from && facts.lastTime <= to;
}

function countFacts(opened: Opened, window: CompiledWindow, asOf: number): number {
  const { state, firstRow, endRow, skip } = opened;
  if (state === null) return 0;
  let count = endRow - firstRow;
  if (skip >= firstRow && skip < endRow) count--;
  if (window.group.retractedAt >= 0) {
    for (let row = firstRow; row < endRow; row++) {
      if (row !== skip && isRetracted(state.rows, row * window.group.stride, window, asOf)) count--;
    }
  }
  for (const tile of state.tiles) if (isInside(tile, opened)) count += tile.facts.count;
  return count;
}

function addRows(
  summary: Summary,
  feature: CompiledAggregate,
  opened: Opened,
  window: CompiledWindow,
  asOf: number,
): void {
  const { state, firstRow, endRow, skip } = opened;
  if (state === null) return;
  const { stride } = window.group;
  const { rows } = state;
  if (feature.isSum && window.group.retractedAt < 0) {
    sumRows(summary, rows, feature.offset, stride, opened);
    return;
  }
  if (feature.aggregation.op === "distinct" && window.group.retractedAt < 0) {
    distinctRows(summary, rows, feature.offset, stride, opened);
    return;
  }
  for (let row = firstRow; row < endRow; row++) {
    const at = row * stride;
    if (row === skip || isRetracted(rows, at, window, asOf)) continue;
    const value = feature.column < 0 ? 1 : (rows[at + feature.offset] as number);
    update(summary, feature.needs, rows[at] as number, rows[at + 1] as number, value);
  }
}

/** `addRows` for what needs nothing but the sum and the count of a column. */
function sumRows(summary: Summary, rows: Float64Array, offset: number, stride: number, opened: Opened): void {
  let sum = 0;
  let count = 0;
  for (let row = opened.firstRow; row < opened.endRow; row++) {
    const value = rows[row * stride + offset] as number;
    // A missing value is the only one that differs from itself.
    if (row === opened.skip || value !== value) continue;
    sum += value;
    count++;
  }
  summary.sum = sum;
  summary.count = count;
}

/** `addRows` for what needs nothing but the distinct values of a column. */
function distinctRows(summary: Summary, rows: Float64Array, offset: number, stride: number, opened: Opened): void {
  for (let row = opened.firstRow; row < opened.endRow; row++) {
    const value = rows[row * stride + offset] as number;
    if (row !== opened.skip && value === value) insertDistinct(summary.distinct, value);
  }
}

function addTiles(summary: Summary, feature: CompiledAggregate, opened: Opened): void {
  if (opened.state === null) return;
  for (const tile of opened.state.tiles) {
    if (!isInside(tile, opened)) continue;
    const part = feature.column < 0 ? tile.facts : tile.columns[feature.column];
    if (part) merge(summary, feature.needs, part);
  }
}

function hasSeen(
  feature: CompiledAggregate,
  opened: Opened,
  window: CompiledWindow,
  request: Fact,
  asOf: number,
): number {
  const wanted = request.columns[feature.column] ?? Number.NaN;
  if (Number.isNaN(wanted)) return Number.NaN;
  const { state, firstRow, endRow, skip } = opened;
  if (state === null) return 0;
  for (let row = firstRow; row < endRow; row++) {
    const at = row * window.group.stride;
    if (row !== skip && state.rows[at + feature.offset] === wanted && !isRetracted(state.rows, at, window, asOf))
      return 1;
  }
  for (const tile of state.tiles) {
    if (!isInside(tile, opened)) continue;
    if (tile.columns[feature.column]?.distinct.includes(wanted) === true) return 1;
  }
  return 0;
}
