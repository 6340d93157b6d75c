import * as z from "zod";

/**
 * Arrays in one file, little-endian: 8 bytes of magic, u32 length of a JSON header, the header, then arrays at offsets that are multiples of
 * 8 from the start of the file. In the header an array is `{ type, at, length }`, and an infinite number is null. Decoding checks everything an index could
 * go wrong by, so that a file cut short or from elsewhere is refused and never read past its end. Decoded arrays are views of the bytes: no copy is
 * made.
 */
const MAGIC_BYTES = 8;
const PREFIX_BYTES = 12;
/** A header beyond this is no header: it holds a few numbers and array places. */
const MAX_HEADER_BYTES = 64 * 1024;

export class ServedFileError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ServedFileError";
  }
}

const ARRAYS = {
  f32: Float32Array,
  f64: Float64Array,
  i32: Int32Array,
  u16: Uint16Array,
  u8: Uint8Array,
  i8: Int8Array,
} as const;
type ArrayType = keyof typeof ARRAYS;

/** Where an array lies, relative to the end of the header. */
export interface Place {
  readonly at: number;
  readonly length: number;
}

/** The header's schema for an array. */
export const place = <T extends ArrayType>(type: T) =>
  z.strictObject({ type: z.literal(type), at: z.int().min(0), length: z.int().min(0) });

/** The bytes of a value with typed arrays anywhere in it. The same value gives the same bytes. @param magic 8 ASCII characters */
export function encodeArrays(magic: string, value: object): Uint8Array {
  const arrays: { bytes: Uint8Array; at: number }[] = [];
  let end = 0;
  const replacer = (_key: string, member: unknown): unknown => {
    if (member === Infinity) return null;
    for (const [type, constructor] of Object.entries(ARRAYS)) {
      if (!(member instanceof constructor)) continue;
      const at = end;
      arrays.push({ bytes: new Uint8Array(member.buffer, member.byteOffset, member.byteLength), at });
      end = Math.ceil((at + member.byteLength) / 8) * 8;
      return { type, at, length: member.length };
    }
    return member;
  };
  const header = new TextEncoder().encode(JSON.stringify(value, replacer));
  if (header.length > MAX_HEADER_BYTES) throw new ServedFileError(`a header of ${header.length} bytes`);
  const base = Math.ceil((PREFIX_BYTES + header.length) / 8) * 8;
  const file = new Uint8Array(base + end);
  file.set(new TextEncoder().encode(magic));
  new DataView(file.buffer).setUint32(MAGIC_BYTES, header.length, true);
  file.set(header, PREFIX_BYTES);
  for (const { bytes, at } of arrays) file.set(bytes, base + at);
  return file;
}

/** @param bytes the whole file, at an offset that is a multiple of 8. @throws ServedFileError */
export function decodeArrays<S extends z.ZodType>(
  magic: string,
  bytes: Uint8Array,
  schema: S,
): { header: z.infer<S>; data: DataSection } {
  const found = new TextDecoder().decode(bytes.subarray(0, MAGIC_BYTES));
  if (bytes.byteLength < PREFIX_BYTES || found !== magic) {
    throw new ServedFileError("not a recommender file of this version");
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC_BYTES, true);
  if (length > MAX_HEADER_BYTES || PREFIX_BYTES + length > bytes.byteLength) {
    throw new ServedFileError("the header is cut short");
  }
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length), schema);
  return { header, data: new DataSection(bytes, Math.ceil((PREFIX_BYTES + length) / 8) * 8) };
}

function parseHeader<S extends z.ZodType>(bytes: Uint8Array, schema: S): z.infer<S> {
  try {
    return schema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : "it is not JSON";
    throw new ServedFileError(`the header is wrong: ${reason}`);
  }
}

export class DataSection {
  readonly #bytes: Uint8Array;
  readonly #base: number;

  constructor(bytes: Uint8Array, base: number) {
    this.#bytes = bytes;
    this.#base = base;
  }

  floats(place: Place, length: number): Float32Array {
    this.#check(place, length, 4);
    const array = new Float32Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#base + place.at, length);
    if (!array.every((x) => Number.isFinite(x))) throw new ServedFileError("a weight is not a finite number");
    return array;
  }

  /** Floats that may also be missing (NaN). */
  sparseFloats(place: Place, length: number): Float32Array {
    this.#check(place, length, 4);
    return new Float32Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#base + place.at, length);
  }

  bytes(place: Place, length: number): Uint8Array {
    this.#check(place, length, 1);
    return this.#bytes.subarray(this.#base + place.at, this.#base + place.at + length);
  }

  signedBytes(place: Place, length: number): Int8Array {
    const { buffer, byteOffset } = this.bytes(place, length);
    return new Int8Array(buffer, byteOffset, length);
  }

  words(place: Place, length: number): Uint16Array {
    this.#check(place, length, 2);
    return new Uint16Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#base + place.at, length);
  }

  /** Integers of any value. */
  integers(place: Place, length: number): Int32Array {
    this.#check(place, length, 4);
    return new Int32Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#base + place.at, length);
  }

  doubles(place: Place, length: number): Float64Array {
    this.#check(place, length, 8);
    return new Float64Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#base + place.at, length);
  }

  /** Integers in [0, below). */
  indices(place: Place, length: number, below: number): Int32Array {
    const array = this.integers(place, length);
    if (!array.every((x) => x >= 0 && x < below)) throw new ServedFileError("an index is out of range");
    return array;
  }

  /** Ascending offsets from 0 to `place`'s own last value, which must be `total`. */
  offsets(place: Place, rows: number, total: number): Int32Array {
    const array = this.indices(place, rows + 1, total + 1);
    let before = 0;
    for (const [row, offset] of array.entries()) {
      if (offset < before || (row === 0 && offset !== 0)) throw new ServedFileError("offsets do not ascend");
      before = offset;
    }
    if (before !== total) throw new ServedFileError("offsets do not end where the entries do");
    return array;
  }

  #check(place: Place, length: number, width: number): void {
    const end = this.#base + place.at + length * width;
    if (place.length !== length) throw new ServedFileError(`an array has ${place.length} entries instead of ${length}`);
    if (place.at % 8 !== 0 || end > this.#bytes.byteLength) throw new ServedFileError("the file is cut short");
  }
}
