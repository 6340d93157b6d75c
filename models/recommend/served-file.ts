import * as z from "zod";
import type { ServedPart, ServedRecommender } from "./served-recommender.ts";

/**
 * A served recommender as one file, little-endian: 8 bytes of magic, u32 length of a JSON header, the header, then arrays at offsets
 * that are multiples of 8 from the start of the file. In the header an array is `{ type, at, length }`, and an infinite number is null. Decoding checks
 * everything an index could go wrong by, so that a file cut short or from elsewhere is refused and never read past its end. Arrays of a decoded recommender are
 * views of the bytes: no copy is made.
 */
const MAGIC = "EWREC001";
const PREFIX_BYTES = 12;
/** A header beyond this is no header: it holds a few numbers and array places for each part of a blend. */
const MAX_HEADER_BYTES = 64 * 1024;
/** Parts of a blend. */
const MAX_PARTS = 32;
/** Items of a catalogue: above what an isolate can score in its time. */
const MAX_ITEMS = 2_000_000;

export class ServedFileError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ServedFileError";
  }
}

const ARRAYS = { f32: Float32Array, f64: Float64Array, i32: Int32Array } as const;
type ArrayType = keyof typeof ARRAYS;

const place = <T extends ArrayType>(type: T) =>
  z.strictObject({ type: z.literal(type), at: z.int().min(0), length: z.int().min(0) });
const items = z.int().min(0).max(MAX_ITEMS);
const positive = z.number().positive();
const share = z.number().positive().max(1);
const orInfinity = z.number().positive().nullable();
const profile = z.strictObject({ stepDecay: share, halfLifeSeconds: orInfinity });

const PartHeader = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("scores"), items, scores: place("f32") }),
  z.strictObject({
    kind: z.literal("neighbours"),
    items,
    profile,
    start: place("i32"),
    neighbour: place("i32"),
    weight: place("f32"),
  }),
  z.strictObject({
    kind: z.literal("embeddings"),
    items,
    dimensions: z.int().min(1).max(1_024),
    vectors: place("f32"),
    gram: place("f32"),
    ridge: z.strictObject({ level: positive, offset: z.number().min(0), power: z.number() }),
    profile,
  }),
  z.strictObject({ kind: z.literal("repeat"), items, halfLifeSeconds: orInfinity }),
  z.strictObject({
    kind: z.literal("sessions"),
    items,
    rule: z.strictObject({
      neighbours: z.int().min(1),
      sampled: z.int().min(1),
      decay: share,
      halfLifeSeconds: orInfinity,
      distanceDecay: share,
      rarity: z.number(),
    }),
    start: place("i32"),
    item: place("i32"),
    lastTime: place("f64"),
  }),
]);
const Header = z.union([
  PartHeader,
  z.strictObject({
    kind: z.literal("blend"),
    items,
    scale: z.enum(["deviation", "maximum", "rank"]),
    parts: z
      .array(z.strictObject({ weight: positive, part: PartHeader }))
      .min(1)
      .max(MAX_PARTS),
  }),
]);

/** The bytes of a served recommender. The same recommender gives the same bytes. */
export function encodeServed(served: ServedRecommender): Uint8Array {
  const arrays: { bytes: Uint8Array; at: number }[] = [];
  let end = 0;
  const replacer = (_key: string, value: unknown): unknown => {
    if (value === Infinity) return null;
    for (const [type, constructor] of Object.entries(ARRAYS)) {
      if (!(value instanceof constructor)) continue;
      const at = end;
      arrays.push({ bytes: new Uint8Array(value.buffer, value.byteOffset, value.byteLength), at });
      end = Math.ceil((at + value.byteLength) / 8) * 8;
      return { type, at, length: value.length };
    }
    return value;
  };
  const header = new TextEncoder().encode(JSON.stringify(served, replacer));
  const base = Math.ceil((PREFIX_BYTES + header.length) / 8) * 8;
  const file = new Uint8Array(base + end);
  file.set(new TextEncoder().encode(MAGIC));
  new DataView(file.buffer).setUint32(MAGIC.length, header.length, true);
  file.set(header, PREFIX_BYTES);
  for (const { bytes, at } of arrays) file.set(bytes, base + at);
  return file;
}

/** @param bytes the whole file, at an offset that is a multiple of 8. @throws ServedFileError */
export function decodeServed(bytes: Uint8Array): ServedRecommender {
  if (bytes.byteLength < PREFIX_BYTES || new TextDecoder().decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    throw new ServedFileError("not a recommender file of this version");
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true);
  if (length > MAX_HEADER_BYTES || PREFIX_BYTES + length > bytes.byteLength) {
    throw new ServedFileError("the header is cut short");
  }
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length));
  const data = new DataSection(bytes, Math.ceil((PREFIX_BYTES + length) / 8) * 8);
  if (header.kind !== "blend") return openPart(header, data);
  const parts = header.parts.map(({ weight, part }) => ({ weight, part: openPart(part, data) }));
  if (parts.some(({ part }) => part.items !== header.items)) throw new ServedFileError("parts of different catalogues");
  return { ...header, parts };
}

function parseHeader(bytes: Uint8Array): z.infer<typeof Header> {
  try {
    return Header.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : "it is not JSON";
    throw new ServedFileError(`the header is wrong: ${reason}`);
  }
}

interface Place {
  readonly at: number;
  readonly length: number;
}

class DataSection {
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

  doubles(place: Place, length: number): Float64Array {
    this.#check(place, length, 8);
    return new Float64Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#base + place.at, length);
  }

  /** Integers in [0, below). */
  indices(place: Place, length: number, below: number): Int32Array {
    this.#check(place, length, 4);
    const array = new Int32Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#base + place.at, length);
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

const finiteOr = (value: number | null): number => value ?? Infinity;

function openPart(header: z.infer<typeof PartHeader>, data: DataSection): ServedPart {
  const { items } = header;
  if (header.kind === "scores") return { kind: "scores", items, scores: data.floats(header.scores, items) };
  if (header.kind === "repeat") return { kind: "repeat", items, halfLifeSeconds: finiteOr(header.halfLifeSeconds) };
  if (header.kind === "sessions") {
    const events = header.item.length;
    return {
      kind: "sessions",
      items,
      rule: { ...header.rule, halfLifeSeconds: finiteOr(header.rule.halfLifeSeconds) },
      start: data.offsets(header.start, header.lastTime.length, events),
      item: data.indices(header.item, events, items),
      lastTime: data.doubles(header.lastTime, header.lastTime.length),
    };
  }
  const profile = { ...header.profile, halfLifeSeconds: finiteOr(header.profile.halfLifeSeconds) };
  if (header.kind === "neighbours") {
    const entries = header.neighbour.length;
    return {
      kind: "neighbours",
      items,
      profile,
      start: data.offsets(header.start, items, entries),
      neighbour: data.indices(header.neighbour, entries, items),
      weight: data.floats(header.weight, entries),
    };
  }
  const { dimensions, ridge } = header;
  return {
    kind: "embeddings",
    items,
    dimensions,
    vectors: data.floats(header.vectors, items * dimensions),
    gram: data.floats(header.gram, dimensions * dimensions),
    ridge,
    profile,
  };
}
