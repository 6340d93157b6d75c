import * as z from "zod";
import { type DataSection, decodeArrays, encodeArrays, place, ServedFileError } from "./array-file.ts";
import type { ProfileRule, ServedEmbeddings, ServedPart, ServedRecommender } from "./served-recommender.ts";

/** A served recommender as one file of arrays; see `array-file.ts`. */
const MAGIC = "EWREC001";
/** Parts of a blend. */
const MAX_PARTS = 32;
/** Items of a catalogue: above what an isolate can score in its time. */
export const MAX_ITEMS = 2_000_000;

/** Numbers of a vector: above any factorisation, and what Vectorize holds. */
const MAX_DIMENSIONS = 1_024;

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
    dimensions: z.int().min(1).max(MAX_DIMENSIONS),
    /** Of 8 bits with scales and moments, of floats without. */
    vectors: z.union([place("f32"), place("i8")]),
    scales: place("f32").optional(),
    moments: place("f32").optional(),
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
  return encodeArrays(MAGIC, served);
}

/** @param bytes the whole file, at an offset that is a multiple of 8. @throws ServedFileError */
export function decodeServed(bytes: Uint8Array): ServedRecommender {
  const { header, data } = decodeArrays(MAGIC, bytes, Header);
  if (header.kind !== "blend") return openPart(header, data);
  const parts = header.parts.map(({ weight, part }) => ({ weight, part: openPart(part, data) }));
  if (parts.some(({ part }) => part.items !== header.items)) throw new ServedFileError("parts of different catalogues");
  return { ...header, parts };
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
  return openEmbeddings({ ...header, profile }, data);
}

type EmbeddingsHeader = Extract<z.infer<typeof PartHeader>, { kind: "embeddings" }>;

function openEmbeddings(
  { items, dimensions, ridge, profile, gram, vectors, scales, moments }: EmbeddingsHeader & { profile: ProfileRule },
  data: DataSection,
): ServedEmbeddings {
  const open = <V>(own: V) => {
    const weights = data.floats(gram, dimensions * dimensions);
    return { kind: "embeddings", items, dimensions, vectors: own, gram: weights, ridge, profile } as const;
  };
  if (vectors.type === "f32" && scales === undefined && moments === undefined) {
    return open(data.floats(vectors, items * dimensions));
  }
  if (vectors.type !== "i8" || scales === undefined || moments === undefined) {
    throw new ServedFileError("vectors of 8 bits, scales and moments go together");
  }
  const own = data.floats(scales, items);
  if (!own.every((scale) => scale >= 0)) throw new ServedFileError("a scale is below 0");
  return {
    ...open(data.signedBytes(vectors, items * dimensions)),
    scales: own,
    moments: data.floats(moments, dimensions * (dimensions + 1)),
  };
}
