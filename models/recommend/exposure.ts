import { decodeUtf8 } from "../onnx/utf8.ts";
import type { Arm } from "../contract/recommendation-arms.ts";
import { RANKING_SERVICE, RANKING_WIDTH } from "./ranking-features.ts";

/** One list as it was answered: what the training joins with what became of it. */
export interface ExposureRecord {
  readonly v: 1;
  readonly tenant: string;
  readonly recommendationId: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly placement: string;
  /** Pseudonyms; null: none given, or no consent to personalisation. */
  readonly customer: string | null;
  readonly session: string | null;
  readonly model: string | null;
  readonly modelVersion: string | null;
  /** Lists of the control arm were not ranked: they have no vectors. */
  readonly arm: Arm;
  readonly degraded: readonly string[];
  /** Hash of the ranking features that the vectors hold. */
  readonly ranking: string;
  /** In the order shown. */
  readonly items: readonly { readonly productId: string; readonly source: string; readonly score: number }[];
  /** base64 of the items' ranking vectors, float32 little-endian, row after row, the position constant; "" where no vector was made. */
  readonly vectors: string;
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const LETTER_CODES = Uint8Array.from(LETTERS, (letter) => letter.charCodeAt(0));
const PADDING_CODE = "=".charCodeAt(0);

/** RFC 4648 base64 of float32 values. */
export function encodeVectors(vectors: Float32Array): string {
  const bytes = new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength);
  const letters = new Uint8Array(4 * Math.ceil(bytes.length / 3));
  let out = 0;
  for (let at = 0; at < bytes.length; at += 3) {
    const bits = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    const left = bytes.length - at;
    letters[out++] = LETTER_CODES[bits >> 18] ?? 0;
    letters[out++] = LETTER_CODES[(bits >> 12) & 63] ?? 0;
    letters[out++] = left > 1 ? (LETTER_CODES[(bits >> 6) & 63] ?? 0) : PADDING_CODE;
    letters[out++] = left > 2 ? (LETTER_CODES[bits & 63] ?? 0) : PADDING_CODE;
  }
  // Letter by letter the text would be a chain of thousands of pieces, put together only when a batch of lists is written.
  return decodeUtf8(letters, 0, letters.length);
}

/** The vectors of an exposure's items, one after another; null where they are of other ranking features or do not fit the items. */
export function exposureVectors(exposure: Pick<ExposureRecord, "items" | "vectors" | "ranking">): Float32Array | null {
  if (exposure.ranking !== RANKING_SERVICE.hash || exposure.vectors === "") return null;
  const bytes = decodeBase64(exposure.vectors);
  if (bytes === null || bytes.byteLength !== exposure.items.length * RANKING_WIDTH * 4) return null;
  return new Float32Array(bytes.buffer);
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | null {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let out = 0;
  for (let at = 0; at < text.length; at += 4) {
    let bits = 0;
    for (let letter = 0; letter < 4; letter++)
      bits = (bits << 6) | Math.max(0, LETTERS.indexOf(text[at + letter] ?? "A"));
    for (let shift = 16; shift >= 0 && out < bytes.length; shift -= 8) bytes[out++] = (bits >> shift) & 255;
  }
  return bytes;
}
