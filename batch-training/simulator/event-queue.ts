/** A binary heap of things that happen at a time: earliest first, equal times in the order they were added. */
export class EventQueue<T extends { readonly at: number }> {
  readonly #heap: { readonly item: T; readonly order: number }[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  add(item: T): void {
    const heap = this.#heap;
    const entry = { item, order: this.#order++ };
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  /** Removes and gives the earliest item if it happens before `time`. */
  takeBefore(time: number): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.item.at >= time) return undefined;
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) this.#sink(last);
    return first.item;
  }

  #sink(entry: { readonly item: T; readonly order: number }): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      let best = heap[child];
      if (best === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, best)) {
        best = right;
        child += 1;
      }
      if (!isBefore(best, entry)) break;
      heap[index] = best;
      index = child;
    }
    heap[index] = entry;
  }
}

interface Entry {
  readonly item: { readonly at: number };
  readonly order: number;
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.item.at < b.item.at || (a.item.at === b.item.at && a.order < b.order);
}
