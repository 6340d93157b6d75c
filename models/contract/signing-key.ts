import { decodeBase64, encodeBase64 } from "../onnx/base64.ts";
import { encodeUtf8 } from "../onnx/utf8.ts";
import { canonicalJson } from "./canonical-json.ts";
import { type Manifest, type ManifestContent, manifestContent } from "./manifest.ts";
import { hex, sha256 } from "./sha256.ts";

/** Ed25519 (RFC 8032): keys of 32 bytes, signatures of 64. */
export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

/** Keys that may be trusted at a time: the one in use, its successor and predecessors whose versions still serve, for several trainers. */
export const MAX_TRUSTED_KEYS = 16;

export interface PublicKey {
  /** The first 64 bits of the key's SHA-256 in hexadecimal, so that no two keys are configured under one name. */
  readonly id: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export function publicKey(bytes: Uint8Array): PublicKey {
  if (bytes.length !== PUBLIC_KEY_BYTES)
    throw new TypeError(`an Ed25519 public key has ${PUBLIC_KEY_BYTES} bytes, not ${bytes.length}`);
  return { id: hex(sha256(bytes)).slice(0, 16), bytes: new Uint8Array(bytes) };
}

/**
 * Public keys as configuration holds them: base64url without padding, separated by commas or white space; empty text has none.
 * @throws {TypeError} that quotes the word which is not a key
 */
export function parsePublicKeys(text: string): PublicKey[] {
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  if (words.length > MAX_TRUSTED_KEYS) throw new TypeError(`more than ${MAX_TRUSTED_KEYS} keys`);
  const keys = words.map((word) => {
    const bytes = fromBase64Url(word);
    if (bytes?.length !== PUBLIC_KEY_BYTES)
      throw new TypeError(`"${word}" is not an Ed25519 public key (${PUBLIC_KEY_BYTES} bytes in base64url)`);
    return publicKey(bytes);
  });
  return [...new Map(keys.map((key) => [key.id, key])).values()];
}

/** What a signature covers: the canonical JSON (RFC 8785) of the content, the same bytes whose hash is the version. */
export function signedBytes(manifest: Manifest | ManifestContent): Uint8Array<ArrayBuffer> {
  const content = "version" in manifest ? manifestContent(manifest) : manifest;
  return new Uint8Array(encodeUtf8(canonicalJson(content)));
}

/** RFC 4648 section 5, without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return encodeBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Null for anything but canonical, unpadded base64url: each byte string has one spelling. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null;
  const padded = text.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (text.length % 4)) % 4);
  const bytes = new Uint8Array(decodeBase64(padded));
  return toBase64Url(bytes) === text ? bytes : null;
}
