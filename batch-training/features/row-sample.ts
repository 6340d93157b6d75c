/** Keys of rows kept at most, per writer. */
const MAX_KEYS = 16_384;

/** Places of rows in the log: a share of them, chosen by their sequence, so that the choice is the same in every run. */
export interface RowSample {
  /** visibleAt and sequence, alternating. */
  readonly keys: Float64Array;
  /** One in `mask + 1` was kept. */
  readonly mask: number;
  /** Rows seen. */
  readonly rows: number;
}

export class RowSampler {
  #keys: number[] = [];
  #mask = 0;
  #rows = 0;

  add(visibleAt: number, sequence: number): void {
    this.#rows++;
    if ((mix(sequence) & this.#mask) !== 0) return;
    this.#keys.push(visibleAt, sequence);
    if (this.#keys.length <= MAX_KEYS * 2) return;
    this.#mask = this.#mask * 2 + 1;
    this.#keys = kept(this.#keys, this.#mask);
  }

  result(): RowSample {
    return { keys: Float64Array.from(this.#keys), mask: this.#mask, rows: this.#rows };
  }
}

function kept(keys: ArrayLike<number>, mask: number): number[] {
  const left: number[] = [];
  for (let at = 0; at < keys.length; at += 2)
    if ((mix(keys[at + 1] as number) & mask) === 0) left.push(keys[at] as number, keys[at + 1] as number);
  return left;
}

/** Finaliser of MurmurHash3 (Appleby, public domain) over the low and high halves. */
function mix(sequence: number): number {
  let h = (sequence | 0) ^ Math.imul((sequence / 2 ** 32) | 0, 0x9e37_79b1);
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return h ^ (h >>> 16);
}

/** Places that divide the rows into ranges of about `rowsEach`, ascending: visibleAt and sequence, alternating. */
export function splitRows(samples: readonly RowSample[], rowsEach: number): Float64Array {
  const mask = samples.reduce((most, sample) => Math.max(most, sample.mask), 0);
  const rows = samples.reduce((sum, sample) => sum + sample.rows, 0);
  const keys: [number, number][] = [];
  for (const sample of samples) {
    const left = kept(sample.keys, mask);
    for (let at = 0; at < left.length; at += 2) keys.push([left[at] as number, left[at + 1] as number]);
  }
  keys.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const ranges = Math.min(Math.ceil(rows / rowsEach), keys.length);
  const splits: number[] = [];
  for (let range = 1; range < ranges; range++)
    splits.push(...(keys[Math.floor((range * keys.length) / ranges)] as [number, number]));
  return Float64Array.from(splits);
}

/** The range of a place: the number of splits at or before it. */
export function rangeOf(splits: Float64Array, visibleAt: number, sequence: number): number {
  let low = 0;
  let high = splits.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = splits[middle * 2] as number;
    if (at < visibleAt || (at === visibleAt && (splits[middle * 2 + 1] as number) <= sequence)) low = middle + 1;
    else high = middle;
  }
  return low;
}
