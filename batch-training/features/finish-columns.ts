import { finish } from "../../models/features/aggregation.ts";
import type { CompiledAggregate, CompiledWindow } from "../../models/features/compile-service.ts";
import { HASH_RANGE } from "../../models/features/hash.ts";
import { countDistinct, DISTINCT_LIMIT, prepare, resetSummary, update } from "../../models/features/summary.ts";
import type { BuildPlan, PlannedEntity } from "./build-plan.ts";
import type { FactColumns } from "./fact-columns.ts";

/** A question: the aggregates of an entity as of a time, for a request whose own fact is not counted from state. */
export interface ColumnAsk {
  readonly identity: number;
  readonly asOf: number;
  /** The own facts' columns, one group after the other, start here in the record. */
  readonly record: Float64Array;
  readonly at: number;
}

/** A window as it lies in the facts of the entity of the moment. */
interface OpenedColumns {
  readonly window: CompiledWindow;
  readonly facts: FactColumns;
  firstRow: number;
  endRow: number;
  /** Row of the request's own fact, −1 where it is not among the window's. */
  skip: number;
  /** Time of the newest fact that counts, −∞ without one. */
  newest: number;
}

interface ColumnFeature {
  readonly feature: CompiledAggregate;
  readonly opened: OpenedColumns;
  /** Offset of the own fact's value among the own facts' columns; −1: none. */
  readonly own: number;
}

/**
 * `finishEntity` over columns: the same aggregates by the same rules, with sums as differences of running sums where those are exact, and
 * distinct values by links to their earlier occurrence. What has no shortcut is folded with the summaries that serve.
 */
export class ColumnFinisher {
  readonly #windows: readonly OpenedColumns[];
  readonly #features: readonly ColumnFeature[];

  constructor(plan: BuildPlan, entity: PlannedEntity, facts: readonly FactColumns[]) {
    const { service } = plan;
    const opened = service.windows.map((window): OpenedColumns | null => {
      const of = facts.find((one) => one.group === window.group);
      return of && window.entity === entity.index
        ? { window, facts: of, firstRow: 0, endRow: 0, skip: -1, newest: 0 }
        : null;
    });
    let at = 0;
    const ownOffsets = new Map(
      entity.ownGroups.map((group) => {
        at += group.columns.length;
        return [group, at - group.columns.length] as const;
      }),
    );
    this.#windows = opened.filter((window) => window !== null);
    this.#features = entity.aggregates.flatMap((index) => {
      const feature = service.features[index];
      if (feature?.kind !== "aggregate") return [];
      const window = opened[feature.window];
      if (!window) return [];
      const offset = ownOffsets.get(window.window.group);
      return [
        { feature, opened: window, own: offset === undefined || feature.column < 0 ? -1 : offset + feature.column },
      ];
    });
  }

  /** Writes the entity's aggregates in their order from `to` on; returns the position behind them. */
  finish(ask: ColumnAsk, out: Float64Array, to: number): number {
    this.#open(ask);
    let at = to;
    for (const one of this.#features) {
      const value = valueOf(one, ask);
      out[at++] = Number.isNaN(value) ? one.feature.fallback : value;
    }
    return at;
  }

  #open({ identity, asOf }: ColumnAsk): void {
    let last: FactColumns | null = null;
    let skip = -1;
    for (const opened of this.#windows) {
      const { window, facts } = opened;
      if (facts !== last) {
        last = facts;
        skip = window.isOfRequest && identity >= 0 ? facts.find(identity) : -1;
      }
      const to = asOf - window.delayMs;
      opened.firstRow = facts.rowAfter(to - window.lengthMs);
      opened.endRow = facts.rowAfter(to);
      opened.skip = skip >= opened.firstRow && skip < opened.endRow ? skip : -1;
      let newest = opened.endRow - 1;
      if (newest === opened.skip) newest--;
      opened.newest = newest >= opened.firstRow ? (facts.times[newest] as number) : Number.NEGATIVE_INFINITY;
    }
  }
}

