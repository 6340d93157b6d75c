/** Texts in records of numbers: their lengths in bytes, one number each, then their UTF-8 bytes one after the other, in whole numbers. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Longest record, in numbers: texts of an event of 64 KiB and the features of its request. */
export const MAX_RECORD_DOUBLES = 32_768;

/** Appends texts to a record at a position; returns the position behind them. Throws where they do not fit. */
export function appendTexts(record: Float64Array, at: number, texts: readonly string[]): number {
  const bytes = new Uint8Array(record.buffer, record.byteOffset, record.byteLength);
  let to = (at + texts.length) * 8;
  for (const [index, text] of texts.entries()) {
    const { read, written } = encoder.encodeInto(text, bytes.subarray(to));
    if (read < text.length) throw new Error(`an id of ${text.length} characters is too long`);
    record[at + index] = written;
    to += written;
  }
  return Math.ceil(to / 8);
}

/** The position behind `count` texts at a position. */
export function endOfTexts(record: Float64Array, at: number, count: number): number {
  let bytes = 0;
  for (let i = 0; i < count; i++) bytes += record[at + i] as number;
  return at + count + Math.ceil(bytes / 8);
}

export function readTexts(record: Float64Array, at: number, count: number): string[] {
  const bytes = new Uint8Array(record.buffer, record.byteOffset, record.byteLength);
  let from = (at + count) * 8;
  return Array.from({ length: count }, (_, index) => {
    const length = record[at + index] as number;
    from += length;
    return decoder.decode(bytes.subarray(from - length, from));
  });
}
