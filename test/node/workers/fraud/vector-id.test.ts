import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { VectorIds } from "../../../../workers/fraud/vector-id.ts";

function expected(serviceHash: string, asOf: number, vector: Float32Array): string {
  return createHash("sha256").update(`${serviceHash}\n${asOf}\n`).update(vector).digest("hex");
}

describe("VectorIds", () => {
  it("hashes service, time and bytes, whatever came before", () => {
    const ids = new VectorIds();
    const [one, other] = ["a".repeat(64), "b".repeat(64)];
    const cases: [string, number, Float32Array][] = [
      [one, 1_772_368_200_000, Float32Array.of(1, Number.NaN, -0)],
      [one, 1_772_368_200_001, Float32Array.of(1, 2, 3)],
      [one, 999, Float32Array.of(1, 2, 3)],
      [one, -5, Float32Array.of(1, 2, 3)],
      [other, 1_772_368_200_001, Float32Array.of(1, 2, 3)],
      [one, 1_772_368_200_001, new Float32Array([9, 1, 2, 3]).subarray(1)],
      [one, 1_772_368_200_001, new Float32Array(58)],
    ];
    for (const [service, asOf, vector] of [...cases, ...cases.toReversed()])
      expect(ids.of(service, asOf, vector)).toBe(expected(service, asOf, vector));
  });
});
