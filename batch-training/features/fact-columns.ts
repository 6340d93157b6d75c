import type { CompiledGroup } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import { FIRST_COLUMN, type GroupState } from "../../models/features/group-state.ts";
import { isBefore } from "../../models/features/summary.ts";

/** What became of a fact; full: the group would have to coarsen one, which columns do not do. */
export type ColumnOutcome = "applied" | "duplicate" | "dropped" | "full";

/** No earlier row can have a missing value. */
const NEVER = 2 ** 31 - 1;

/** A column of facts, with what answers windows over it without adding them up again. */
export interface FactColumn {
  readonly values: Float64Array;
  /** At i: the sum of the values before row i, missing ones as 0; null where no feature asks for sums. */
  readonly sums: Float64Array | null;
  /** At i: the number of values before row i that are not missing. */
  readonly counts: Int32Array | null;
  /** The last earlier row of the same value, −1 without one; null where no feature asks for distinct values. */
  readonly previous: Int32Array | null;
  /** All values so far are integers whose sums are exact, so a difference of two sums is the sum in between. */
  isExact: boolean;
}

/**
 * The exact facts of one group of one entity, column by column: what `GroupState` holds until its first fact is coarsened, laid out for a
 * replay that asks as often as it adds. Made once per group and used for one entity after the other.
 */
export class FactColumns {
  readonly group: CompiledGroup;
  readonly times: Float64Array;
  readonly identities: Float64Array;
  readonly columns: readonly FactColumn[];
  /** Rows are start … end - 1, ascending by (time, identity). */
  start = 0;
  end = 0;

  constructor(group: CompiledGroup, service: CompiledService) {
    this.group = group;
    // Twice what is exact: room for dropped rows in front, so that they are moved out rarely.
    const capacity = 2 * (group.keep.facts + 1);
    const uses = service.features.filter(
      (feature) => feature.kind === "aggregate" && service.windows[feature.window]?.group === group,
    );
    this.times = new Float64Array(capacity);
    this.identities = new Float64Array(capacity);
    this.columns = group.columns.map((_, column) => {
      const asked = uses.filter((feature) => feature.kind === "aggregate" && feature.column === column);
      const sums = asked.some((feature) => feature.kind === "aggregate" && feature.isSum);
      const distinct = asked.some((feature) => feature.kind === "aggregate" && feature.aggregation.op === "distinct");
      return {
        values: new Float64Array(capacity),
        sums: sums ? new Float64Array(capacity + 1) : null,
        counts: sums ? new Int32Array(capacity + 1) : null,
        previous: distinct ? new Int32Array(capacity) : null,
        isExact: true,
      };
    });
  }

  clear(): void {
    this.start = 0;
    this.end = 0;
    for (const column of this.columns) column.isExact = true;
  }

  /**
   * Adds a fact once, as `addFact` does: `at` is its time in `record`, followed by its identity; its columns start at `values`. What is
   * older than `oldest` is dropped.
   */
  add(record: Float64Array, at: number, values: number, oldest: number): ColumnOutcome {
    const time = record[at] as number;
    const identity = record[at + 1] as number;
    if (time < oldest) return "dropped";
    if (this.find(identity) >= 0) return "duplicate";
    while (this.start < this.end && (this.times[this.start] as number) <= oldest - 1) this.start++;
    if (this.end - this.start === this.group.keep.facts) return "full";
    if (this.end === this.times.length) this.#moveToFront();
    let row = this.end;
    while (
      row > this.start &&
      isBefore(time, identity, this.times[row - 1] as number, this.identities[row - 1] as number)
    )
      row--;
    this.#insert(row, record, at, values);
    return "applied";
  }

  /** Row of a fact, or −1. */
  find(identity: number): number {
    const { identities, start } = this;
    for (let row = this.end - 1; row >= start; row--) if (identities[row] === identity) return row;
    return -1;
  }

  /** The first row with a later time. */
  rowAfter(time: number): number {
    let low = this.start;
    let high = this.end;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.times[middle] as number) <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The same facts as the state that coarsens; null without any. */
  toState(): GroupState | null {
    const count = this.end - this.start;
    if (count === 0) return null;
    const { stride, retractedAt } = this.group;
    const rows = new Float64Array((count + 1) * stride);
    for (let row = 0; row < count; row++) {
      const at = row * stride;
      rows[at] = this.times[this.start + row] as number;
      rows[at + 1] = this.identities[this.start + row] as number;
      for (const [index, column] of this.columns.entries())
        rows[at + FIRST_COLUMN + index] = column.values[this.start + row] as number;
      if (retractedAt >= 0) rows[at + retractedAt] = Number.POSITIVE_INFINITY;
    }
    return { rows, count, tiles: [], frontierTime: Number.NEGATIVE_INFINITY, frontierId: 0, chunks: [] };
  }

  #insert(row: number, record: Float64Array, at: number, values: number): void {
    const { end } = this;
    const isLate = row < end;
    if (isLate) {
      this.times.copyWithin(row + 1, row, end);
      this.identities.copyWithin(row + 1, row, end);
    }
    this.times[row] = record[at] as number;
    this.identities[row] = record[at + 1] as number;
    this.end = end + 1;
    for (let index = 0; index < this.columns.length; index++) {
      const column = this.columns[index] as FactColumn;
      if (isLate) column.values.copyWithin(row + 1, row, end);
      column.values[row] = record[values + index] as number;
      if (column.sums !== null) this.#sumFrom(column, row);
      if (column.previous !== null) this.#linkFrom(column.values, column.previous, row);
    }
  }

  /** The first row of all has no sum before it: its place is set here, because `clear` leaves the arrays as they are. */
  #sumFrom(column: FactColumn, from: number): void {
    const { values, sums, counts } = column;
    if (sums === null || counts === null) return;
    if (from === this.start) {
      sums[from] = 0;
      counts[from] = 0;
    }
    let sum = sums[from] as number;
    let count = counts[from] as number;
    for (let row = from; row < this.end; row++) {
      const value = values[row] as number;
      // A missing value is the only one that differs from itself.
      if (value === value) {
        sum += value;
        count++;
        if (!Number.isSafeInteger(value) || !Number.isSafeInteger(sum)) column.isExact = false;
      }
      sums[row + 1] = sum;
      counts[row + 1] = count;
    }
  }

  #linkFrom(values: Float64Array, previous: Int32Array, row: number): void {
    const value = values[row] as number;
    previous.copyWithin(row + 1, row, this.end - 1);
    for (let later = row + 1; later < this.end; later++) {
      const link = previous[later] as number;
      if (link >= row && link !== NEVER) previous[later] = link + 1;
    }
    if (value !== value) {
      previous[row] = NEVER;
      return;
    }
    let earlier = row - 1;
    while (earlier >= this.start && values[earlier] !== value) earlier--;
    previous[row] = earlier >= this.start ? earlier : -1;
    for (let later = row + 1; later < this.end; later++) {
      if (values[later] !== value) continue;
      previous[later] = row;
      return;
    }
  }

  #moveToFront(): void {
    const { start, end } = this;
    for (const array of [this.times, this.identities]) array.copyWithin(0, start, end);
    for (const { values, sums, counts, previous } of this.columns) {
      values.copyWithin(0, start, end);
      sums?.copyWithin(0, start, end + 1);
      counts?.copyWithin(0, start, end + 1);
      previous?.copyWithin(0, start, end);
      if (previous === null) continue;
      for (let row = 0; row < end - start; row++) {
        const link = previous[row] as number;
        if (link !== NEVER) previous[row] = Math.max(-1, link - start);
      }
    }
    this.start = 0;
    this.end = end - start;
  }
}
