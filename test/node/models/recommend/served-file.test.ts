import { describe, expect, it } from "vitest";
import { ServedFileError } from "../../../../models/recommend/array-file.ts";
import { decodeServed, encodeServed } from "../../../../models/recommend/served-file.ts";
import type { ByteEmbeddings, ServedBlend, ServedPart } from "../../../../models/recommend/served-recommender.ts";

const profile = { stepDecay: 0.9, halfLifeSeconds: Infinity };
const lists: ServedPart = {
  kind: "neighbours",
  items: 3,
  profile,
  start: Int32Array.of(0, 2, 2, 3),
  neighbour: Int32Array.of(1, 2, 0),
  weight: Float32Array.of(0.5, 0.25, -1),
};
const bytes: ByteEmbeddings = {
  kind: "embeddings",
  items: 3,
  dimensions: 2,
  vectors: Int8Array.of(1, -2, 127, -127, 0, 0),
  scales: Float32Array.of(0.5, 0.25, 0),
  moments: Float32Array.of(1, 2, 3, 4, 5, 6),
  gram: Float32Array.of(1, 0, 0, 1),
  ridge: { level: 0.1, offset: 0.3, power: 0.8 },
  profile: { stepDecay: 1, halfLifeSeconds: 86_400 },
};
const parts: ServedPart[] = [
  { kind: "scores", items: 3, scores: Float32Array.of(3, 2, 1) },
  lists,
  {
    kind: "embeddings",
    items: 3,
    dimensions: 2,
    vectors: Float32Array.of(1, 2, 3, 4, 5, 6),
    gram: Float32Array.of(1, 0, 0, 1),
    ridge: { level: 0.1, offset: 0.3, power: 0.8 },
    profile: { stepDecay: 1, halfLifeSeconds: 86_400 },
  },
  bytes,
  { kind: "repeat", items: 3, halfLifeSeconds: Infinity },
  {
    kind: "sessions",
    items: 3,
    rule: { neighbours: 5, sampled: 9, decay: 0.8, halfLifeSeconds: Infinity, distanceDecay: 1, rarity: 0 },
    start: Int32Array.of(0, 2, 3),
    item: Int32Array.of(0, 1, 2),
    lastTime: Float64Array.of(100, Number.NaN),
  },
];
const blend: ServedBlend = {
  kind: "blend",
  items: 3,
  scale: "rank",
  parts: parts.map((part) => ({ weight: 0.5, part })),
};

describe("the file of a served recommender", () => {
  it.each(parts.map((part) => [part.kind, part] as const))("gives back %s", (_kind, part) => {
    expect(decodeServed(encodeServed(part))).toEqual(part);
  });

  it("gives back a blend of every kind, and the same bytes every time", () => {
    expect(decodeServed(encodeServed(blend))).toEqual(blend);
    expect(encodeServed(blend)).toEqual(encodeServed(blend));
  });

  it("holds an empty catalogue", () => {
    const empty: ServedPart = { kind: "scores", items: 0, scores: new Float32Array(0) };
    expect(decodeServed(encodeServed(empty))).toEqual(empty);
  });

  it("is refused when cut short anywhere", () => {
    const file = encodeServed(blend);
    // The end of the last array may be padding up to a multiple of 8.
    for (let length = 0; length < file.length - 8; length++) {
      expect(() => decodeServed(file.slice(0, length))).toThrow(ServedFileError);
    }
  });

  it("is refused when any index, offset or number in it would lead astray", () => {
    const wrong: [ServedPart, RegExp][] = [
      [{ ...lists, neighbour: Int32Array.of(1, 3, 0) }, /index is out of range/],
      [{ ...lists, neighbour: Int32Array.of(1, -1, 0) }, /index is out of range/],
      [{ ...lists, start: Int32Array.of(0, 2, 1, 3) }, /offsets do not ascend/],
      [{ ...lists, start: Int32Array.of(0, 1, 1, 2) }, /do not end where the entries do/],
      [{ ...lists, start: Int32Array.of(0, 3) }, /2 entries instead of 4/],
      [{ ...lists, weight: Float32Array.of(1, Number.NaN, 1) }, /not a finite number/],
      [{ ...lists, weight: Float32Array.of(1) }, /1 entries instead of 3/],
      [{ ...lists, profile: { stepDecay: 2, halfLifeSeconds: 1 } }, /stepDecay/],
      [{ ...bytes, scales: Float32Array.of(1, -1, 1) }, /a scale is below 0/],
      [{ ...bytes, scales: Float32Array.of(1, Number.NaN, 1) }, /not a finite number/],
      [{ ...bytes, scales: Float32Array.of(1) }, /1 entries instead of 3/],
      [{ ...bytes, vectors: Int8Array.of(1, 2, 3) }, /3 entries instead of 6/],
      [{ ...bytes, moments: Float32Array.of(1) }, /1 entries instead of 6/],
      [{ ...bytes, scales: undefined } as unknown as ServedPart, /go together/],
      [{ ...bytes, vectors: Float32Array.of(1, 2, 3, 4, 5, 6) } as unknown as ServedPart, /go together/],
      [{ kind: "scores", items: 4, scores: Float32Array.of(1) }, /1 entries instead of 4/],
    ];
    for (const [part, message] of wrong) expect(() => decodeServed(encodeServed(part))).toThrow(message);
    const mixed: ServedBlend = { ...blend, parts: [{ weight: 1, part: { ...lists, items: 3 } }], items: 7 };
    expect(() => decodeServed(encodeServed(mixed))).toThrow(/different catalogues/);
  });

  it("is refused when it is something else", () => {
    expect(() => decodeServed(new TextEncoder().encode("PAR1 is another format"))).toThrow(/not a recommender file/);
    const file = encodeServed(lists);
    file[20] = 0xff;
    expect(() => decodeServed(file)).toThrow(/header is wrong/);
  });
});
