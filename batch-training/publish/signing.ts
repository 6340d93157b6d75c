import { createPrivateKey, createPublicKey, generateKeyPairSync, sign as signBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Manifest } from "../../models/contract/manifest.ts";
import { publicKey, signedBytes, toBase64Url } from "../../models/contract/signing-key.ts";

/** Signs manifests with the one private key of a trainer. */
export interface ManifestSigner {
  readonly keyId: string;
  /** As the Worker's MODEL_PUBLIC_KEYS takes it. */
  readonly publicKey: string;
  sign(manifest: Manifest): Manifest;
  /** The Ed25519 signature of some bytes (RFC 8032 section 5.1.6): 64 bytes, the same for the same bytes. */
  signature(bytes: Uint8Array): Uint8Array;
}

/** Names of the environment variables that hold the private key, or the file it is in. */
export const SIGNING_KEY_VARIABLE = "EDGEWISE_SIGNING_KEY";
export const SIGNING_KEY_FILE_VARIABLE = "EDGEWISE_SIGNING_KEY_FILE";

/** A new private key as PKCS #8 PEM (RFC 8410), the form that `openssl genpkey -algorithm ed25519` writes too. */
export function generateSigningKey(): string {
  return String(generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }));
}

/**
 * A signer over a private key in PEM, or its base64 alone, as a secret store with one-line values keeps it.
 * @throws {Error} that says what is expected, and never quotes the key
 */
export function openSigner(text: string): ManifestSigner {
  const trimmed = text.trim();
  const pem = trimmed.startsWith("-----")
    ? trimmed
    : `-----BEGIN PRIVATE KEY-----\n${trimmed}\n-----END PRIVATE KEY-----`;
  const key = privateKeyOf(pem);
  const spki = createPublicKey(key).export({ type: "spki", format: "der" });
  // RFC 8410: the SubjectPublicKeyInfo of Ed25519 is a fixed head of twelve bytes and the key.
  const { id, bytes } = publicKey(spki.subarray(12));
  const signature = (message: Uint8Array): Uint8Array => signBytes(null, message, key);
  return {
    keyId: id,
    publicKey: toBase64Url(bytes),
    signature,
    sign: (manifest) => ({
      ...manifest,
      signature: { algorithm: "Ed25519", keyId: id, value: toBase64Url(signature(signedBytes(manifest))) },
    }),
  };
}

function privateKeyOf(pem: string): ReturnType<typeof createPrivateKey> {
  const expected = 'a signing key is an Ed25519 private key in PKCS #8 PEM; "edgewise keys generate" makes one';
  let key: ReturnType<typeof createPrivateKey>;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new Error(`The signing key cannot be read: ${expected}.`, { cause });
  }
  if (key.asymmetricKeyType !== "ed25519")
    throw new Error(`The signing key is of type ${key.asymmetricKeyType ?? "unknown"}: ${expected}.`);
  return key;
}

/** What the environment says to sign with; null: nothing. @throws {Error} when it names a key that cannot be used */
export function signerFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  file: string | null = null,
): ManifestSigner | null {
  const text = environment[SIGNING_KEY_VARIABLE];
  if (text !== undefined && text !== "") return openSigner(text);
  const path = environment[SIGNING_KEY_FILE_VARIABLE] || file;
  if (!path) return null;
  let pem: string;
  try {
    pem = readFileSync(path, "utf8");
  } catch (cause) {
    throw new Error(`The signing key file ${path} cannot be read.`, { cause });
  }
  return openSigner(pem);
}
