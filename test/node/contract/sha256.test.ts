import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hex, sha256 } from "../../../models/contract/sha256.ts";

describe("sha256", () => {
  it("equals Node's on any bytes, block borders included", () => {
    const same = (bytes: Uint8Array): void => {
      expect(hex(sha256(bytes))).toBe(createHash("sha256").update(bytes).digest("hex"));
    };
    for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1_000, 3_999, 4_000, 4_001, 70_000])
      same(new Uint8Array(length).fill(length));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), same));
  });
});
