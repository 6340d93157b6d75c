import { canonicalJson } from "../contract/canonical-json.ts";
import { hex, sha256 } from "../contract/sha256.ts";
import { encodeUtf8 } from "../onnx/utf8.ts";

/** 2^48: hashes of texts are integers below it, so that sums and comparisons of doubles are exact. */
export const HASH_RANGE = 2 ** 48;

/**
 * 48-bit hash of a text, not cryptographic: two multiplicative lanes over UTF-16 code units, finished as in MurmurHash3 (Appleby,
 * public domain). Among 512 values of one entity two collide with probability 5e-10.
 */
export function hash48(text: string): number {
  return lanes(text, 0xdead_beef, 0x41c6_ce57, 0xffff);
}

/**
 * A second hash, 53 bits and independent of `hash48`: the pair tells texts apart where a build has hundreds of millions of them
 * (two of 10^8 collide with probability 1e-15).
 */
export function hash53(text: string): number {
  return lanes(text, 0x9e37_79b9, 0x85eb_ca6b, 0x1f_ffff);
}

/** 106 bits as 27 hexadecimal digits: content of events, compared only with the same sender's earlier content. */
export function contentHash(text: string): string {
  const a = lanes(text, 0x9e37_79b9, 0x85eb_ca6b, 0x1f_ffff);
  const b = lanes(text, 0xc2b2_ae35, 0x27d4_eb2f, 0x1f_ffff);
  return a.toString(16).padStart(14, "0") + b.toString(16).padStart(14, "0");
}

function lanes(text: string, seedA: number, seedB: number, highMask: number): number {
  let a = seedA | 0;
  let b = seedB | 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x9e37_79b1);
    a ^= a >>> 15;
    b = Math.imul(b ^ unit, 0x5f35_6495);
    b ^= b >>> 13;
  }
  a = mix(a ^ text.length ^ (b >>> 7));
  b = mix(b ^ text.length ^ (a >>> 5));
  return (a & highMask) * 2 ** 32 + (b >>> 0);
}

function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return h ^ (h >>> 16);
}

/** SHA-256 of canonical JSON: the version of a definition. */
export function definitionHash(definition: unknown): string {
  return hex(sha256(encodeUtf8(canonicalJson(definition))));
}

/** Identity of an event, (source, id), as 32 hexadecimal digits of SHA-256: producers must not be able to make two collide. */
export function eventIdentity(source: string, id: string): string {
  return hex(sha256(encodeUtf8(`${source}\n${id}`)).subarray(0, 16));
}
