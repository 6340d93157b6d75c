import { OnnxError } from "./error.ts";

/** Code units handed to `fromCharCode` at a time: its arguments go on the stack. */
const BLOCK = 4096;

/** Strict UTF-8 (RFC 3629) of `bytes[start, end)`: overlong forms, surrogates and truncated sequences are refused. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  // Metadata may hold hundreds of kilobytes of ASCII: one pass to see that, then whole blocks at a time.
  let at = start;
  while (at < end && (bytes[at] ?? 0) < 0x80) at++;
  if (at === end) {
    for (at = start; at < end; at += BLOCK)
      text += String.fromCharCode.apply(null, bytes.subarray(at, Math.min(end, at + BLOCK)) as unknown as number[]);
    return text;
  }
  let units: number[] = [];
  let position = start;
  while (position < end) {
    const first = bytes[position++] ?? 0;
    let point = first;
    if (first >= 0x80) {
      const extra = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
      if (first < 0xc2 || first > 0xf4 || position + extra > end) throw badUtf8(position - 1);
      point = first & (0x3f >> extra);
      for (let index = 0; index < extra; index++) {
        const next = bytes[position++] ?? 0;
        if ((next & 0xc0) !== 0x80) throw badUtf8(position - 1);
        point = (point << 6) | (next & 0x3f);
      }
      const smallest = extra === 1 ? 0x80 : extra === 2 ? 0x800 : 0x10000;
      if (point < smallest || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) throw badUtf8(position - 1);
    }
    if (point > 0xffff) units.push(0xd800 + ((point - 0x10000) >> 10), 0xdc00 + ((point - 0x10000) & 0x3ff));
    else units.push(point);
    if (units.length >= BLOCK) {
      text += String.fromCharCode(...units);
      units = [];
    }
  }
  return text + String.fromCharCode(...units);
}

function badUtf8(position: number): OnnxError {
  return new OnnxError("malformed", `invalid UTF-8 at byte ${position}`);
}

/** UTF-8 of `text`; a lone surrogate becomes U+FFFD, as `TextEncoder` does. */
export function encodeUtf8(text: string): Uint8Array {
  // A pair of surrogates takes 4 bytes, any other code unit at most 3.
  const bytes = new Uint8Array(text.length * 3);
  let length = 0;
  for (let index = 0; index < text.length; index++) {
    let point = text.codePointAt(index) ?? 0;
    if (point > 0xffff) index++;
    else if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd;
    if (point < 0x80) bytes[length++] = point;
    else {
      if (point < 0x800) bytes[length++] = 0xc0 | (point >> 6);
      else {
        if (point < 0x10000) bytes[length++] = 0xe0 | (point >> 12);
        else {
          bytes[length++] = 0xf0 | (point >> 18);
          bytes[length++] = 0x80 | ((point >> 12) & 0x3f);
        }
        bytes[length++] = 0x80 | ((point >> 6) & 0x3f);
      }
      bytes[length++] = 0x80 | (point & 0x3f);
    }
  }
  return bytes.subarray(0, length);
}
