import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeValue, encodeValue } from "../../../batch-training/pipeline/stored-value.ts";

const bytesOf = (value: unknown): Uint8Array => Buffer.concat(encodeValue(value).parts);

const typedArray = fc.oneof(
  fc.float32Array(),
  fc.float64Array(),
  fc.int32Array(),
  fc.uint32Array(),
  fc.uint16Array(),
  fc.uint8Array(),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.double(),
    fc.string(),
    typedArray,
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(
      fc.string().filter((key) => key !== "$" && key !== "__proto__"),
      tie("tree"),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
}));

describe("stored values", () => {
  it("law: what is read is what was written, to the bit, with every kind of array wherever it lies in memory", () => {
    fc.assert(
      fc.property(tree, fc.integer({ min: 0, max: 9 }), (value, offset) => {
        const bytes = bytesOf(value);
        const moved = new Uint8Array(bytes.length + offset);
        moved.set(bytes, offset);
        const read = decodeValue(moved.subarray(offset));
        expect(read?.value).toStrictEqual(value);
        expect(read?.hash).toBe(encodeValue(value).hash);
      }),
    );
  });

  it("the order of members does not matter, their values do", () => {
    expect(encodeValue({ a: 1, b: new Float32Array([1]) }).hash).not.toBe(encodeValue({ a: 1, b: [1] }).hash);
    expect(encodeValue({ a: 1, b: 2 }).hash).toBe(encodeValue({ b: 2, a: 1 }).hash);
    expect(encodeValue([0]).hash).not.toBe(encodeValue([-0]).hash);
  });

  it("any cut and any turned bit is noticed", () => {
    const bytes = bytesOf({ rows: new Float32Array([1, 2, 3]), names: ["a", "b"], gap: Number.NaN });
    for (let length = 0; length < bytes.length; length++) expect(decodeValue(bytes.subarray(0, length))).toBeNull();
    for (let at = 0; at < bytes.length; at++) {
      const turned = bytes.slice();
      turned[at] = (turned[at] ?? 0) ^ 4;
      expect(decodeValue(turned), `byte ${at}`).toBeNull();
    }
  });

  it("what is no plain data is refused with its place", () => {
    expect(() => encodeValue({ a: [{ b: new Map() }] })).toThrow("value.a[0].b is a Map");
    expect(() => encodeValue({ work: () => 1 })).toThrow("value.work is a function");
    expect(() => encodeValue({ a: { $: 1 } })).toThrow("value.a has a member named $");
  });
});