function valueOf({ feature, opened, own }: ColumnFeature, ask: ColumnAsk): number {
  const { window, newest, skip } = opened;
  const { op } = feature.aggregation;
  const { asOf } = ask;
  if (newest > Number.NEGATIVE_INFINITY && asOf - newest > window.group.ttlMs) return Number.NaN;
  if (op === "count" && feature.column < 0)
    return opened.endRow - opened.firstRow - (skip >= 0 ? 1 : 0) + (feature.countsRequest ? 1 : 0);
  if (op === "since-last" && !feature.countsRequest)
    return newest > Number.NEGATIVE_INFINITY ? (asOf - newest) / 1000 : Number.NaN;
  const value = own < 0 ? Number.NaN : (ask.record[ask.at + own] as number);
  if (op === "seen") return seen(feature, opened, value);
  const counted = feature.countsRequest ? value : Number.NaN;
  if (feature.isSum) return sumOf(feature, opened, counted, asOf);
  if (op === "distinct") return distinctOf(feature, opened, counted);
  return fold(feature, opened, ask, value);
}

function seen({ column }: CompiledAggregate, { facts, firstRow, endRow, skip }: OpenedColumns, wanted: number): number {
  const values = facts.columns[column]?.values;
  if (Number.isNaN(wanted) || values === undefined) return Number.NaN;
  for (let row = firstRow; row < endRow; row++) if (values[row] === wanted && row !== skip) return 1;
  return 0;
}

/** One summary for all: finishing is synchronous. */
const scratch = prepare();

/** What finishes from a sum and a count. `own`: the request's value, NaN where it does not count. */
function sumOf(feature: CompiledAggregate, opened: OpenedColumns, own: number, asOf: number): number {
  const { facts, firstRow, endRow, skip } = opened;
  const column = facts.columns[feature.column];
  if (!column || column.sums === null || column.counts === null) return Number.NaN;
  const { values, sums, counts } = column;
  let sum = 0;
  let count = 0;
  if (column.isExact && endRow > firstRow) {
    sum = (sums[endRow] as number) - (sums[firstRow] as number);
    count = (counts[endRow] as number) - (counts[firstRow] as number);
    const skipped = skip < 0 ? Number.NaN : (values[skip] as number);
    if (!Number.isNaN(skipped)) {
      sum -= skipped;
      count--;
    }
  } else {
    for (let row = firstRow; row < endRow; row++) {
      const value = values[row] as number;
      if (row === skip || Number.isNaN(value)) continue;
      sum += value;
      count++;
    }
  }
  if (!Number.isNaN(own)) {
    sum += own;
    count++;
  }
  scratch.sum = sum;
  scratch.count = count;
  return finish(feature.aggregation, scratch, asOf);
}

function distinctOf(feature: CompiledAggregate, opened: OpenedColumns, own: number): number {
  const { facts, firstRow, endRow, skip } = opened;
  const column = facts.columns[feature.column];
  if (!column || column.previous === null) return Number.NaN;
  const { values, previous } = column;
  let count = 0;
  let isNew = !Number.isNaN(own);
  for (let row = firstRow; row < endRow; row++) {
    if ((previous[row] as number) < firstRow) count++;
    if (values[row] === own) isNew = false;
  }
  if (isNew) count++;
  if (skip < 0 && count < DISTINCT_LIMIT) return count;
  const summary = resetSummary(scratch);
  for (let row = firstRow; row < endRow; row++)
    if (row !== skip) update(summary, feature.needs, 0, 0, values[row] as number);
  update(summary, feature.needs, 0, 0, own);
  return countDistinct(summary.distinct, HASH_RANGE);
}

function fold(feature: CompiledAggregate, opened: OpenedColumns, ask: ColumnAsk, own: number): number {
  const { facts, firstRow, endRow, skip } = opened;
  const values = facts.columns[feature.column]?.values ?? null;
  const summary = resetSummary(scratch);
  for (let row = firstRow; row < endRow; row++) {
    if (row === skip) continue;
    const value = values === null ? 1 : (values[row] as number);
    update(summary, feature.needs, facts.times[row] as number, facts.identities[row] as number, value);
  }
  if (feature.countsRequest) update(summary, feature.needs, ask.asOf, ask.identity, values === null ? 1 : own);
  return finish(feature.aggregation, summary, ask.asOf);
}
