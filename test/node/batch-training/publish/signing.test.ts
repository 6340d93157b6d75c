import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it, vi } from "vitest";
import { keys } from "../../../../batch-training/commands/keys.ts";
import { runCli } from "../../../../batch-training/commands/run-cli.ts";
import { generateSigningKey, openSigner, signerFromEnvironment } from "../../../../batch-training/publish/signing.ts";
import { manifestContent, type Manifest } from "../../../../models/contract/manifest.ts";
import { parsePublicKeys, publicKey } from "../../../../models/contract/signing-key.ts";
import { ManifestTrust } from "../../../../workers/adapters/manifest-trust.ts";
import { amountModel } from "../../../support/amount-model.ts";
import { manifestOf } from "../../../support/test-manifest.ts";
import { bytesOfHex, pkcs8Of, RFC_8032_VECTORS } from "../../../support/rfc-8032.ts";

const folder = mkdtempSync(join(tmpdir(), "edgewise-keys-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const trusting = (...publicKeys: readonly string[]): ManifestTrust =>
  new ManifestTrust(parsePublicKeys(publicKeys.join(",")));
const signer = openSigner(generateSigningKey());
const { manifest } = amountModel();

describe("Ed25519", () => {
  it.each(RFC_8032_VECTORS)("signs and verifies $name of RFC 8032", async (vector) => {
    const key = publicKey(bytesOfHex(vector.publicKey));
    const trainer = openSigner(pkcs8Of(vector.secret));
    const message = bytesOfHex(vector.message);
    expect(trainer.keyId).toBe(key.id);
    expect(trainer.signature(message)).toEqual(Buffer.from(vector.signature, "hex"));
    const trust = new ManifestTrust([key]);
    expect(await trust.verifies(key.id, bytesOfHex(vector.signature), message)).toBe(true);
    expect(await trust.verifies(key.id, bytesOfHex(vector.signature), Uint8Array.of(...message, 0))).toBe(false);
  });
});

describe("a signed manifest", () => {
  it("is believed by who trusts the key, has the version it had, and is the same whenever it is signed", async () => {
    const signed = signer.sign(manifest);
    expect(await trusting(signer.publicKey).objection(signed)).toBeNull();
    expect(signed.version).toBe(manifest.version);
    expect(signer.sign(signed)).toEqual(signed);
  });

  it("is not believed unsigned, by another key, or under a key id that is not its key's", async () => {
    const other = openSigner(generateSigningKey());
    const trust = trusting(signer.publicKey);
    expect(await trust.objection(manifest)).toBe("the manifest is not signed");
    expect(await trust.objection(other.sign(manifest))).toBe(
      `the manifest is signed with key ${other.keyId}, which is not trusted here`,
    );
    const { signature } = other.sign(manifest);
    const renamed: Manifest = { ...manifest, signature: signature && { ...signature, keyId: signer.keyId } };
    expect(await trust.objection(renamed)).toBe(`the manifest's signature by key ${signer.keyId} is wrong`);
  });

  it("is believed under either key while one replaces the other, and under the old one no longer once it is withdrawn", async () => {
    const next = openSigner(generateSigningKey());
    const [before, after] = [signer.sign(manifest), next.sign(manifest)];
    const during = trusting(signer.publicKey, next.publicKey);
    expect([await during.objection(before), await during.objection(after)]).toEqual([null, null]);
    expect(await trusting(next.publicKey).objection(before)).toContain("is not trusted here");
  });

  it("is forged by any change of its content, even with the version that follows from the change", async () => {
    const signed = signer.sign(manifest);
    const changed = manifestOf({ ...manifestContent(manifest), policy: { reviewAt: 0.99, declineAt: 1 } });
    const forged: Manifest = { ...changed, signature: signed.signature };
    expect(await trusting(signer.publicKey).objection(forged)).toContain("is wrong");
  });

  it("is forged by any change of its signature", async () => {
    const signed = signer.sign(manifest);
    const value = signed.signature?.value ?? "";
    const trust = trusting(signer.publicKey);
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ maxLength: 128 }),
          fc
            .tuple(fc.nat(value.length - 1), fc.constantFrom("A", "B", "x", "y", "0", "9", "-", "_"))
            .map(([at, letter]) => value.slice(0, at) + letter + value.slice(at + 1)),
        ),
        async (text) => {
          fc.pre(text !== value);
          const forged = { ...signed, signature: { algorithm: "Ed25519" as const, keyId: signer.keyId, value: text } };
          expect(await trust.objection(forged)).not.toBeNull();
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("keys", () => {
  it("are read from configuration in any spacing, each once", () => {
    const other = openSigner(generateSigningKey());
    const found = parsePublicKeys(` ${signer.publicKey},\n${other.publicKey} ${signer.publicKey} `);
    expect(found.map((key) => key.id)).toEqual([signer.keyId, other.keyId]);
    expect(parsePublicKeys("")).toEqual([]);
  });

  it.each([
    ["too short", "AAAA"],
    ["padded", `${signer.publicKey}=`],
    ["not base64url", "!".repeat(43)],
    ["with bits beyond the last byte", `${"A".repeat(42)}B`],
  ])("are refused by name: %s", (_what, text) => {
    expect(() => parsePublicKeys(text)).toThrow(text.slice(0, 20));
  });

  it("come from the environment as text, as base64 alone, or from a file; anything else says what is expected", () => {
    const pem = generateSigningKey();
    const file = join(folder, "environment.pem");
    writeFileSync(file, pem);
    const id = openSigner(pem).keyId;
    const oneLine = pem.split("\n").slice(1, -2).join("");
    for (const environment of [{ EDGEWISE_SIGNING_KEY: pem }, { EDGEWISE_SIGNING_KEY: oneLine }])
      expect(signerFromEnvironment(environment)?.keyId).toBe(id);
    expect(signerFromEnvironment({ EDGEWISE_SIGNING_KEY_FILE: file })?.keyId).toBe(id);
    expect(signerFromEnvironment({}, file)?.keyId).toBe(id);
    expect(signerFromEnvironment({})).toBeNull();
    expect(() => signerFromEnvironment({ EDGEWISE_SIGNING_KEY_FILE: "/nowhere.pem" })).toThrow("/nowhere.pem");
    expect(() => openSigner("nonsense")).toThrow('"edgewise keys generate" makes one');
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 }).privateKey.export({
      type: "pkcs8",
      format: "pem",
    });
    expect(() => openSigner(String(rsa))).toThrow("is of type rsa");
  });
});

describe("edgewise keys", () => {
  it("generates a private key that only its owner reads, shows its public part, and never overwrites one", async () => {
    const lines: string[] = [];
    vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
    const errors = vi.spyOn(console, "error").mockImplementation(() => {});
    const file = join(folder, "new.pem");
    expect(await runCli(keys, ["generate", "--out", file])).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const made = openSigner(readFileSync(file, "utf8"));
    expect(lines.join("\n")).toContain(`MODEL_PUBLIC_KEYS = "${made.publicKey}"`);
    expect(lines.join("\n")).not.toContain("PRIVATE");
    expect(await runCli(keys, ["show", file])).toBe(0);
    expect(lines.at(-1)).toBe(`${made.keyId}  ${made.publicKey}`);
    expect(await runCli(keys, ["generate", "--out", file])).toBe(1);
    expect(openSigner(readFileSync(file, "utf8")).keyId).toBe(made.keyId);
    expect(await runCli(keys, ["show", join(folder, "absent.pem")])).toBe(1);
    expect(errors).toHaveBeenCalledTimes(2);
    vi.restoreAllMocks();
  });
});
