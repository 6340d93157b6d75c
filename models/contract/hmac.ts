import { encodeUtf8 } from "../onnx/utf8.ts";
import { sha256 } from "./sha256.ts";

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/**
 * HMAC-SHA-256 (RFC 2104) of short texts under one key, synchronous. Setting up the platform's own costs several times what the hash of an identifier
 * does.
 */
export class HmacSha256 {
  /** The key's blocks. */
  readonly #inner: Uint8Array;
  readonly #outer: Uint8Array;

  constructor(key: string) {
    const given = encodeUtf8(key);
    const block = new Uint8Array(BLOCK_BYTES);
    block.set(given.length > BLOCK_BYTES ? sha256(given) : given);
    this.#inner = block.map((byte) => byte ^ 0x36);
    this.#outer = new Uint8Array(BLOCK_BYTES + DIGEST_BYTES);
    this.#outer.set(block.map((byte) => byte ^ 0x5c));
  }

  /** The MAC of a text's UTF-8 bytes in base64url, without padding: 43 letters. */
  base64url(text: string): string {
    const bytes = encodeUtf8(text);
    const message = new Uint8Array(BLOCK_BYTES + bytes.length);
    message.set(this.#inner);
    message.set(bytes, BLOCK_BYTES);
    this.#outer.set(sha256(message), BLOCK_BYTES);
    return base64url(sha256(this.#outer));
  }
}

function base64url(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const bits = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    const letters = Math.min(4, bytes.length - at + 1);
    for (let letter = 0; letter < letters; letter++) text += LETTERS[(bits >> (18 - 6 * letter)) & 63] ?? "";
  }
  return text;
}
