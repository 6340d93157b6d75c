import { type Kernels, loadKernels } from "../engine/kernels.ts";
import type { ServedEmbeddings, ServedPart, ServedRecommender } from "./served-recommender.ts";

const PAGE_BYTES = 65_536;
/** The first bytes stay free, so that address 0 means "none". */
const START = 64;
/** Bytes of one recommender: an isolate has 128 MB for everything. */
const MAX_BYTES = 64 << 20;

/** Dot products of all items of an embedding with a vector; the array is overwritten by the next call. */
export type DotAll = (vector: Float64Array) => Float32Array;

export interface PlacedRecommender {
  readonly served: ServedRecommender;
  /** Of the parts that the kernels can run: embeddings whose dimensions fill whole SIMD lanes. */
  readonly dots: ReadonlyMap<ServedPart, DotAll>;
  readonly bytes: number;
}

/**
 * Copies a recommender's arrays into one memory of the SIMD kernels, so that the bytes it was decoded from can go: it is held once, and embeddings are
 * scored in place.
 * @throws RangeError where it does not fit
 */
export function placeServed(served: ServedRecommender, module: WebAssembly.Module): PlacedRecommender {
  const parts = served.kind === "blend" ? served.parts.map(({ part }) => part) : [served];
  const memory = new PartMemory(parts, module);
  const placed = new Map(parts.map((part) => [part, memory.place(part)]));
  const own = (part: ServedPart): ServedPart => placed.get(part) ?? part;
  const dots = new Map<ServedPart, DotAll>();
  for (const part of placed.values()) {
    if (part.kind === "embeddings" && part.dimensions % 4 === 0 && part.items > 0) dots.set(part, memory.dotsOf(part));
  }
  return {
    served:
      served.kind === "blend"
        ? { ...served, parts: served.parts.map(({ weight, part }) => ({ weight, part: own(part) })) }
        : own(served),
    dots,
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
    const [query, out] = [most((part) => part.dimensions), most((part) => part.items)];
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

  dotsOf({ vectors, items, dimensions }: ServedEmbeddings): DotAll {
    const out = this.#out.subarray(0, items);
    return (vector) => {
      this.#query.set(vector);
      this.#kernels.dotAll(vectors.byteOffset, items, dimensions / 4, this.#query.byteOffset, out.byteOffset);
      return out;
    };
  }

  #copy<T extends Float32Array | Float64Array | Int32Array>(array: T): T {
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

function isArray(value: unknown): value is Float32Array | Float64Array | Int32Array {
  return value instanceof Float32Array || value instanceof Float64Array || value instanceof Int32Array;
}

function arraysOf(part: ServedPart): (Float32Array | Float64Array | Int32Array)[] {
  return Object.values(part).filter(isArray);
}
