/** Vectors by id in namespaces, found by dot product: what a catalogue that does not fit an isolate is searched with, and one that does. */
export interface StoredVector {
  /** At most 64 bytes. */
  readonly id: string;
  readonly values: Float32Array;
}

export interface VectorMatch {
  readonly id: string;
  readonly score: number;
}

/** Most matches of one query, in either implementation. */
export const MAX_MATCHES = 100;
/** Longest id in bytes. */
export const MAX_ID_BYTES = 64;

/**
 * Writing is asynchronous: what was written is seen by queries once `visible` says so of its ticket. A pointer to new vectors therefore moves after
 * `awaitVisible`. Old and new vectors of one purpose live in different namespaces, so that neither is seen as the other.
 */
export interface VectorSearch {
  readonly dimensions: number;
  /** A vector of a known id is replaced. Returns the ticket of the last write. @throws RangeError for a vector or id that does not fit */
  upsert(namespace: string, vectors: readonly StoredVector[]): Promise<string>;
  remove(namespace: string, ids: readonly string[]): Promise<string>;
  visible(ticket: string): Promise<boolean>;
  /** The best first; equal scores in no order. @throws RangeError for more than `MAX_MATCHES` */
  query(namespace: string, vector: Float32Array, k: number): Promise<VectorMatch[]>;
}

export interface WaitOptions {
  /** Resolves after so many milliseconds. */
  readonly after: (milliseconds: number) => Promise<void>;
  readonly firstPollMs: number;
  readonly longestPollMs: number;
  /** Polls until the wait is given up: batched writes take minutes. */
  readonly polls: number;
}

/** Resolves once queries see everything up to the ticket. @throws Error where they do not in time: then the pointer must stay */
export async function awaitVisible(
  search: Pick<VectorSearch, "visible">,
  ticket: string,
  options: WaitOptions,
): Promise<void> {
  let pause = options.firstPollMs;
  for (let poll = 0; poll < options.polls; poll++) {
    if (await search.visible(ticket)) return;
    await options.after(pause);
    pause = Math.min(options.longestPollMs, pause * 2);
  }
  throw new Error(`written vectors are not visible after ${options.polls} looks; what serves stays as it is`);
}

/** Checks what every implementation refuses. */
export function checkVector({ id, values }: StoredVector, dimensions: number): void {
  if (new TextEncoder().encode(id).byteLength > MAX_ID_BYTES || id === "")
    throw new RangeError(`the id "${id}" does not have 1 to ${MAX_ID_BYTES} bytes`);
  checkQuery(values, dimensions, 1);
}

export function checkQuery(vector: Float32Array, dimensions: number, k: number): void {
  if (vector.length !== dimensions)
    throw new RangeError(`a vector of ${vector.length} numbers; the index has ${dimensions} dimensions`);
  if (!vector.every((value) => Number.isFinite(value)))
    throw new RangeError("a vector has a value that is not a finite number");
  if (!Number.isInteger(k) || k < 1 || k > MAX_MATCHES)
    throw new RangeError(`${k} matches; a query has 1 to ${MAX_MATCHES}`);
}
