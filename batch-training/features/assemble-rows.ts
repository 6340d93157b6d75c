import type { CompiledService } from "../../models/features/compile-service.ts";
import { finishDerived } from "../../models/features/finish-vector.ts";
import {
  aggregateIndexes,
  aggregatesFile,
  type AggregatesOut,
  readAggregatesOut,
  readRowOut,
  type RowOut,
  rowsFile,
} from "./build-partition.ts";
import { readFramed } from "./framed-file.ts";
import { compareKeys, type RecordKey } from "./partition-records.ts";

export interface AssembledRow {
  readonly id: string;
  readonly subject: string;
  readonly asOf: number;
  readonly labelledAt: number;
  readonly vector: Float32Array;
}

/** Third pass: merges the partitions' sorted files row by row, holding one block of each in memory. */
export function* assembleRows(folder: string, partitions: number, service: CompiledService): Generator<AssembledRow> {
  const all = Array.from({ length: partitions }, (_, at) => at);
  const rows = new Merge<RowOut>(all.map((at) => readFramed(rowsFile(folder, at), readRowOut)));
  const aggregates = new Merge<AggregatesOut>(
    all.map((at) => readFramed(aggregatesFile(folder, at), readAggregatesOut)),
  );
  const ofEntity = aggregateIndexes(service);
  const requestIndexes = service.features.flatMap((feature, index) => (feature.kind === "request" ? [index] : []));
  const missing = Float64Array.from(service.features, (feature) => feature.fallback);
  const values = new Float64Array(missing.length);
  for (let row = rows.next(); row !== null; row = rows.next()) {
    values.set(missing);
    for (const [at, index] of requestIndexes.entries()) values[index] = row.values[at] ?? Number.NaN;
    for (let part = aggregates.peek(); part !== null && compareKeys(part, row) <= 0; part = aggregates.peek()) {
      aggregates.next();
      if (compareKeys(part, row) < 0) throw new Error("an entity answered for a row that there is not");
      for (const [at, index] of (ofEntity[part.index] ?? []).entries()) values[index] = part.values[at] ?? Number.NaN;
    }
    const { id, subject, asOf, labelledAt } = row;
    yield { id, subject, asOf, labelledAt, vector: finishDerived(service, asOf, values) };
  }
}

/** Merges sorted sequences: a binary heap of their heads. */
class Merge<T extends RecordKey> {
  readonly #heap: { head: T; readonly rest: Iterator<T> }[] = [];

  constructor(sequences: readonly Iterable<T>[]) {
    for (const sequence of sequences) {
      const rest = sequence[Symbol.iterator]();
      const first = rest.next();
      if (first.done !== true) this.#push({ head: first.value, rest });
    }
  }

  peek(): T | null {
    return this.#heap[0]?.head ?? null;
  }

  next(): T | null {
    const [top] = this.#heap;
    if (!top) return null;
    const { head } = top;
    const following = top.rest.next();
    if (following.done === true) {
      const last = this.#heap.pop();
      if (last && last !== top) this.#heap[0] = last;
    } else top.head = following.value;
    this.#sink();
    return head;
  }

  #push(entry: { head: T; readonly rest: Iterator<T> }): void {
    const heap = this.#heap;
    heap.push(entry);
    let at = heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#compare(parent, at) <= 0) break;
      this.#swap(parent, at);
      at = parent;
    }
  }

  #sink(): void {
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < this.#heap.length && this.#compare(child, least) < 0) least = child;
      if (least === at) return;
      this.#swap(least, at);
      at = least;
    }
  }

  #compare(a: number, b: number): number {
    const left = this.#heap[a];
    const right = this.#heap[b];
    return left && right ? compareKeys(left.head, right.head) : 0;
  }

  #swap(a: number, b: number): void {
    const left = this.#heap[a];
    const right = this.#heap[b];
    if (!left || !right) return;
    this.#heap[a] = right;
    this.#heap[b] = left;
  }
}
