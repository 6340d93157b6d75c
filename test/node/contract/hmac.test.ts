import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HmacSha256 } from "../../../models/contract/hmac.ts";

describe("HMAC-SHA-256", () => {
  it("is that of RFC 4231, test case 2", () => {
    const mac = new HmacSha256("Jefe").base64url("what do ya want for nothing?");
    const expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    expect(Buffer.from(mac, "base64url").toString("hex")).toBe(expected);
  });

  it("is that of Node's crypto for every key and text, one after the other", () => {
    // Keys above a block are hashed first; texts cross the borders of blocks.
    const text = fc.oneof(fc.string({ unit: "grapheme", maxLength: 150 }), fc.string({ maxLength: 20 }));
    fc.assert(
      fc.property(text, fc.array(text, { minLength: 1, maxLength: 4 }), (key, texts) => {
        const hmac = new HmacSha256(key);
        for (const own of texts)
          expect(hmac.base64url(own)).toBe(createHmac("sha256", key).update(own).digest("base64url"));
      }),
      { numRuns: 300 },
    );
  });
});
