import type { GrownLeaf } from "./assemble-tree.ts";

/**
 * Which leaf owns which histogram of the pool. When the pool is too small for all waiting leaves, the one with the least
 * gain gives up its histogram; if its turn comes, its children are built from their rows instead. Integer sums make that
 * the same numbers.
 */
export class HistogramSlots {
  private readonly owners: (GrownLeaf | null)[];

  constructor(slots: number) {
    this.owners = Array.from({ length: slots }, () => null);
  }

  clear(): void {
    this.owners.fill(null);
  }

  hand(slot: number, leaf: GrownLeaf): void {
    this.owners[slot] = leaf;
    leaf.slot = slot;
  }

  release(leaf: GrownLeaf): void {
    if (leaf.slot >= 0) this.owners[leaf.slot] = null;
    leaf.slot = -1;
  }

  /** Finds a slot for `leaf`; never that of `keep`. */
  take(leaf: GrownLeaf, keep: GrownLeaf | null): void {
    let slot = this.owners.indexOf(null);
    if (slot < 0) {
      let least = Number.POSITIVE_INFINITY;
      for (const [i, owner] of this.owners.entries()) {
        const gain = owner?.split?.gain ?? Number.NEGATIVE_INFINITY;
        if (owner === keep || gain >= least) continue;
        least = gain;
        slot = i;
      }
      const evicted = this.owners[slot];
      if (evicted) evicted.slot = -1;
    }
    this.hand(slot, leaf);
  }
}
