import { isEarlier } from "./build-plan.ts";
import type { PairTable } from "./pair-table.ts";

/** Records of one stream, ordered by owner and then as in the log. */
export interface GroupedRecords {
  readonly data: Float64Array;
  /** Positions of records in `data`. */
  readonly order: Int32Array;
  /** At i: where the records of owner i start in `order`; one place more than there are owners. */
  readonly starts: Int32Array;
}

/** Above this many, records that are out of order are sorted by comparison instead of insertion. */
const INSERTION_LIMIT = 48;

/**
 * Groups records of one length by their owner, the two hashes that they start with; visibleAt and sequence follow. Records of owners that the
 * table does not know are left out.
 */
export function groupRecords(data: Float64Array, stride: number, owners: PairTable): GroupedRecords {
  const count = data.length / stride;
  const starts = new Int32Array(owners.size + 1);
  const ownerOf = new Int32Array(count);
  for (let record = 0; record < count; record++) {
    const owner = owners.get(data[record * stride] as number, data[record * stride + 1] as number);
    ownerOf[record] = owner;
    if (owner >= 0) starts[owner + 1] = (starts[owner + 1] as number) + 1;
  }
  for (let owner = 0; owner < owners.size; owner++)
    starts[owner + 1] = (starts[owner + 1] as number) + (starts[owner] as number);
  const next = starts.slice();
  const order = new Int32Array(starts[owners.size] as number);
  for (let record = 0; record < count; record++) {
    const owner = ownerOf[record] as number;
    if (owner < 0) continue;
    const place = next[owner] as number;
    order[place] = record * stride;
    next[owner] = place + 1;
  }
  for (let owner = 0; owner < owners.size; owner++)
    sortRecords(data, order, starts[owner] as number, starts[owner + 1] as number);
  return { data, order, starts };
}

function sortRecords(data: Float64Array, order: Int32Array, from: number, to: number): void {
  const isBefore = (a: number, b: number): boolean =>
    isEarlier(data[a + 2] as number, data[a + 3] as number, data[b + 2] as number, data[b + 3] as number);
  if (to - from > INSERTION_LIMIT) {
    for (let i = from + 1; i < to; i++) {
      if (!isBefore(order[i] as number, order[i - 1] as number)) continue;
      order.subarray(from, to).sort((a, b) => (isBefore(a, b) ? -1 : isBefore(b, a) ? 1 : 0));
      return;
    }
    return;
  }
  for (let i = from + 1; i < to; i++) {
    const record = order[i] as number;
    let at = i;
    while (at > from && isBefore(record, order[at - 1] as number)) {
      order[at] = order[at - 1] as number;
      at--;
    }
    order[at] = record;
  }
}
