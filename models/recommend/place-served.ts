import { type Kernels, loadKernels } from "../engine/kernels.ts";
import { cutHead, type IndexedPart, indexedPart, vectorsHeld } from "./indexed-part.ts";
import type {
  ByteEmbeddings,
  FloatEmbeddings,
  ServedEmbeddings,
  ServedPart,
  ServedRecommender,
} from "./served-recommender.ts";

const PAGE_BYTES = 65_536;
/** The first bytes stay free, so that address 0 means "none". */
const START = 64;
/** Bytes of one recommender: an isolate has 128 MB for everything. */
const MAX_BYTES = 64 << 20;

/** Integers of a SIMD register: rows of 8-bit embeddings that fill whole ones are scored by the kernels. */
const LANES = 16;
/** An 8-bit integer times one of these, summed over the dimensions of a file, stays below 2^31. */
const MAX_QUERY = 16_383;

/** Dot products of all items of an embedding with a vector; the array is overwritten by the next call. */
export type DotAll = (vector: Float64Array) => Float32Array;

/** What is run otherwise than from plain arrays. */
export interface Placement {
  /** Of the parts that the kernels can run: embeddings whose dimensions fill whole SIMD lanes. */
  readonly dots: ReadonlyMap<ServedPart, DotAll>;
  /** The part whose less popular items are searched for in a vector index; null: every part is whole. */
  readonly indexed: IndexedPart | null;
}

export const NOT_PLACED: Placement = { dots: new Map(), indexed: null };

export interface PlacedRecommender extends Placement {
  readonly served: ServedRecommender;
  readonly bytes: number;
}

/**
 * Copies a recommender's arrays into one memory of the SIMD kernels, so that the bytes it was decoded from can go: it is held once, and embeddings are
 * scored in place.
 * @param headItems the first embeddings keep the vectors of so many items, the most popular ones; null: of all
 * @throws RangeError where it does not fit
 */
export function placeServed(
  whole: ServedRecommender,
  module: WebAssembly.Module,
  headItems: number | null = null,
): PlacedRecommender {
  const { served, head } = headItems === null ? { served: whole, head: null } : cutHead(whole, headItems);
  const parts = served.kind === "blend" ? served.parts.map(({ part }) => part) : [served];
  const memory = new PartMemory(parts, module);
  const placed = new Map(parts.map((part) => [part, memory.place(part)]));
  const own = (part: ServedPart): ServedPart => placed.get(part) ?? part;
  const dots = new Map<ServedPart, DotAll>();
  for (const part of placed.values()) {
    if (part.kind !== "embeddings" || vectorsHeld(part) === 0) continue;
    if (part.scales !== undefined && part.dimensions % LANES === 0) dots.set(part, memory.byteDotsOf(part));
    if (part.scales === undefined && part.dimensions % 4 === 0) dots.set(part, memory.dotsOf(part));
  }
  return {
    served:
      served.kind === "blend"
        ? { ...served, parts: served.parts.map(({ weight, part }) => ({ weight, part: own(part) })) }
        : own(served),
    dots,
    indexed: head === null ? null : indexedPart(own(head)),
    bytes: memory.bytes,
  };
}

class PartMemory {
  readonly #buffer: ArrayBuffer;
  readonly #kernels: Kernels;
  readonly #query: Float32Array;
  readonly #out: Float32Array;
  #end: number;

  constructor(parts: readonly ServedPart[], module: WebAssembly.Module) {
    const most = (sizeOf: (part: ServedEmbeddings) => number): number =>
      Math.max(0, ...parts.map((part) => (part.kind === "embeddings" ? aligned(sizeOf(part) * 4) : 0)));
    const arrays = parts.reduce(
      (sum, part) => sum + arraysOf(part).reduce((own, array) => own + aligned(array.byteLength), 0),
      0,
    );
    const [query, out] = [most((part) => part.dimensions), most(vectorsHeld)];
    const bytes = START + query + out + arrays;
    if (bytes > MAX_BYTES) throw new RangeError(`a recommender of ${bytes} bytes; the limit is ${MAX_BYTES}`);
    const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });
    this.#kernels = loadKernels(module, memory);
    this.#buffer = memory.buffer;
    this.#query = new Float32Array(memory.buffer, START, query / 4);
    this.#out = new Float32Array(memory.buffer, START + query, out / 4);
    this.#end = START + query + out;
  }

  get bytes(): number {
    return this.#buffer.byteLength;
  }

  place(part: ServedPart): ServedPart {
    const copy: Record<string, unknown> = { ...part };
    for (const [name, value] of Object.entries(part)) if (isArray(value)) copy[name] = this.#copy(value);
    return copy as unknown as ServedPart;
  }

  dotsOf(part: FloatEmbeddings): DotAll {
    const { vectors, dimensions } = part;
    const items = vectorsHeld(part);
    const out = this.#out.subarray(0, items);
    return (vector) => {
      this.#query.set(vector);
      this.#kernels.dotAll(vectors.byteOffset, items, dimensions / 4, this.#query.byteOffset, out.byteOffset);
      return out;
    };
  }

  /** The user's vector is rounded to 15 bits: far finer than the items. */
  byteDotsOf(part: ByteEmbeddings): DotAll {
    const { vectors, scales, dimensions } = part;
    const items = vectorsHeld(part);
    const out = this.#out.subarray(0, items);
    const query = new Int16Array(this.#query.buffer, this.#query.byteOffset, dimensions);
    return (vector) => {
      let most = 0;
      for (const value of vector) most = Math.max(most, Math.abs(value));
      const unit = most / MAX_QUERY;
      for (let at = 0; at < dimensions; at++) query[at] = unit === 0 ? 0 : Math.round((vector[at] ?? 0) / unit);
      this.#kernels.dotAllBytes(
        vectors.byteOffset,
        items,
        dimensions / LANES,
        query.byteOffset,
        scales.byteOffset,
        unit,
        out.byteOffset,
      );
      return out;
    };
  }

  #copy<T extends PartArray>(array: T): T {
    const kind = array.constructor as new (buffer: ArrayBuffer, at: number, length: number) => T;
    const own = new kind(this.#buffer, this.#end, array.length);
    own.set(array);
    this.#end += aligned(array.byteLength);
    return own;
  }
}

/** Rounded up to whole SIMD lanes. */
function aligned(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}

type PartArray = Float32Array | Float64Array | Int32Array | Int8Array;

function isArray(value: unknown): value is PartArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

function arraysOf(part: ServedPart): PartArray[] {
  return Object.values(part).filter(isArray);
}
