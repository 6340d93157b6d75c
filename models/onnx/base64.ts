import { OnnxError } from "./error.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Base64 with padding (RFC 4648 section 4). */
export function encodeBase64(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let index = 0; index < bytes.length; index += 3) {
    const word = ((bytes[index] ?? 0) << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0);
    const left = bytes.length - index;
    parts.push(
      ALPHABET.charAt(word >> 18) +
        ALPHABET.charAt((word >> 12) & 63) +
        (left > 1 ? ALPHABET.charAt((word >> 6) & 63) : "=") +
        (left > 2 ? ALPHABET.charAt(word & 63) : "="),
    );
  }
  return parts.join("");
}

const VALUES = new Uint8Array(128).fill(255);
for (let index = 0; index < 64; index++) VALUES[ALPHABET.charCodeAt(index)] = index;

/** @throws OnnxError "malformed" on anything but padded base64 */
export function decodeBase64(text: string): Uint8Array {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  if (text.length % 4 !== 0) throw new OnnxError("malformed", `base64 of ${text.length} characters`);
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const whole = padding === 0 ? text.length : text.length - 4;
  let written = 0;
  for (let index = 0; index < whole; index += 4) {
    const word =
      (valueAt(text, index) << 18) |
      (valueAt(text, index + 1) << 12) |
      (valueAt(text, index + 2) << 6) |
      valueAt(text, index + 3);
    bytes[written++] = word >> 16;
    bytes[written++] = word >> 8;
    bytes[written++] = word;
  }
  if (padding > 0) {
    const third = padding === 1 ? valueAt(text, whole + 2) << 6 : 0;
    const word = (valueAt(text, whole) << 18) | (valueAt(text, whole + 1) << 12) | third;
    bytes[written++] = word >> 16;
    // A write past the end, where the padding stands, is dropped by the typed array.
    bytes[written] = word >> 8;
  }
  return bytes;
}

function valueAt(text: string, index: number): number {
  const value = VALUES[text.charCodeAt(index)] ?? 255;
  if (value > 63) throw new OnnxError("malformed", `base64 character ${index}`);
  return value;
}
